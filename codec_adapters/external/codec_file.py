"""Codec files: YAML that describes an external codec, data and never code. A recipe lists them under ``plugins:``.

A codec file has the codec's name, the section of exactly one backend, the facts of the codec, and its options.
``docs/codec_files.md`` says how to write one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from codec_adapters.builtin import builtin_catalogue
from codec_adapters.entry import Entry, Provider
from codec_adapters.errors import CheckpointError, DocumentError
from codec_adapters.external.backend import Backend
from codec_adapters.external.command import CommandBackend
from codec_adapters.external.command_line import placeholder_problem
from codec_adapters.external.exported import ExportedBackend
from codec_adapters.external.facts import CodecFacts
from codec_adapters.external.onnx import OnnxBackend
from codec_adapters.external.python import PythonBackend
from codec_adapters.external.torchscript import TorchscriptBackend
from codec_adapters.external.transformers import TransformersBackend
from codec_adapters.files.documents import read_mapping, validated_document
from codec_adapters.spec import OptionValue

SUFFIXES = (".yaml", ".yml")
"""Ends of the file names of ``plugins:`` that are codec files."""
_CLASSES = (TransformersBackend, OnnxBackend, TorchscriptBackend, ExportedBackend, PythonBackend, CommandBackend)
BACKENDS: Mapping[str, type[Backend]] = {backend.key: backend for backend in _CLASSES}
"""The class of each backend, by the key of its section."""


class CodecFile(BaseModel):
    """What a codec file says: one external codec."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    """Name of the codec variant."""
    transformers: TransformersBackend | None = None
    onnx: OnnxBackend | None = None
    torchscript: TorchscriptBackend | None = None
    exported: ExportedBackend | None = None
    python: PythonBackend | None = None
    command: CommandBackend | None = None
    codec: CodecFacts
    options: dict[str, OptionValue] = {}
    """Inference options with their defaults; ``options.<variant>`` of a recipe may override them."""

    @model_validator(mode="after")
    def _one_backend(self) -> CodecFile:
        given = [key for key in BACKENDS if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(BACKENDS)}; found {' and '.join(given) or 'none of them'}"
            )
        if self.name in builtin_catalogue():
            raise ValueError(f"name: {self.name}: a built-in variant has this name; choose another")
        for problem in self.codec.label_problems():
            raise ValueError(f"codec.label: {problem}")
        return self

    @property
    def backend(self) -> Backend:
        """The one backend that the file has a section of."""
        found: Backend = next(part for key in BACKENDS if (part := getattr(self, key)) is not None)
        return found

    def entry(self, folder: Path, plugin: str | None = None) -> Entry:
        """Return the codec's entry in a catalogue.

        Args:
            folder: the codec file's.
            plugin: the item of a recipe's ``plugins`` that names the codec file.
        """
        backend = self.backend.at(folder)
        return Entry(self.codec.spec(self.name, backend.address, self.options), ExternalCodec(backend, plugin))


@dataclass(frozen=True)
class ExternalCodec(Provider):
    """Loader of the codec of a codec file, in any process; the codec file is not read again."""

    backend: Backend
    plugin: str | None = None

    @property
    def added_by(self) -> str | None:
        return self.plugin

    def load(self, setup: Any) -> Any:
        if setup.checkpoint is not None:
            raise CheckpointError(
                f"{setup.spec.name}: its codec file names its weights; take weights.{setup.spec.name} out"
            )
        self.backend.prepare()
        return self.backend.adapter(setup)

    def pending(self) -> str | None:
        absent = self.backend.missing_files()
        return (
            f"fetching {len(absent)} files from {self.backend.address or 'where its codec file says'}"
            if absent
            else None
        )

    def prepare(self) -> dict[str, str]:
        self.backend.prepare()
        return {"codec file": hashlib.sha256(self.backend.settings().encode()).hexdigest(), **self.backend.hashes()}


def read_codec_file(path: Path) -> CodecFile:
    """Read a codec file and check what it says; the files that it names are not read.

    Raises:
        DocumentError: one line per problem, each with the file and the path of the field.

    >>> import tempfile
    >>> from codec_adapters.external.codec_file import read_codec_file
    >>> text = '''
    ... name: telephone_8khz
    ... command: {steps: ["sox {in} -e a-law {work}/coded.wav", "sox {work}/coded.wav -e float {out}"]}
    ... codec: {family: g711, label: 12, sample_rate: 8000, hop: 1, codebooks: 1, bitrate: 64000,
    ...         taxonomy: {quantizer: scalar}}
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "telephone.yaml")
    ...     _ = path.write_text(text)
    ...     file = read_codec_file(path)
    >>> file.backend.key, file.codec.family
    ('command', 'g711')
    """
    document = read_mapping(path, f"name, codec and one of {', '.join(BACKENDS)}")
    found = validated_document(CodecFile, document, str(path))
    problems = list(_placeholder_problems(found))
    if problems:
        raise DocumentError("\n".join(f"{path}: {line}" for line in problems))
    return found


def codec_file_entry(path: Path, plugin: str | None = None) -> Entry:
    """Read a codec file, check the hashes of the files that it names, and return its codec's entry in a catalogue.

    Files of a hub repository are checked when they are fetched.

    Args:
        plugin: the item of a recipe's ``plugins`` that names it.

    Raises:
        DocumentError: the codec file is not valid; a file that it names is missing, or has changed since it was added.

    >>> import shutil, tempfile
    >>> import codec_adapters
    >>> from codec_adapters.external.codec_file import codec_file_entry, codec_file_text
    >>> from codec_adapters.external.facts import CodecFacts
    >>> from codec_adapters.external.transformers import TransformersBackend
    >>> facts = CodecFacts(family="encodec", sample_rate=24000, hop=320, codebooks=8, bitrate=6000,
    ...                    taxonomy={"quantizer": "multi"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, model = Path(folder, "codec.yaml"), "recipes/mini/weights/encodec_24khz_6kbps"
    ...     backend = TransformersBackend.from_user(Path(folder), model)  # copies the model into the folder
    ...     _ = path.write_text(codec_file_text(str(path), "my_encodec", backend, facts))
    ...     catalogue = codec_adapters.default_catalogue().with_entries(codec_file_entry(path))
    >>> catalogue.codec("my_encodec").label
    4
    """
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - links stay as they are
    entry = read_codec_file(path).entry(folder, plugin)
    assert isinstance(entry.provider, ExternalCodec)
    try:
        if not entry.provider.backend.address:
            entry.provider.backend.prepare()
    except CheckpointError as error:
        raise DocumentError(f"{path}: {error}") from error
    return entry


def codec_file_text(
    where: str,
    name: str,
    backend: Backend,
    codec: CodecFacts,
    options: Mapping[str, OptionValue] | None = None,
    notes: Mapping[str, str] | None = None,
) -> str:
    """Return the text of a codec file, with comments.

    Args:
        where: the codec file, for messages.
        name: of the codec variant.
        backend: with its files named relative to the codec file's folder.
        codec: its facts.
        options: inference options with their defaults.
        notes: comments on facts, by their names.

    Raises:
        DocumentError: the text would be no valid codec file; one line per problem.
    """
    document = {"name": name, backend.key: _shown(backend), "codec": _shown(codec), "options": dict(options or {})}
    validated_document(CodecFile, document, where)
    parts = {
        part: yaml.safe_dump({part: value}, sort_keys=False, allow_unicode=True, width=120)
        for part, value in document.items()
        if value != {}
    }
    for fact, note in (notes or {}).items():
        parts["codec"] = re.sub(rf"(?m)^(  {fact}: .*)$", rf"\1 # {note}", parts["codec"])
    return "".join(f"{_COMMENTS.get(part, '')}{body}" for part, body in parts.items())


_COMMENTS = {
    "name": "# A codec for codecfake_builder: list this file under plugins: of a recipe. See docs/codec_files.md.\n",
    "codec": "# What is said of the codec; its class in a dataset is family with label.\n",
    "options": "# Defaults; a recipe may override them under options.\n",
}


def _shown(part: BaseModel) -> dict[str, Any]:
    """Return the fields that were given, as YAML holds them."""
    return part.model_dump(mode="json", exclude_none=True, exclude_unset=True)


def _placeholder_problems(file: CodecFile) -> Iterator[str]:
    """List the unknown placeholders of a command's steps, one line each."""
    if file.command is None:
        return
    for number, step in enumerate(file.command.steps):
        for argument in step:
            if problem := placeholder_problem(argument, list(file.options)):
                yield f"command.steps.{number}: {problem}"
