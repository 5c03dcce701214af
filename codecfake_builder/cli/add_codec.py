"""The command ``add-codec``."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from codecfake_builder.cli.options import grouped
from codecfake_builder.errors import BuilderError

if TYPE_CHECKING:
    from codec_adapters.external.backend import Backend
    from codec_adapters.spec import OptionValue
    from codecfake_builder.changes.add_codec import Added, Request
    from codecfake_builder.changes.drafts import Draft
    from codecfake_builder.changes.target import Target

    MakeBackend = Callable[[Path], Backend]

EXAMPLE = (
    "Example: python -m codecfake_builder add-codec encodec_32khz --transformers facebook/encodec_32khz "
    "--family encodec --split id_config --into st-codecfake (every backend: docs/codec_files.md)"
)
FACTS = "Facts (else read from its config, measured, or asked for)"
TARGET = "Where it goes"


def _panel(title: str) -> Callable[..., Any]:
    """An option in the help's panel of its backend."""
    return partial(typer.Option, rich_help_panel=f"Backend: {title}")


_TRANSFORMERS = _panel("a codec class of transformers")
_GRAPHS = _panel("graphs (encoder and decoder, or one round trip)")
_PYTHON = _panel("a Python object (code, which runs)")
_COMMAND = _panel("programs that read and write audio files (they run)")
_WORKER = _panel("a worker in an environment of its own (its driver runs)")
_OTHER = _panel("none (nothing runs here)")


@dataclass
class TransformersOptions:
    """Backend ``transformers``."""

    transformers: Annotated[
        str | None, _TRANSFORMERS(metavar="REPO_OR_DIR", help="Hub repository, or a folder with config and weights.")
    ] = None
    revision: Annotated[str, _TRANSFORMERS(help="Branch, tag or commit on the hub.")] = "main"

    def make_backend(self, decoder: Path | None) -> MakeBackend | None:
        """Return what copies its files into the codec's folder; ``None`` where the backend is not asked for."""
        if self.transformers is None:
            return None
        from codec_adapters.external.transformers import TransformersBackend

        return partial(TransformersBackend.from_user, given=self.transformers, revision=self.revision)


@dataclass
class GraphOptions:
    """Backends ``onnx``, ``exported`` and ``torchscript``."""

    onnx: Annotated[Path | None, _GRAPHS(metavar="ENCODER", help="ONNX; its DECODER stands after it.")] = None
    exported: Annotated[Path | None, _GRAPHS(metavar="ENCODER", help="torch.export; its DECODER stands after it.")] = (
        None
    )
    torchscript: Annotated[Path | None, _GRAPHS(help="TorchScript archive.")] = None

    def make_backend(self, decoder: Path | None) -> MakeBackend | None:
        """As of the other backends; with the decoder, where there are two graphs."""
        from codec_adapters.external.exported import ExportedBackend
        from codec_adapters.external.onnx import OnnxBackend
        from codec_adapters.external.torchscript import TorchscriptBackend

        graphs = tuple(path for path in (self.onnx or self.exported, decoder) if path is not None)
        if self.onnx is not None:
            return partial(OnnxBackend.from_user, graphs=graphs)
        if self.exported is not None:
            return partial(ExportedBackend.from_user, graphs=graphs)
        return None if self.torchscript is None else partial(TorchscriptBackend.from_user, archive=self.torchscript)


@dataclass
class PythonOptions:
    """Backend ``python``."""

    python: Annotated[str | None, _PYTHON(metavar="MODULE:CLASS", help="Or FILE.py:CLASS.")] = None
    batched: Annotated[bool, _PYTHON("--batched", help="It takes whole batches.")] = False
    numpy: Annotated[bool, _PYTHON("--numpy", help="It takes and gives numpy arrays.")] = False
    factory: Annotated[bool, _PYTHON("--factory", help="It is a function that makes the codec.")] = False

    def make_backend(self, decoder: Path | None) -> MakeBackend | None:
        """As of the other backends."""
        if self.python is None:
            return None
        from codec_adapters.external.python import PythonBackend

        return partial(
            PythonBackend.from_user, given=self.python, batched=self.batched, numpy=self.numpy, factory=self.factory
        )


@dataclass
class CommandOptions:
    """Backend ``command``."""

    command: Annotated[list[str] | None, _COMMAND(help="Program with {in} and {out}; repeatable, run in order.")] = None
    version_command: Annotated[str | None, _COMMAND(help="Prints the program's version.")] = None

    def make_backend(self, decoder: Path | None) -> MakeBackend | None:
        """As of the other backends."""
        if not self.command:
            return None
        from codec_adapters.external.command import CommandBackend

        return partial(CommandBackend.from_user, steps=self.command, version=self.version_command)


