"""Check a recipe's parts against each other and against the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import REAL
from codec_adapters.errors import OptionError
from codec_adapters.files.documents import nearest
from codec_adapters.loading import merged_options
from codecfake_builder.recipe.schema import IMPORTED, Recipe, Split


def cross_checks(recipe: Recipe, catalogue: Catalogue) -> Iterator[str]:
    """Yield one line per problem, each with the path of the field."""
    known = [REAL, IMPORTED, *catalogue.names()]
    for name, corpus in recipe.corpora.items():
        yield from (f"corpora.{name}.{problem}" for problem in corpus.problems(catalogue))
    for name, split in recipe.splits.items():
        for number, variant in enumerate(split.variants):
            if variant not in known:
                hint = nearest_variant(catalogue, variant, known)
                yield f"splits.{name}.variants.{number}: unknown variant {variant!r}; {hint}"
        for number, corpus_name in enumerate(split.own_corpora or ()):
            if corpus_name not in recipe.corpora:
                place = f"draw.{corpus_name}" if split.corpora is None else f"corpora.{number}"
                yield (
                    f"splits.{name}.{place}: the recipe has no corpus {corpus_name!r}; "
                    f"{nearest(corpus_name, list(recipe.corpora))}"
                )
        yield from _check_selection(recipe, name, split)
    for variant, options in recipe.options.items():
        if variant not in catalogue:
            yield f"options.{variant}: unknown variant; {nearest_variant(catalogue, variant, known)}"
            continue
        try:
            merged_options(catalogue.spec(variant), options)
        except OptionError as error:
            yield f"options: {error}"
    checkpoints = {entry.spec.checkpoint for entry in catalogue.entries} - {""}
    for key in recipe.weights:
        if key not in checkpoints and key not in catalogue:
            yield f"weights.{key}: neither a checkpoint nor a variant; {nearest(key, sorted(checkpoints))}"


def nearest_variant(catalogue: Catalogue, variant: str, allowed: list[str]) -> str:
    """Suggest the nearest of the ``allowed`` variants; for a family's bare name, list its variants."""
    own = [name for name in allowed if name in catalogue and catalogue.speaking_codec(name).family == variant]
    return f"choose a variant of it: {', '.join(own)}" if own else nearest(variant, allowed)


def _check_selection(recipe: Recipe, name: str, split: Split) -> Iterator[str]:
    place = f"splits.{name}"
    if split.same_as is not None:
        earlier = list(recipe.splits)[: list(recipe.splits).index(name)]
        if split.same_as not in earlier:
            yield f"{place}.same_as: {split.same_as!r} is no split above this one; {nearest(split.same_as, earlier)}"
        elif others := set(split.corpora or ()) - set(recipe.split_corpora(split.same_as)):
            yield f"{place}.corpora: {split.same_as!r} takes nothing from {', '.join(sorted(others))}"
    if recipe.assignment.method == "speaker_disjoint" and (split.ids or split.labels):
        yield f"{place}: a list cannot be kept speaker-disjoint; use draw or share, or assignment.method: paper"
    if recipe.assignment.method == "speaker_disjoint" and isinstance(split.draw, dict):
        yield f"{place}.draw: numbers per corpus cannot be kept speaker-disjoint; give one number, or use method: paper"
    if len(set(split.variants)) != len(split.variants):
        yield f"{place}.variants: a variant is named twice"
