"""Edit recipes: add a codec to one, or remove it.

The functions take a recipe as plain YAML mapping and return another; the given one stays as it is. ``file``
lets a user's file keep its comments and layout meanwhile.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import LABELS, REAL
from codec_adapters.external.plugins import anchored
from codec_adapters.files.documents import nearest
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.schema import IMPORTED

Document = dict[str, Any]
"""A recipe as YAML has it."""


@dataclass(frozen=True)
class VariantUse:
    """The parts of a recipe that are there for one variant only."""

    family: str
    label: int
    codecs: tuple[str, ...]
    """The variant, and for an ALM the codec that it speaks through: keys of ``options`` and ``weights``."""
    checkpoints: tuple[str, ...] = ()
    """Entries of weights.lock that these load from: further keys of ``weights``."""
    plugins: tuple[str, ...] = ()
    """The plugins that add them."""


def _use(catalogue: Catalogue, name: str) -> VariantUse:
    """Return the parts that a recipe has for a variant; the variant need not be in the catalogue."""
    if name not in catalogue:
        return VariantUse("", 0, (name,))
    codec = catalogue.speaking_codec(name)
    entries = [catalogue.entry(own) for own in dict.fromkeys((name, codec.name))]
    checkpoints = tuple(entry.spec.checkpoint for entry in entries if entry.spec.checkpoint)
    plugins = dict.fromkeys(entry.provider.added_by for entry in entries if entry.provider.added_by is not None)
    return VariantUse(codec.family, codec.label, tuple(entry.name for entry in entries), checkpoints, tuple(plugins))


def variants_of(document: Mapping[str, Any]) -> list[str]:
    """Return every codec variant and ALM that a recipe's splits name, in order."""
    splits = [split for split in (document.get("splits") or {}).values() if split]
    named = dict.fromkeys(variant for split in splits for variant in split.get("variants") or ())
    return [variant for variant in named if variant not in (REAL, IMPORTED)]


def next_free_label(document: Mapping[str, Any], catalogue: Catalogue, family: str | None = None) -> int:
    """Return the label for a new family in a recipe: the first after those that are used or retired.

    Args:
        document: a recipe.
        catalogue: the recipe's.
        family: the new family's name; one that was retired gets its own label back, and one that is there has its.
    """
    taken = {name: label for label, name in _retired(document).items()} | dict(document.get("classes") or {})
    for variant in variants_of(document):
        known = _use(catalogue, variant)
        taken[known.family] = known.label
    if family in taken:
        return taken[family]
    return LABELS.get(family or "", max([len(LABELS) - 1, *taken.values()]) + 1)


def with_codec(
    document: Document,
    name: str,
    splits: Collection[str],
    catalogue: Catalogue,
    plugin: str | None = None,
    weights: str | None = None,
    isolated: Mapping[str, Any] | None = None,
) -> Document:
    """Return the recipe with variant ``name`` in some of its splits.

    Args:
        document: a recipe.
        name: a codec variant or an ALM.
        splits: names of the recipe's splits.
        catalogue: the recipe's; a variant that it does not have yet is taken to be none of a retired family.
        plugin: the module or file that registers the variant, as it is to stand under ``plugins``.
        weights: the variant's checkpoint folder, as it is to stand under ``weights``.
        isolated: its entry under ``isolated``.

    Raises:
        RecipeError: a split that the recipe does not have, or that has the variant already.
    """
    edited = copy.deepcopy(document)
    known = edited.get("splits") or {}
    for split in splits:
        if split not in known:
            raise RecipeError(f"splits.{split}: the recipe has no such split; {nearest(split, list(known))}")
        if name in known[split]["variants"]:
            raise RecipeError(f"splits.{split}: has {name} already")
    for first, group in _sharing(known).items():
        own = known[first]["variants"]
        wanted = [split for split in group if split in splits]
        if not wanted:
            continue
        if len(wanted) < len(group):  # a YAML alias shared with splits that are to stay as they are
            other = type(own)(own)
            for split in group:
                known[split]["variants"] = own if (split in wanted) == (first in wanted) else other
        known[wanted[0]]["variants"].append(name)
    if plugin is not None and plugin not in (edited.get("plugins") or []):
        edited["plugins"] = edited.get("plugins") or []
        edited["plugins"].append(plugin)
    if weights is not None:
        _group(edited, "weights")[name] = weights
    if isolated is not None:
        _group(edited, "isolated")[name] = copy.deepcopy(dict(isolated))
    added = _use(catalogue, name)
    if _retired(edited).get(added.label) == added.family:
        _drop(edited, "retired_labels", {added.label})
    return edited


