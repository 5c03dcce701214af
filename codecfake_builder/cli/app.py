"""The command line. Every command imports what it needs when it runs, so that ``--help`` is there at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from codec_adapters.errors import CodecfakeError
from codecfake_builder import __version__
from codecfake_builder.cli.add_codec import EXAMPLE as ADD_EXAMPLE
from codecfake_builder.cli.add_codec import add_codec
from codecfake_builder.cli.benchmark import app as benchmark
from codecfake_builder.cli.conformance import EXAMPLE, conformance
from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import say

if TYPE_CHECKING:
    from codec_adapters.catalogue import Catalogue


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
app.command("add-codec", epilog=ADD_EXAMPLE)(add_codec)
app.command(epilog=EXAMPLE)(conformance)

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="Path of a recipe, or name of a packaged one.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe; repeatable.")
]
KnownOption = Annotated[
    str | None,
    typer.Option("--recipe", metavar="RECIPE", help="List those too that a recipe brings along (plugins, isolated)."),
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
    from codecfake_builder.recipe.load import load_recipe

    _build(load_recipe(recipe, set_), out, limit)


def _build(recipe: Any, out: Path, limit: int | None) -> None:
    """Build, and say what came out."""
    from codecfake_builder.changes.build import build as run

    result = run(recipe, out, limit)
    print(_contents_table(result.contents))
    if not result.shards_made:
        print(f"\nNothing to do: all {result.shards_kept} shards were there with the right content.")
    print(f"\nroot hash  {result.root}")
    print("open it    import datasets")
    print(f'           ds = datasets.load_dataset("{out}", split="{result.contents.splits[0]}")')
    print(f"check it   python -m codecfake_builder verify {out}")


@app.command(
    "remove-codec", epilog="Example: python -m codecfake_builder remove-codec snac_24khz --from st-codecfake-mini"
)
def remove_codec(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Codec variant, audio language model, or codec family.")],
    dataset: Annotated[Path, typer.Option("--from", help="Folder of a finished dataset.")],
    recipe: Annotated[Path | None, typer.Option(help="A recipe file from which it is taken out too.")] = None,
) -> None:
    """Take a codec's clips out of a dataset in one step; needs neither the corpora nor any codec."""
    from codecfake_builder.changes.remove_codec import remove_codec as run

    result = run(dataset, name, recipe)
    print(_contents_table(result.contents))
    print(f"\n{result.shards_kept} shards are left as they were.")
    print(f"\nroot hash  {result.root}")
    print(f"check it   python -m codecfake_builder verify {dataset}")


@app.command(
    "import",
    epilog="Example: python -m codecfake_builder import st-codecfake /data/st-codecfake --out st-codecfake-released "
    "(or: import clips /data/moshi --codec mimi --alm moshi --out moshi-clips)",
)
def import_(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="clips (any folder), st-codecfake (the release), or speechgpt-gen.")
    ],
    folder: Annotated[Path, typer.Argument(help="Folder that holds the clips.")],
    out: Annotated[Path, typer.Option(help="Dataset folder; new, empty, or of an earlier import to go on with.")],
    codec: Annotated[
        str | None, typer.Option(help="clips: variant or family (or real, vocoder) of all clips that name none.")
    ] = None,
    folders: Annotated[
        list[str] | None,
        typer.Option("--folder", metavar="NAME=CODEC", help="clips: what made those in a folder; repeatable."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="clips: CSV or JSONL with path, codec (variant, label), alm, prompt_id, ...")
    ] = None,
    alm: Annotated[str | None, typer.Option(help="clips: audio language model that made them.")] = None,
    language: Annotated[str | None, typer.Option(help="clips: language code.")] = None,
    split: Annotated[str, typer.Option(help="clips: split to put them in.")] = "test",
    set_: SetOption = None,
) -> None:
    """Make a dataset of clips that exist already: same audio chain, same columns, provenance "imported"."""
    from codec_adapters.files.documents import nearest
    from codecfake_builder.changes import import_clips as importing

    if what not in importing.KINDS:
        raise BuilderError(f"import {what}: unknown; {nearest(what, importing.KINDS)}")
    given = [codec, folders, table, alm, language]
    if what != "clips" and any(value is not None for value in given):
        raise BuilderError(f"import {what}: --codec, --folder, --table, --alm and --language go with clips only")
    overrides = set_ or []
    if what == "st-codecfake":
        recipe = importing.release_recipe(folder, overrides)
    elif what == "speechgpt-gen":
        recipe = importing.demo_recipe(folder, overrides)
    else:
        recipe = importing.clips_recipe(
            folder, table=table, codec=codec, folders=folders, alm=alm, language=language, split=split,
            overrides=overrides,
        )  # fmt: skip
    _build(recipe, out, None)


@app.command(epilog="Example: python -m codecfake_builder plan lyra --limit 100 --set corpora.vctk.root=/data/VCTK ...")
def plan(recipe: RecipeArgument, set_: SetOption = None, limit: LimitOption = None) -> None:
    """Print what a build would make: clips per split and class, hours, disk. Indexes the corpora, runs no codec."""
    from codecfake_builder.plan.planning import announce, make_plan
    from codecfake_builder.plan.table import plan_table
    from codecfake_builder.recipe.load import load_recipe

    loaded = load_recipe(recipe, set_)
    planned = make_plan(loaded, limit)
    announce(planned)
    print(plan_table(planned, loaded.catalogue))