@dataclass
class WorkerOptions:
    """An isolated codec."""

    worker: Annotated[str | None, _WORKER(metavar="DRIVER", help="Python file, or the name of a packaged one.")] = None
    repo: Annotated[str | None, _WORKER(help="Repository, https or a folder (--builtin: owner/name).")] = None
    commit: Annotated[str | None, _WORKER(help="Its commit.")] = None
    python_version: Annotated[str | None, _WORKER(help="Of the environment, e.g. 3.9.")] = None
    requirement: Annotated[list[str] | None, _WORKER(help="Package to install; repeatable.")] = None

    def environment(self) -> dict[str, Any]:
        """As ``isolated:`` of a recipe spells it."""
        return {
            "repo": self.repo,
            "commit": self.commit,
            "python": self.python_version,
            "requirements": self.requirement,
        }


@dataclass
class OtherOptions:
    """Codecs of which nothing runs here."""

    imported: Annotated[Path | None, _OTHER(metavar="DIR", help="Clips that it has made already.")] = None
    builtin: Annotated[bool, _OTHER("--builtin", help="Write a module skeleton into this checkout.")] = False


_fact = partial(typer.Option, rich_help_panel=FACTS)


@dataclass
class FactOptions:
    """What the user says of the codec; ``None`` where nothing is said."""

    family: Annotated[str | None, _fact(help="Class; default: NAME.")] = None
    label: Annotated[int | None, _fact(help="Of a new family; default: the next free.")] = None
    sample_rate: Annotated[int | None, _fact(help="Hz.")] = None
    hop: Annotated[int | None, _fact(help="Samples per frame.")] = None
    codebooks: Annotated[int | None, _fact(help="In use.")] = None
    codebook_size: Annotated[int | None, _fact(help="Entries of each.")] = None
    bitrate: Annotated[float | None, _fact(help="Bits per second.")] = None
    delay_samples: Annotated[int | None, _fact(help="Output after input.")] = None
    quantizer: Annotated[str | None, _fact(help="multi, single, scalar.")] = None
    auxiliary: Annotated[str | None, _fact(help="none, semantic, disentangled.")] = None
    decoder_domain: Annotated[str | None, _fact(help="time, frequency.")] = None
    code_licence: Annotated[str | None, _fact(help="Of its code.")] = None
    weights_licence: Annotated[str | None, _fact(help="Of its weights.")] = None
    paper: Annotated[str | None, _fact(help="E.g. arXiv 2210.13438.")] = None


_target = partial(typer.Option, rich_help_panel=TARGET)


@dataclass
class TargetOptions:
    """The recipe or dataset that takes the codec in."""

    recipe: Annotated[Path | None, _target(help="Recipe file that takes it in.")] = None
    into: Annotated[Path | None, _target(metavar="DIR", help="Finished dataset to extend.")] = None
    split: Annotated[
        list[str] | None, _target(help="That gets it; repeatable. Default for a new family: eval_ood.")
    ] = None


@dataclass
class JudgeOptions:
    """How it is judged."""

    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Inference option; repeatable.")
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Add it though conformance fails.")] = False
    quick: Annotated[bool, typer.Option("--quick", help="Conformance: short clips, few repetitions.")] = False
    device: Annotated[str, typer.Option(help="auto, or a torch device: cpu, cuda, cuda:1.")] = "auto"


@dataclass(frozen=True)
class Ways:
    """Everything that a codec may come as; just one is given."""

    transformers: TransformersOptions
    graphs: GraphOptions
    python: PythonOptions
    command: CommandOptions
    worker: WorkerOptions
    other: OtherOptions

    def chosen(self, decoder: Path | None) -> str:
        """The option of the one that is given.

        Raises:
            BuilderError: none, or several; or a second file for one that takes none.
        """
        ways = {
            "--transformers": self.transformers.transformers,
            "--onnx": self.graphs.onnx,
            "--torchscript": self.graphs.torchscript,
            "--exported": self.graphs.exported,
            "--python": self.python.python,
            "--command": self.command.command,
            "--worker": self.worker.worker,
            "--imported": self.other.imported,
            "--builtin": self.other.builtin,
        }
        given = [way for way, value in ways.items() if value]
        if len(given) != 1:
            raise BuilderError(f"give exactly one of {', '.join(ways)}; found {' and '.join(given) or 'none of them'}")
        if decoder is not None and given[0] not in ("--onnx", "--exported"):
            raise BuilderError(f"{decoder}: only --onnx and --exported take a second file")
        return given[0]

    def draft(self, name: str, decoder: Path | None, options: dict[str, OptionValue]) -> Callable[[Path], Draft]:
        """What makes the draft of the given one in an empty folder."""
        from codecfake_builder.changes.drafts import FileDraft, WorkerDraft

        if self.worker.worker is not None:
            driver, environment = self.worker.worker, self.worker.environment()
            return lambda folder: WorkerDraft(name, folder, options, driver, environment)
        backends = (self.transformers, self.graphs, self.python, self.command)
        make = next(found for backend in backends if (found := backend.make_backend(decoder)) is not None)
        return lambda folder: FileDraft(name, folder, options, make)


