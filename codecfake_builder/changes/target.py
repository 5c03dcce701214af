"""Where a codec is added: to a recipe file of the user, to the recipe inside a finished dataset, or to neither yet."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import LABELS
from codec_adapters.files.documents import nearest
from codec_adapters.registration import default_catalogue
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.contents import refuse_config_names
from codecfake_builder.dataset.saved import load_plan_summary, saved_document
from codecfake_builder.dataset.versions import finished, refuse_changed, state
from codecfake_builder.errors import BuilderError, DatasetError, RecipeError
from codecfake_builder.recipe.edit import Document, next_free_label, with_codec
from codecfake_builder.recipe.edit_file import edited_text, read_recipe_text, write_edited
from codecfake_builder.recipe.load import load_recipe, parse_recipe, recipe_document
from codecfake_builder.recipe.resolve import Resolved

UNKNOWN_SPLIT = "eval_ood"
"""Where a family goes that no training split has."""


@dataclass(frozen=True)
class Target:
    """The recipe that the codec is added to, and the dataset that is extended; either may be absent."""

    recipe: Path | None
    dataset: Path | None
    document: Document
    """The recipe as it is; empty where there is none."""
    catalogue: Catalogue
    """The recipe's; the default one where there is none."""
    state: str = ""
    """The state of the dataset when it was read."""
    limit: int | None = None
    """Of the dataset, where it is a trial."""

    @classmethod
    def of(cls, recipe: Path | None, dataset: Path | None, trust: bool = False) -> Target:
        """Read the recipe and the dataset.

        Args:
            recipe: a recipe file of the user.
            dataset: a finished dataset.
            trust: whether the user allows all code that they name.

        Raises:
            RecipeError, DatasetError: one of them is not there or not valid, or names code that is not allowed.
        """
        if dataset is not None and not finished(dataset):
            raise DatasetError(f"{dataset}: is no finished dataset; build it first")
        before = "" if dataset is None else state(dataset)
        limit = None if dataset is None else load_plan_summary(dataset).limit
        if recipe is not None:
            if not recipe.is_file():
                raise RecipeError(f"{recipe}: no such recipe file; of a packaged recipe, extend a dataset (--into DIR)")
            loaded = load_recipe(str(recipe), trust=trust)
            return cls(recipe, dataset, recipe_document(recipe), loaded.catalogue, before, limit)
        if dataset is not None:
            path, document = dataset / layout.RECIPE, saved_document(dataset)
            kept = parse_recipe(deepcopy(document), str(path), path.parent, came_with_data=True, trust=trust)
            return cls(None, dataset, document, kept.catalogue, before, limit)
        return cls(None, None, {}, default_catalogue())

    def refuse_changed(self) -> None:
        """Refuse to go on where another command has changed the dataset since it was read.

        Raises:
            DatasetError: it has.
        """
        if self.dataset is not None:
            refuse_changed(self.dataset, self.state)

    @property
    def folder(self) -> Path:
        """Return the recipe's folder, which its relative paths start from."""
        if self.recipe is not None:
            return self.recipe.parent
        return self.dataset / layout.STATE if self.dataset is not None else Path()

    def label_of(self, family: str, given: int | None) -> int:
        """Return the label of a family here: its own, or the next free one.

        Raises:
            BuilderError: another is ``given``; or no family can have that name.
        """
        refuse_config_names([family])
        label = next_free_label(self.document, self.catalogue, family)
        if given is not None and given != label and (self.document or family in LABELS):
            raise BuilderError(f"--label {given}: {family} gets label {label} here; leave it out")
        return label if given is None else given

    def splits(self, given: list[str] | None, family: str) -> list[str]:
        """Return the splits that the codec is added to.

        Raises:
            BuilderError: one that the recipe does not have, or it cannot be told which.
        """
        known = list(self.document.get("splits") or {})
        for split in given or []:
            if split not in known:
                raise BuilderError(f"--split {split}: the recipe has no such split; {nearest(split, known)}")
        if given or not self.document:
            return given or []
        if family not in LABELS and UNKNOWN_SPLIT in known:
            return [UNKNOWN_SPLIT]
        raise BuilderError(f"--split: say which splits get the codec; the recipe has {', '.join(known)}")

    def check(self, edit: Callable[[Document], Document]) -> None:
        """Raise whatever forbids the edit, before anything is measured."""
        if self.recipe is not None:
            edited_text(read_recipe_text(self.recipe), str(self.recipe), edit)
        elif self.document:
            edit(self.document)

    def edited(self, edit: Callable[[Document], Document]) -> Resolved | None:
        """Return the recipe with the codec; a user's file is edited in place.

        All code in it was allowed when it was read, and the codec is what the user brings.
        """
        if self.recipe is not None:
            write_edited(self.recipe, edit)
            return load_recipe(str(self.recipe), trust=True)
        if self.dataset is not None:  # its kept recipe changes together with it
            return parse_recipe(edit(self.document), str(self.dataset / layout.RECIPE), self.folder, trust=True)
        return None


def codec_edit(
    name: str, splits: list[str], catalogue: Catalogue, entry: dict[str, Any]
) -> Callable[[Document], Document]:
    """Return the edit that puts a codec into a recipe."""
    return lambda document: with_codec(document, name, splits, catalogue, **entry)
