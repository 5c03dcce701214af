"""The built-in variants, read from ``variants/<family>.yaml``: families are code, variants are data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from codec_adapters.spec import LABELS, CodecSpec, Taxonomy

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""For the package's own files: the fast safe loader where there is one."""
_SPEC_FIELDS = {f.name for f in fields(CodecSpec)}


@dataclass(frozen=True)
class CatalogEntry:
    """A built-in variant: its spec, and ``module:Class`` of its adapter, imported only when it is loaded.

    A family names one adapter; a variant of another architecture under the same label names its own.
    """

    spec: CodecSpec
    adapter: str


def _spec(family: str, facts: dict[str, Any]) -> CodecSpec:
    unknown = set(facts) - _SPEC_FIELDS
    if unknown:
        raise ValueError(f"variants/{family}.yaml: unknown key {', '.join(sorted(unknown))}")
    values = dict(facts, family=family, label=LABELS[family])
    values["taxonomy"] = Taxonomy(**values["taxonomy"])
    values["options"] = dict(values.get("options") or {})
    return CodecSpec(**values)


@cache
def builtin() -> dict[str, CatalogEntry]:
    """All built-in variants by name, in label order. Imports neither torch nor any codec."""
    entries: list[CatalogEntry] = []
    for resource in files("codec_adapters.families").joinpath("variants").iterdir():
        if not resource.name.endswith(".yaml"):
            continue
        family = resource.name.removesuffix(".yaml")
        document = yaml.load(resource.read_text(encoding="utf-8"), Loader=Loader)
        shared = document["family"]
        for name, own in document["variants"].items():
            facts = {"adapter": document["adapter"], **shared, **own, "name": name}
            entries.append(CatalogEntry(adapter=facts.pop("adapter"), spec=_spec(family, facts)))
    entries.sort(key=lambda entry: (entry.spec.label, entry.spec.name))
    return {entry.spec.name: entry for entry in entries}
