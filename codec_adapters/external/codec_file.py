"""Codec files: YAML that adds a codec, data and never code. A recipe lists them under ``plugins:``.

A file names its codec, exactly one backend with that backend's settings, what is known of the codec, and its options.
How to write such a file is in ``docs/codec_files.md``.
"""

from __future__ import annotations

import hashlib
import os
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
"""Of the entries of ``plugins:`` that are codec files."""
_KINDS = (TransformersBackend, OnnxBackend, TorchscriptBackend, ExportedBackend, PythonBackend, CommandBackend)
BACKENDS: Mapping[str, type[Backend]] = {kind.key: kind for kind in _KINDS}
"""By the key of its section."""


class CodecFile(BaseModel):
    """One codec that is not built in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    """The variant's."""
    transformers: TransformersBackend | None = None
    onnx: OnnxBackend | None = None
    torchscript: TorchscriptBackend | None = None
    exported: ExportedBackend | None = None
    python: PythonBackend | None = None
    command: CommandBackend | None = None
    codec: CodecFacts
    options: dict[str, OptionValue] = {}
    """With their defaults; ``options.<variant>`` of a recipe may override them."""

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
        """The one backend that it has a section of."""
        found: Backend = next(part for key in BACKENDS if (part := getattr(self, key)) is not None)
        return found

    def entry(self, home: Path, plugin: str | None = None) -> Entry:
        """Return the codec's entry in a catalogue, for a codec file in folder ``home``."""
        backend = self.backend.at(home)
        return Entry(self.codec.spec(self.name, backend.address, self.options), ExternalCodec(backend, plugin))


@dataclass(frozen=True)
class ExternalCodec(Provider):
    """Loads the codec of a codec file, in any process; the file itself is not read again."""

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
        absent = self.backend.absent()
        return (
            f"fetching {len(absent)} files from {self.backend.address or 'where its codec file says'}"
            if absent
            else None
        )

    def prepare(self) -> dict[str, str]:
        self.backend.prepare()
        return {"codec file": hashlib.sha256(self.backend.settings().encode()).hexdigest(), **self.backend.hashes()}


def read_codec_file(path: Path) -> CodecFile:
    """Read a codec file as data; the files that it names are not looked at.

    Raises:
        DocumentError: one line per problem, each with the file and the path of the field.
    """
    document = read_mapping(path, f"name, codec and one of {', '.join(BACKENDS)}")
    found = validated_document(CodecFile, document, str(path))
    problems = list(_placeholder_problems(found))
    if problems:
        raise DocumentError("\n".join(f"{path}: {line}" for line in problems))
    return found


def codec_file_entry(path: Path, plugin: str | None = None) -> Entry:
    """Read a codec file and hold the files that it names to their hashes; those of a hub repository are looked at when
    they are fetched.

    Args:
        plugin: the item of a recipe's ``plugins`` that names it.

    Raises:
        DocumentError: the file is not valid; a file that it names is missing, or has changed since it was added.
    """
    home = Path(os.path.abspath(path)).parent  # noqa: PTH100 - links stay as they are
    entry = read_codec_file(path).entry(home, plugin)
    assert isinstance(entry.provider, ExternalCodec)
    try:
        if not entry.provider.backend.address:
            entry.provider.backend.prepare()
    except CheckpointError as error:
        raise DocumentError(f"{path}: {error}") from error
    return entry


def codec_file_text(
    where: str, name: str, backend: Backend, codec: CodecFacts, options: Mapping[str, OptionValue] | None = None
) -> str:
    """Return the text of a codec file, in the order in which it is read best.

    Args:
        where: the file, for messages.
        backend: with its files relative to the codec file's folder.

    Raises:
        DocumentError: what would be written is no valid codec file.
    """
    document = {"name": name, backend.key: _shown(backend), "codec": _shown(codec), "options": dict(options or {})}
    validated_document(CodecFile, document, where)
    parts = {
        part: yaml.safe_dump({part: value}, sort_keys=False, allow_unicode=True, width=120)
        for part, value in document.items()
        if value != {}
    }
    return "".join(f"{_COMMENTS.get(part, '')}{body}" for part, body in parts.items())


_COMMENTS = {
    "name": "# A codec for codecfake_builder: list this file under plugins: of a recipe. See docs/codec_files.md.\n",
    "codec": "# What is said of the codec; its class in a dataset is family with label.\n",
    "options": "# Defaults; a recipe may override them under options.\n",
}


def _shown(part: BaseModel) -> dict[str, Any]:
    """Every field that says something."""
    return part.model_dump(mode="json", exclude_none=True, exclude_unset=True)


def _placeholder_problems(file: CodecFile) -> Iterator[str]:
    if file.command is None:
        return
    for number, step in enumerate(file.command.steps):
        for argument in step:
            if problem := placeholder_problem(argument, list(file.options)):
                yield f"command.steps.{number}: {problem}"
