"""The options of ``add-codec``: of each backend, of the codec's facts, of its target and of conformance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codecfake_builder.cli.options import DeviceOption, InferenceOption, TrustOption
from codecfake_builder.errors import BuilderError

if TYPE_CHECKING:
    from codec_adapters.external.backend import Backend
    from codec_adapters.spec import OptionValue
    from codecfake_builder.changes.drafts import Draft

    MakeBackend = Callable[[Path], Backend]

FACTS = "Facts (else read from its config, measured, or asked for)"
TARGET = "Where it goes"


def _panel(title: str) -> Callable[..., Any]:
    """Return ``typer.Option`` for a panel of the help that holds the options of one backend."""
    return partial(typer.Option, rich_help_panel=f"Backend: {title}")


_TRANSFORMERS = _panel("a codec class of transformers")
_GRAPHS = _panel("graphs (encoder and decoder, or one round trip)")
_PYTHON = _panel("a Python object (code, which runs)")
_COMMAND = _panel("programs that read and write audio files (they run)")
_WORKER = _panel("a worker in an environment of its own (its driver runs)")
_OTHER = _panel("none (nothing runs here)")


@dataclass
class TransformersOptions:
    """Options of the backend ``transformers``."""

    transformers: Annotated[
        str | None, _TRANSFORMERS(metavar="REPO_OR_DIR", help="Hub repository, or a folder with config and weights.")
    ] = None
    revision: Annotated[str, _TRANSFORMERS(help="Branch, tag or commit on the hub.")] = "main"

    def make_backend(self, decoder: Path | None) -> MakeBackend | None:
        """Return what puts the backend's files into the codec's folder; ``None`` where its options are not given."""
        if self.transformers is None:
            return None
        from codec_adapters.external.transformers import TransformersBackend

        return partial(TransformersBackend.from_user, given=self.transformers, revision=self.revision)


@dataclass
class GraphOptions:
    """Options of the backends ``onnx``, ``exported`` and ``torchscript``."""

    onnx: Annotated[Path | None, _GRAPHS(metavar="ENCODER", help="ONNX; its DECODER stands after it.")] = None
    exported: Annotated[Path | None, _GRAPHS(metavar="ENCODER", help="torch.export; its DECODER stands after it.")] = (
        None
    )
    torchscript: Annotated[Path | None, _GRAPHS(help="TorchScript archive.")] = None

    def make_backend(self, decoder: Path | None) -> MakeBackend | None:
        """Return what puts the graphs into the codec's folder; ``decoder`` is the second graph, where there are two."""
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
    """Options of the backend ``python``."""

    python: Annotated[str | None, _PYTHON(metavar="MODULE:CLASS", help="Or FILE.py:CLASS.")] = None
    batched: Annotated[bool, _PYTHON("--batched", help="It takes whole batches.")] = False
    numpy: Annotated[bool, _PYTHON("--numpy", help="It takes and gives numpy arrays.")] = False
    factory: Annotated[bool, _PYTHON("--factory", help="It is a function that makes the codec.")] = False
    layout: Annotated[
        str | None,
        _PYTHON(help="Axes it takes: BS [batch, samples], BCS [batch, 1, samples], S; default: found by trying."),
    ] = None

    def make_backend(self, decoder: Path | None) -> MakeBackend | None:
        """Return what puts the backend's files into the codec's folder, as other backends do."""
        if self.python is None:
            return None
        from codec_adapters.external.python import PythonBackend

        return partial(
            PythonBackend.from_user,
            given=self.python,
            batched=self.batched,
            numpy=self.numpy,
            factory=self.factory,
            layout=self.layout,
        )


@dataclass
class CommandOptions:
    """Options of the backend ``command``."""

    command: Annotated[list[str] | None, _COMMAND(help="Program with {in} and {out}; repeatable, run in order.")] = None
    version_command: Annotated[str | None, _COMMAND(help="Prints the program's version.")] = None

    def make_backend(self, decoder: Path | None) -> MakeBackend | None:
        """Return what puts the backend's files into the codec's folder, as other backends do."""
        if not self.command:
            return None
        from codec_adapters.external.command import CommandBackend

        return partial(CommandBackend.from_user, steps=self.command, version=self.version_command)


