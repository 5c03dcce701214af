"""The built-in catalogue: codec families and ALMs are code, their variants are data, in YAML files beside the code.

``yaml`` and ``importlib.resources`` are imported when the files are read, since the command line imports this module
at its start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from codec_adapters.catalogue import Catalogue, sorting_key
from codec_adapters.classes import LABELS
from codec_adapters.entry import Entry, Packaged
from codec_adapters.spec import AlmSpec, CodecSpec, Taxonomy


@cache
def builtin_catalogue() -> Catalogue:
    """Return the catalogue of what comes with this package, read once per process. Imports neither torch nor any codec.

    >>> from codec_adapters.builtin import builtin_catalogue
    >>> builtin_catalogue().codec("encodec_24khz_6kbps").family
    'encodec'
    """
    entries = [*_packaged_codecs(), *_packaged_alms()]
    return Catalogue(tuple(sorted(entries, key=sorting_key)))


def _packaged_codecs() -> Iterator[Entry]:
    """Read ``families/variants``: one file per family, with what its variants share and what is each one's own."""
    for file, document in _documents("codec_adapters.families"):
        family = file.removesuffix(".yaml")
        for name, own in document["variants"].items():
            values = {"adapter": document["adapter"], **document["family"], **own, "name": name}
            target = values.pop("adapter")  # a variant of another architecture under the same label names its own
            _refuse_unknown_keys(f"families/variants/{file}", values, CodecSpec)
            values |= {"family": family, "label": LABELS[family], "taxonomy": Taxonomy(**values["taxonomy"])}
            yield Entry(CodecSpec(**{**values, "options": dict(values.get("options") or {})}), Packaged(target))


def _packaged_alms() -> Iterator[Entry]:
    """Read ``alm/variants``: one file per model class, with what its ALMs share and what is each one's own."""
    for file, document in _documents("codec_adapters.alm"):
        for name, own in document["variants"].items():
            values = {**document["shared"], **(own or {}), "name": name}
            _refuse_unknown_keys(f"alm/variants/{file}", values, AlmSpec)
            yield Entry(AlmSpec(**{**values, "prompt": tuple(values["prompt"])}), Packaged(document["model"]))


def _documents(package: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the variants files of a package, each with its name."""
    from importlib.resources import files

    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, where libyaml is there
    for resource in files(package).joinpath("variants").iterdir():
        if resource.name.endswith(".yaml"):
            yield resource.name, yaml.load(resource.read_text(encoding="utf-8"), Loader=loader)


def _refuse_unknown_keys(place: str, values: Mapping[str, Any], kind: type[CodecSpec] | type[AlmSpec]) -> None:
    wrong = set(values) - {field.name for field in fields(kind)}
    if wrong:
        raise ValueError(f"{place}: unknown key {', '.join(sorted(wrong))}")
