"""``add-codec --imported``: add clips that somebody else's codec made, with nothing to run or measure."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from codec_adapters.classes import LABELS
from codecfake_builder.changes.build import BuildResult, build
from codecfake_builder.changes.target import Target
from codecfake_builder.errors import BuilderError, RecipeError
from codecfake_builder.recipe.edit import Document
from codecfake_builder.recipe.schema import IMPORTED


def add_imported(name: str, clips: Path, family: str, split: str | None, target: Target) -> BuildResult | None:
    """Put a folder of clips into a recipe, as a corpus of kind ``imported``, and extend the dataset.

    Args:
        name: of the corpus.
        clips: folder of audio files.
        family: class of the clips; a variant that is known does too.
        split: takes them in; a new one, or one that names its corpora. By default ``ood_<name>``.

    Raises:
        BuilderError: no such folder, no recipe, or a split that cannot take them in.
    """
    if not target.document:
        raise BuilderError("--imported: give --recipe FILE or --into DIR; clips alone make no codec")
    if not clips.is_dir():
        raise BuilderError(f"--imported {clips}: no such folder")
    target.refuse_changed()
    resolved = target.edited(imported_edit(name, clips, family, split or f"ood_{name}", target))
    if resolved is None or target.dataset is None:
        return None
    return build(resolved, target.dataset, target.limit, based_on=target.state)


def imported_edit(name: str, clips: Path, family: str, split: str, target: Target) -> Callable[[Document], Document]:
    """Return the edit that puts the clips into a recipe."""
    label = target.label_of(family, None)
    is_new = family not in LABELS and family not in target.catalogue

    def edit(document: Document) -> Document:
        edited: Any = deepcopy(document)
        if name in edited["corpora"]:
            raise RecipeError(f"corpora.{name}: is there already; choose another name")
        edited["corpora"][name] = {"kind": "imported", "root": str(clips.resolve()), "codec": family}
        if is_new:
            if not edited.get("classes"):
                edited["classes"] = {}
            edited["classes"][family] = label
        own = edited["splits"].get(split)
        if own is None:
            edited["splits"][split] = {"corpora": [name], "share": 1.0, "variants": [IMPORTED]}
            return edited
        if not isinstance(own.get("corpora"), list):
            raise RecipeError(f"splits.{split}: does not list its corpora; give --split a new name")
        own["corpora"] = [*own["corpora"], name]
        if IMPORTED not in own["variants"]:
            own["variants"] = [*own["variants"], IMPORTED]
        return edited

    return edit