@dataclass
class WorkerOptions:
    """Options of a codec in an environment of its own, run by a worker."""

    worker: Annotated[str | None, _WORKER(metavar="DRIVER", help="Python file, or the name of a packaged one.")] = None
    repo: Annotated[str | None, _WORKER(help="Repository, https or a folder (--builtin: owner/name).")] = None
    commit: Annotated[str | None, _WORKER(help="Its commit.")] = None
    python_version: Annotated[str | None, _WORKER(help="Of the environment, e.g. 3.9.")] = None
    requirement: Annotated[list[str] | None, _WORKER(help="Package to install; repeatable.")] = None

    def environment(self) -> dict[str, Any]:
        """Return the environment as an entry under ``isolated:`` of a recipe writes it."""
        return {
            "repo": self.repo,
            "commit": self.commit,
            "python": self.python_version,
            "requirements": self.requirement,
        }


@dataclass
class OtherOptions:
    """Options of codecs that are not run: imported clips, and a module that is yet to be written."""

    imported: Annotated[Path | None, _OTHER(metavar="DIR", help="Clips that it has made already.")] = None
    builtin: Annotated[bool, _OTHER("--builtin", help="Write a module skeleton into this checkout.")] = False


_fact = partial(typer.Option, rich_help_panel=FACTS)


@dataclass
class FactOptions:
    """Facts that the user states; ``None`` for those that are read from the codec's config, measured or asked for."""

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
    """The recipe or dataset that the codec is added to."""

    recipe: Annotated[Path | None, _target(help="Recipe file that takes it in.")] = None
    into: Annotated[Path | None, _target(metavar="DIR", help="Finished dataset to extend.")] = None
    split: Annotated[
        list[str] | None, _target(help="That gets it; repeatable. Default for a new family: eval_ood.")
    ] = None
    trust: TrustOption = False


@dataclass
class ConformanceOptions:
    """How conformance judges the codec, and whether a failure keeps it out."""

    option: InferenceOption = None
    force: Annotated[bool, typer.Option("--force", help="Add it though conformance fails.")] = False
    quick: Annotated[bool, typer.Option("--quick", help="Conformance: short clips, few repetitions.")] = False
    device: DeviceOption = "auto"


@dataclass(frozen=True)
class BackendOptions:
    """The options of all backends; exactly one backend is given."""

    transformers: TransformersOptions
    graphs: GraphOptions
    python: PythonOptions
    command: CommandOptions
    worker: WorkerOptions
    other: OtherOptions

    def chosen(self, decoder: Path | None) -> str:
        """Return the option of the backend that is given.

        Raises:
            BuilderError: none or several are given; or a second file for a backend that takes one file.
        """
        backends = {
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
        given = [option for option, value in backends.items() if value]
        if len(given) != 1:
            raise BuilderError(
                f"give exactly one of {', '.join(backends)}; found {' and '.join(given) or 'none of them'}"
            )
        if decoder is not None and given[0] not in ("--onnx", "--exported"):
            raise BuilderError(f"{decoder}: only --onnx and --exported take a second file")
        return given[0]

    def draft(self, name: str, decoder: Path | None, options: dict[str, OptionValue]) -> Callable[[Path], Draft]:
        """Return what makes the draft of the given backend in an empty folder."""
        from codecfake_builder.changes.drafts import FileDraft, WorkerDraft

        if self.worker.worker is not None:
            driver, environment = self.worker.worker, self.worker.environment()
            return lambda folder: WorkerDraft(name, folder, options, driver, environment)
        backends = (self.transformers, self.graphs, self.python, self.command)
        make = next(found for backend in backends if (found := backend.make_backend(decoder)) is not None)
        return lambda folder: FileDraft(name, folder, options, make)
