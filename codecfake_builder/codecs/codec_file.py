"""Codec files: YAML that adds a codec, data and never code. A recipe lists them under ``plugins:``.

A file names its codec, exactly one way in with that way's settings, what is known of the codec, and its options. The
ways themselves run in ``codec_adapters.external``; how to write such a file is in ``docs/codec_files.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from codec_adapters import CheckpointError, is_builtin
from codec_adapters.external import AddedCodec, TransformersWay
from codec_adapters.external.command_line import placeholder_problem
from codec_adapters.external.ways import WAYS
from codec_adapters.spec import OptionValue
from codecfake_builder.codecs.codec_facts import CodecFacts
from codecfake_builder.codecs.codec_ways import (
    PARTS,
    CommandPart,
    ExportedPart,
    OnnxPart,
    PythonPart,
    SealedFile,
    TorchscriptPart,
    TransformersPart,
    WayPart,
)
from codecfake_builder.errors import RecipeError
from codecfake_builder.files import write_text
from codecfake_builder.resources import nearest

SUFFIXES = (".yaml", ".yml")
"""Of the entries of ``plugins:`` that are codec files."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodecFile(_Part):
    """One codec that is not built in."""

    name: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    """The variant's."""
    transformers: TransformersPart | None = None
    onnx: OnnxPart | None = None
    torchscript: TorchscriptPart | None = None
    exported: ExportedPart | None = None
    python: PythonPart | None = None
    command: CommandPart | None = None
    codec: CodecFacts
    options: dict[str, OptionValue] = {}
    """With their defaults; ``options.<variant>`` of a recipe may override them."""

    @model_validator(mode="after")
    def _one_way(self) -> CodecFile:
        given = [key for key in WAYS if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(WAYS)}; found {' and '.join(given) or 'none of them'}")
        if is_builtin(self.name):
            raise ValueError(f"name: {self.name}: a built-in variant has this name; choose another")
        for problem in self.codec.label_problems():
            raise ValueError(f"codec.label: {problem}")
        return self

    @property
    def way(self) -> WayPart:
        """The settings of its way in."""
        found: WayPart = next(part for key in WAYS if (part := getattr(self, key)) is not None)
        return found

    def added(self, folder: Path) -> AddedCodec:
        """What processes need to run it, for a codec file in ``folder``."""
        way = self.way
        repo = f"https://huggingface.co/{way.repo}" if isinstance(way, TransformersPart) and way.repo else ""
        settings = json.dumps(way.model_dump(mode="json", exclude={"folder"}), sort_keys=True)
        return AddedCodec(self.codec.spec(self.name, repo, self.options), way.way(folder), settings)


def read_codec_file(path: Path) -> CodecFile:
    """A codec file as data; the files that it names are not looked at.

    Raises:
        RecipeError: one line per problem, each with the file and the path of the field.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read as a codec file ({error})") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise RecipeError(f"{path}: expected a mapping with name, codec and one of {', '.join(WAYS)}")
    try:
        found = CodecFile.model_validate(document)
    except ValidationError as error:
        raise RecipeError("\n".join(f"{path}: {line}" for line in _explained(error))) from error
    problems = list(_placeholder_problems(found))
    if problems:
        raise RecipeError("\n".join(f"{path}: {line}" for line in problems))
    return found


def load_codec_file(path: Path) -> AddedCodec:
    """The codec of a codec file, its files held to their hashes, ready to be registered. Files of a hub repository are
    looked at when they are fetched.

    Raises:
        RecipeError: the file is not valid; a file that it names is missing, or has changed since it was added.
    """
    codec = read_codec_file(path).added(path.absolute().parent)
    try:
        if not (isinstance(codec.way, TransformersWay) and codec.way.hub):
            codec.way.prepare()
    except CheckpointError as error:
        raise RecipeError(f"{path}: {error}") from error
    return codec


def write_codec_file(
    path: Path, name: str, way: WayPart, codec: CodecFacts, options: Mapping[str, OptionValue] | None = None
) -> None:
    """Write a codec file whole, in the order in which it is read best.

    Args:
        way: its files made with :func:`codecfake_builder.codecs.codec_ways.sealed`, relative to ``path``'s folder.

    Raises:
        RecipeError: what would be written is no valid codec file; nothing is written.
    """
    key = next(key for key, kind in PARTS.items() if type(way) is kind)
    document = {"name": name, key: _shown(way), "codec": _shown(codec), "options": dict(options or {})}
    try:
        CodecFile.model_validate(document)
    except ValidationError as error:
        raise RecipeError("\n".join(f"{path}: {line}" for line in _explained(error))) from error
    parts = {
        part: yaml.safe_dump({part: value}, sort_keys=False, allow_unicode=True, width=120)
        for part, value in document.items()
        if value != {}
    }
    text = "".join(f"{_COMMENTS.get(part, '')}{body}" for part, body in parts.items())
    write_text(path, text)


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


def _explained(error: ValidationError) -> Iterator[str]:
    """Pydantic's findings, one line each: path of the field, what is wrong, and the nearest known key."""
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"] if part != "[key]")
        if problem["type"] == "extra_forbidden":
            yield f"{place}: unknown key; {nearest(str(problem['loc'][-1]), _known_keys(problem['loc'][:-1]))}"
        elif problem["type"] == "missing":
            yield f"{place}: missing"
        else:
            said = problem["msg"].removeprefix("Value error, ")
            given = "" if problem["type"] == "value_error" else f", got {problem['input']!r:.60}"
            yield f"{place}: {said}{given}" if place else f"{said}{given}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    if not location:
        return list(CodecFile.model_fields)
    if location[0] == "codec":
        return list(CodecFacts.model_fields)
    part = PARTS[str(location[0])]
    return list((part if len(location) == 1 else SealedFile).model_fields)