def without_codec(document: Document, name: str, catalogue: Catalogue, folder: Path = Path()) -> Document:
    """Return the recipe without variant ``name``, and without the parts that only this variant needs.

    A split that has no other variant goes too. The label of a new family (12 and up) of which no variant is left is
    retired: no other class changes its own.

    Args:
        document: a recipe.
        name: a codec variant or an ALM that a split names.
        catalogue: the recipe's.
        folder: that the recipe's relative paths are relative to.

    Raises:
        RecipeError: no split names it; or it would leave a split that others take their utterances from empty.
    """
    if name not in (there := variants_of(document)):
        raise RecipeError(f"{name}: no split of the recipe names this codec; {nearest(name, there)}")
    edited = copy.deepcopy(document)
    gone, *others = (_use(catalogue, variant) for variant in [name, *(v for v in there if v != name)])
    splits = edited["splits"]
    for split in _sharing(splits):
        if name in splits[split]["variants"]:
            splits[split]["variants"].remove(name)
    for split in [key for key, value in splits.items() if value and not value["variants"]]:
        if children := [key for key, value in splits.items() if value and value.get("same_as") == split]:
            raise RecipeError(
                f"splits.{split}: {name} is its only variant, and {', '.join(children)} takes its utterances from it; "
                "give it another variant first"
            )
        del splits[split]
    kept = {key for other in others for key in (*other.codecs, *other.checkpoints)}
    for part in ("options", "weights", "isolated"):
        _drop(edited, part, {*gone.codecs, *gone.checkpoints} - kept)
    unused = {anchored(plugin, folder) for plugin in gone.plugins} - {
        anchored(plugin, folder) for other in others for plugin in other.plugins
    }
    _drop_plugins(edited, unused, folder)
    if gone.label >= len(LABELS) and all(other.family != gone.family for other in others):
        _group(edited, "retired_labels")[gone.label] = gone.family
    return edited


def _retired(document: Mapping[str, Any]) -> dict[int, str]:
    return {int(label): name for label, name in (document.get("retired_labels") or {}).items()}


def _sharing(splits: Mapping[str, Any]) -> dict[str, list[str]]:
    """Group splits by their list of variants, which YAML aliases let several share: the first's name, then all."""
    groups: dict[int, list[str]] = {}
    for name, split in splits.items():
        if split:
            groups.setdefault(id(split["variants"]), []).append(name)
    return {group[0]: group for group in groups.values()}


def _group(document: Document, part: str) -> Any:
    if not document.get(part):
        document[part] = {}
    return document[part]


def _drop(document: Document, part: str, keys: Iterable[str | int]) -> None:
    """Remove keys from a section of the recipe, and the section itself when it is empty afterwards."""
    group = document.get(part) or {}
    for key in [key for key in keys if key in group]:
        del group[key]
        if not group:
            del document[part]


def _drop_plugins(document: Document, unused: set[str], folder: Path) -> None:
    plugins = document.get("plugins") or []
    for plugin in [plugin for plugin in plugins if anchored(plugin, folder) in unused]:
        plugins.remove(plugin)
        if not plugins:
            del document["plugins"]