@app.command(epilog="Example: python -m codecfake_builder verify lyra-dataset")
def verify(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    show: Annotated[int, typer.Option(min=1, help="Print at most this many problems.")] = 50,
) -> None:
    """Check a dataset: hashes of all files, every clip, rows, labels, lengths, duplicates, members of the splits."""
    from codecfake_builder.dataset.verify import verify as run

    found = run(dataset)
    for problem in found.problems[:show]:
        print(problem)
    if len(found.problems) > show:
        print(f"... and {len(found.problems) - show} more")
    if found.problems:
        print(f"FAILED: {len(found.problems)} problems in {found.files} files, {found.clips} clips")
        raise typer.Exit(1)
    print(f"OK: {found.files} files, {found.clips} clips, root hash {found.root}")


@app.command(epilog="Example: python -m codecfake_builder quality lyra-dataset --clips 50")
def quality(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    clips: Annotated[int, typer.Option(min=1, help="Measure at most this many clips of each split and variant.")] = 16,
) -> None:
    """Measure how intelligible each codec leaves speech: STOI of clips against the real clips they were made from."""
    from codecfake_builder.dataset.quality import measure_stoi
    from codecfake_builder.tables import format_table

    scores = measure_stoi(dataset, clips)
    if not scores:
        raise BuilderError(
            f"{dataset}: no clip in it can be measured: none has its real clip beside it, or all are too short"
        )
    rows = [[s.split, s.variant, s.clips, f"{s.median:.3f}", f"{s.lowest:.3f}"] for s in scores]
    print(format_table(["split", "variant", "clips", "median STOI", "lowest"], rows))


@app.command(epilog="Example: python -m codecfake_builder codecs")
def codecs(recipe: KnownOption = None, set_: SetOption = None) -> None:
    """List every codec variant: class, rate, frame rate, codebooks, bit rate, taxonomy, licence, weights in cache."""
    from codec_adapters.files import weights
    from codecfake_builder.tables import format_table

    header = ["variant", "label", "family", "Hz", "frames/s", "codebooks", "bit/s"]
    header += ["quantizer", "auxiliary", "decoder", "weights' licence", "cached"]
    rows = []
    for spec in _catalogue(recipe, set_).codecs():
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
        rows.append([spec.name, *figures, *taxonomy, spec.weights_licence, there])
    print(format_table(header, rows))


@app.command(epilog="Example: python -m codecfake_builder alms")
def alms(recipe: KnownOption = None, set_: SetOption = None) -> None:
    """List every audio language model: the codec it speaks through, its class, prompt, options, licence, weights."""
    from codec_adapters.files import weights
    from codecfake_builder.tables import format_table

    catalogue = _catalogue(recipe, set_)
    header = ["name", "model", "label", "speaks through", "prompt", "options", "weights' licence", "cached"]
    rows = []
    for spec in catalogue.alms():
        there = ("yes" if weights.cached(spec.checkpoint) else "no") if spec.checkpoint else "-"
        options = " ".join(f"{key}={value}" for key, value in spec.options.items())
        prompt = " + ".join(spec.prompt)
        label = catalogue.label(spec.name)
        rows.append([spec.name, spec.title, label, spec.codec_variant, prompt, options, spec.weights_licence, there])
    print(format_table(header, rows))


def _catalogue(recipe: str | None, overrides: list[str] | None) -> Catalogue:
    """The default catalogue, or a recipe's with what it brings along."""
    from codec_adapters.registration import default_catalogue
    from codecfake_builder.recipe.load import load_recipe

    if recipe is not None:
        return load_recipe(recipe, overrides).catalogue
    if overrides:
        raise BuilderError("--set overrides fields of a recipe; give one with --recipe")
    return default_catalogue()


@app.command(epilog="Example: python -m codecfake_builder fetch lyra_v2 (or: fetch vctk aishell3 --to /data)")
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(help="Corpora (vctk, aishell3, ...), entries of weights.lock, or variant names."),
    ],
    to: Annotated[Path | None, typer.Option(help="Corpora: unpack them under this folder; else in the cache.")] = None,
) -> None:
    """Download official corpora and weights (an ALM's with its codec's), checked; an interrupted download goes on."""
    from codec_adapters.files import weights
    from codec_adapters.files.documents import nearest
    from codec_adapters.registration import default_catalogue
    from codecfake_builder.corpora import official

    catalogue = default_catalogue()
    needed = {
        name: [catalogue.spec(name).checkpoint, catalogue.speaking_codec(name).checkpoint] for name in catalogue.names()
    }
    known = [*official.lock(), *weights.lock(), *needed]
    for given in names:
        if given not in known:
            raise BuilderError(f"{given}: no corpus, checkpoint or variant; {nearest(given, known)}")
    wanted = []
    for given in names:
        if given in official.lock():
            print(f"{given}  {official.fetch_corpus(given, to)}")
            continue
        if not needed.get(given, [given])[0]:
            say(f"{given}: has no official weights of its own to fetch")
        wanted += [name for name in needed.get(given, [given]) if name]
    for name in dict.fromkeys(wanted):
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
    try:
        app(args=arguments, standalone_mode=True)
    except CodecfakeError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", 1)
    sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    for line in message.splitlines():
        say(f"error: {line}")
    sys.exit(code)
