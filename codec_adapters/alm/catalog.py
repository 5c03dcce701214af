"""The built-in ALMs, read from ``variants/<module>.yaml``: the code is a module, each released model is data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from codec_adapters.alm.spec import AlmSpec
from codec_adapters.catalog import Loader

_SPEC_FIELDS = {f.name for f in fields(AlmSpec)}


@dataclass(frozen=True)
class AlmEntry:
    """A built-in ALM: its spec, and ``module:Class``, imported only when it is loaded."""

    spec: AlmSpec
    model: str


def _entry(file: str, model: str, facts: dict[str, Any]) -> AlmEntry:
    unknown = set(facts) - _SPEC_FIELDS
    if unknown:
        raise ValueError(f"alm/variants/{file}: unknown key {', '.join(sorted(unknown))}")
    return AlmEntry(AlmSpec(**{**facts, "prompt": tuple(facts["prompt"])}), model)


@cache
def builtin() -> dict[str, AlmEntry]:
    """All built-in ALMs by name, sorted. Imports neither torch nor any model."""
    entries: dict[str, AlmEntry] = {}
    for resource in files("codec_adapters.alm").joinpath("variants").iterdir():
        if not resource.name.endswith(".yaml"):
            continue
        document = yaml.load(resource.read_text(encoding="utf-8"), Loader=Loader)
        for name, own in document["variants"].items():
            facts = {**document["shared"], **(own or {}), "name": name}
            entries[name] = _entry(resource.name, document["model"], facts)
    return dict(sorted(entries.items()))
