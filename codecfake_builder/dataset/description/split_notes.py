"""Say in words what each split of a dataset holds, and what in it a model trained on ``train`` has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from codec_adapters.classes import REAL
from codecfake_builder.dataset.contents import Contents

TRAIN = "train"
"""The split that the others are compared with, where a recipe has it."""


def split_notes(contents: Contents) -> list[tuple[str, str, str]]:
    """Return for each split with clips: its name, whose utterances it has, and what is new against ``train``."""
    return [(split, _utterances(contents, split), _new(contents, split)) for split in contents.splits]


def _utterances(contents: Contents, name: str) -> str:
    """Say which utterances a split has and how they were selected."""
    split = contents.recipe.splits[name]
    corpora = _names(contents.recipe.split_corpora(name))
    if split.same_as is not None:
        part = f"; only those on the list `{split.only}`" if split.only else ""
        return f"those of `{split.same_as}`, from {corpora}{part}"
    if split.ids is not None or split.labels is not None:
        return f"from {corpora}, by a list of ids"
    return f"drawn from {corpora}"


def _new(contents: Contents, name: str) -> str:
    """Say what of a split is not in ``train``: classes, settings of them, speech, ways of making clips."""
    if name == TRAIN or TRAIN not in contents.splits:
        return "" if name == TRAIN else "there is no split `train` to compare with"
    return "; ".join(_differences(contents, name)) or "nothing but the utterances"


def _differences(contents: Contents, name: str) -> Iterator[str]:
    own, known = _variants(contents, name), _variants(contents, TRAIN)
    families = {contents.family(variant) for variant in own} - {REAL}
    seen = {contents.family(variant) for variant in known}
    if unseen := families - seen:
        yield f"classes that `train` has not: {_names(sorted(unseen))}"
    added = sorted(own - known - {REAL})
    if spoken := [variant for variant in added if variant in contents.alms]:
        yield f"speech of audio language models: {_names(spoken)}"
    if told := [variant for variant in added if variant in contents.imported]:
        yield f"clips made elsewhere: {_names(told)}"
    settings = (variant for variant in added if variant not in spoken + told)
    if changed := [variant for variant in settings if contents.family(variant) in seen]:
        yield f"settings of known classes that `train` has not: {_names(changed)}"
    if corpora := [
        corpus for corpus in contents.recipe.split_corpora(name) if corpus not in contents.recipe.split_corpora(TRAIN)
    ]:
        yield f"source speech that `train` has not: {_names(corpora)}"
    disjoint = contents.recipe.assignment.method == "speaker_disjoint"
    if disjoint and contents.recipe.selected_by(name) != contents.recipe.selected_by(TRAIN):
        yield "no speaker of `train`"


def _variants(contents: Contents, split: str) -> set[str]:
    """Return the variants that a split has clips of."""
    return {cell.variant for cell in contents.cells if cell.split == split and cell.clips}


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