@grouped
def add_codec(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new variant: letters, digits, underscores.")],
    transformers: TransformersOptions,
    graphs: GraphOptions,
    python: PythonOptions,
    command: CommandOptions,
    worker: WorkerOptions,
    other: OtherOptions,
    facts: FactOptions,
    target: TargetOptions,
    judge: JudgeOptions,
    decoder: Annotated[
        Path | None, typer.Argument(metavar="[DECODER]", help="The second file of --onnx or --exported.")
    ] = None,
) -> None:
    """Add a codec: measure it, judge it, write a codec file and its entry in a recipe, and extend a dataset."""
    ways = Ways(transformers, graphs, python, command, worker, other)
    ways.chosen(decoder)
    said = dataclasses.asdict(facts)
    if other.builtin:
        _skeleton(name, said, worker.repo)
        return
    from codecfake_builder.changes import add_codec as add
    from codecfake_builder.changes.target import Target

    goal = Target.of(target.recipe, target.into)
    add.refuse_name(name, goal.catalogue)
    if other.imported is not None:
        _import(name, other.imported, facts.family or name, target.split, goal)
        return
    from codecfake_builder.cli.conformance import parsed_options
    from codecfake_builder.conformance.settings import QUICK, THOROUGH
    from codecfake_builder.devices import resolve_device

    request = add.Request(
        name=name,
        draft=ways.draft(name, decoder, parsed_options(judge.option or [])),
        given=said,
        target=goal,
        splits=target.split,
        force=judge.force,
        device=resolve_device(judge.device),
        settings=QUICK if judge.quick else THOROUGH,
        ask=_ask if sys.stdin.isatty() else None,
    )
    _conclude(request, add.add_codec(request, _report))


def _ask(fact: str, question: str) -> Any:
    """Ask, and ask again for what cannot be an answer."""
    from codec_adapters.external.facts import TaxonomyFacts

    kinds: dict[str, type] = {"bitrate": float, "quantizer": str}
    while True:
        answer = typer.prompt(f"{fact}: {question}", type=kinds.get(fact, int), err=True)
        if fact != "quantizer" or answer in get_args(TaxonomyFacts.model_fields["quantizer"].annotation):
            return answer


def _report(added: Added) -> None:
    from codecfake_builder.conformance.suite import results_table
    from codecfake_builder.tables import format_table

    print(format_table(["fact", "value", "from"], added.facts.rows()))
    for remark in added.facts.remarks:
        print(f"note: {remark}")
    print(f"\n{results_table(added.results)}\n")


def _conclude(request: Request, added: Added) -> None:
    """Say what came of it; exit code 1 where the codec was not added."""
    from codecfake_builder.conformance.suite import failed

    wrong = ", ".join(result.name for result in failed(added.results))
    if added.folder is None:
        print(f"FAILED: {wrong}; {request.name} is not added (--force adds it all the same)")
        raise typer.Exit(1)
    print(f"{request.name}: added{f' though {wrong} failed' if wrong else ''}, files in {added.folder}")
    target = request.target
    if not target.document:
        print(f"use it     list {added.folder}/codec.yaml under plugins: of a recipe, and {request.name} in its splits")
    elif added.build is not None:
        made, kept = added.build.shards_made, added.build.shards_kept
        print(f"extended   {', '.join(added.splits)}: {made} shards made, {kept} kept")
        print(f"root hash  {added.build.root}")
        print(f"check it   python -m codecfake_builder verify {target.dataset}")
    else:
        print(f"recipe     {target.recipe}: {request.name} in {', '.join(added.splits)}")
        print(f"build it   python -m codecfake_builder build {shlex.quote(str(target.recipe))} --out DIR")


def _import(name: str, clips: Path, family: str, splits: list[str] | None, target: Target) -> None:
    from codecfake_builder.changes.add_imported import add_imported

    if splits and len(splits) > 1:
        raise BuilderError("--imported: a clip goes into one split only; give one --split")
    result = add_imported(name, clips, family, splits[0] if splits else None, target)
    if result is None:
        print(f"recipe     {target.recipe}: the clips of {clips} are its corpus {name}")
    else:
        print(f"extended   {result.shards_made} shards made, {result.shards_kept} kept")
        print(f"root hash  {result.root}")


def _skeleton(name: str, given: dict[str, Any], repo: str | None) -> None:
    from codecfake_builder.changes.fact_sheet import ASSUMED, first_facts
    from codecfake_builder.changes.skeleton import write_skeleton

    facts = first_facts(name, given, {}, lambda family, label: 0)
    facts.values.pop("label", None)
    facts.learn(ASSUMED, {"auxiliary": "none", "decoder_domain": "time"})
    facts.complete(name, _ask if sys.stdin.isatty() else None)
    made = write_skeleton(name, facts.codec(), repo or "")
    for path in made.written:
        print(f"written    {path}")
    for path in made.edited:
        print(f"edited     {path}")
    print("then       fill in the module, make a small checkpoint in the test, and record goldens of the upstream")
