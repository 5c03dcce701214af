"""What ``provenance.json`` says that a dataset holds, as far as rows are held against it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from codec_adapters.classes import REAL
from codecfake_builder.dataset import layout
from codecfake_builder.errors import DatasetError

_EXAMPLES = 3


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Members(_Part):
    """How many utterances were planned, and which."""

    utterances: int
    membership_sha256: str


class SplitExpected(Members):
    """A split: its utterances, and what they pass through."""

    variants: list[str]
    selected_by: str
    imported: dict[str, Members] = {}

    def cells(self) -> Iterator[tuple[str, Members]]:
        """Yield each variant with its utterances."""
        yield from ((variant, self) for variant in self.variants)
        yield from self.imported.items()


class _Spec(_Part):
    family: str
    label: int


class _Codec(_Part):
    spec: _Spec


class _Alm(_Part):
    codec: _Codec


class _Imported(_Part):
    codec: str
    label: int


class _Assignment(_Part):
    method: str = "paper"
    duplicates: str = "once"


class _Recipe(_Part):
    assignment: _Assignment


class Expected(_Part):
    """The content of ``provenance.json``."""

    splits: dict[str, SplitExpected]
    variants: dict[str, _Codec]
    alms: dict[str, _Alm] = {}
    imported: dict[str, _Imported] = {}
    recipe: _Recipe

    @model_validator(mode="after")
    def _no_unknown(self) -> Self:
        for name, split in self.splits.items():
            for variant in split.variants:
                if variant != REAL and variant not in self.variants and variant not in self.alms:
                    raise ValueError(f"splits.{name}: nothing is said of variant {variant}")
            for variant in split.imported:
                if variant not in self.imported:
                    raise ValueError(f"splits.{name}: nothing is said of imported variant {variant}")
        return self

    def class_of(self, split: str, variant: str) -> tuple[str, int, bool]:
        """Return the class and label that clips of a variant have, and whether they were imported."""
        if variant in self.splits[split].imported:
            return self.imported[variant].codec, self.imported[variant].label, True
        if variant == REAL:
            return REAL, 0, False
        spec = self.alms[variant].codec.spec if variant in self.alms else self.variants[variant].spec
        return spec.family, spec.label, False


def parse_expected(data: bytes) -> Expected:
    """Return what the bytes of ``provenance.json`` say.

    Raises:
        DatasetError: they are no JSON, or lack what is needed; one line.
    """
    try:
        return Expected.model_validate_json(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        said = [".".join(map(str, problem["loc"])) + ": " + problem["msg"] for problem in problems[:_EXAMPLES]]
        more = f"; and {len(problems) - _EXAMPLES} more" if len(problems) > _EXAMPLES else ""
        raise DatasetError(
            f"{layout.PROVENANCE}: {'; '.join(said).removeprefix(': ')}{more}; rows could not be held against it"
        ) from error
