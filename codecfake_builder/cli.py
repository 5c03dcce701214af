"""The command line. Every command imports what it needs when it runs, so that ``--help`` is there at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from codecfake_builder import __version__
from codecfake_builder.benchmark.cli import app as benchmark
from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import say


class _Interruptible(TyperGroup):
    """Ends an interrupted command with a word about what is left, where Click would end it without one."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("error: interrupted; what is finished is kept, and the same command goes on from there")
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Interruptible,
    name="codecfake_builder",
    help="Build and check ST-Codecfake-style datasets: speech re-synthesized through neural audio codecs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(benchmark)

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="Path of a recipe, or name of a packaged one.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe; repeatable.")
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Scale all splits down: the largest gets this many utterances.")
]


@app.command(
    epilog="Example: python -m codecfake_builder build lyra --out lyra-dataset --set corpora.vctk.root=/data/VCTK "
    "--set corpora.aishell3.root=/data/AISHELL-3"
)
def build(
    recipe: RecipeArgument,
    out: Annotated[Path, typer.Option(help="Dataset folder; new, empty, or of an earlier build to go on with.")],
    set_: SetOption = None,
    limit: LimitOption = None,
) -> None:
    """Build a dataset, or go on with one: shards that are there with the right content are kept."""
    from codecfake_builder.build import build as run
    from codecfake_builder.recipe import load_recipe

    result = run(load_recipe(recipe, set_), out, limit)
    print(_contents_table(result.contents))
    if not result.shards_made:
        print(f"\nNothing to do: all {result.shards_kept} shards were there with the right content.")
    print(f"\nroot hash  {result.root}")
    print(f'open it    datasets.load_dataset("{out}", split="{result.contents.splits[0]}")')
    print(f"check it   python -m codecfake_builder verify {out}")


@app.command(epilog="Example: python -m codecfake_builder plan lyra --limit 100 --set corpora.vctk.root=/data/VCTK ...")
def plan(recipe: RecipeArgument, set_: SetOption = None, limit: LimitOption = None) -> None:
    """Print what a build would make: clips per split and class, hours, disk. Indexes the corpora, runs no codec."""
    from codecfake_builder.plan import announce, make_plan
    from codecfake_builder.plan_table import plan_table
    from codecfake_builder.recipe import load_recipe

    loaded = load_recipe(recipe, set_)
    planned = make_plan(loaded, limit)
    announce(planned)
    print(plan_table(planned))


@app.command(epilog="Example: python -m codecfake_builder verify lyra-dataset")
def verify(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    show: Annotated[int, typer.Option(min=1, help="Print at most this many problems.")] = 50,
) -> None:
    """Check a dataset: hashes of all files, every clip, rows, labels, lengths, duplicates, members of the splits."""
    from codecfake_builder.verify import verify as run

    found = run(dataset)
    for problem in found.problems[:show]:
        print(problem)
    if len(found.problems) > show:
        print(f"... and {len(found.problems) - show} more")
    if found.problems:
        print(f"FAILED: {len(found.problems)} problems in {found.files} files, {found.clips} clips")
        raise typer.Exit(1)
    print(f"OK: {found.files} files, {found.clips} clips, root hash {found.root}")


@app.command(epilog="Example: python -m codecfake_builder codecs")
def codecs() -> None:
    """List every codec variant: class, rate, frame rate, codebooks, bit rate, taxonomy, licence, weights in cache."""
    import codec_adapters
    from codec_adapters import weights
    from codecfake_builder.tables import format_table

    header = ["variant", "label", "family", "Hz", "frames/s", "codebooks", "bit/s"]
    header += ["quantizer", "auxiliary", "decoder", "weights' licence", "cached"]
    rows = []
    for name in codec_adapters.names():
        spec = codec_adapters.spec(name)
        there = "yes" if not spec.checkpoint or weights.cached(spec.checkpoint) else "no"
        figures = [
            spec.label,
            spec.family,
            spec.sample_rate,
            f"{spec.frame_rate:g}",
            spec.codebooks,
            f"{spec.bitrate:g}",
        ]
        kind = spec.taxonomy
        taxonomy = [kind.quantizer, kind.auxiliary, kind.decoder_domain]
        rows.append([name, *figures, *taxonomy, spec.weights_licence, there])
    print(format_table(header, rows))


@app.command(epilog="Example: python -m codecfake_builder fetch lyra_v2")
def fetch(
    checkpoints: Annotated[list[str], typer.Argument(help="Entries of weights.lock, or variant names.")],
) -> None:
    """Download official weights into the cache, checked against their sha256."""
    import codec_adapters
    from codec_adapters import weights
    from codecfake_builder.resources import nearest

    names = {name: codec_adapters.spec(name).checkpoint for name in codec_adapters.names()}
    for given in checkpoints:
        name = names.get(given, given)
        if name not in weights.lock():
            raise BuilderError(
                f"{given}: neither a checkpoint nor a variant; {nearest(given, [*weights.lock(), *names])}"
            )
        entry = weights.locked(name)
        say(f"{name}: from {entry.source}, licence {entry.licence}")
        print(f"{name}  {weights.fetch(name)}")


def _contents_table(contents: Any) -> str:
    from codecfake_builder.tables import format_table

    rows = [
        [
            cell.split,
            contents.family(cell.variant),
            cell.variant,
            cell.clips,
            f"{cell.seconds / 3600:.2f}",
            cell.rejected,
        ]
        for cell in contents.cells
    ]
    return format_table(["split", "class", "variant", "clips", "hours", "rejected"], rows)


def _version(show: bool) -> None:
    if show:
        print(f"codecfake_builder {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0, 1 when a check failed, 2 for bad usage or input; no traceback for a user."""
    from codec_adapters.errors import CodecError

    try:
        app(args=arguments, standalone_mode=True)
    except BuilderError as error:
        _fail(str(error), error.exit_code)
    except CodecError as error:
        _fail(str(error), 2)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", 1)
    sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    for line in message.splitlines():
        say(f"error: {line}")
    sys.exit(code)
