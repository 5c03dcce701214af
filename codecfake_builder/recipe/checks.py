"""What of a recipe only shows when its parts are held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from codec_adapters import OptionError
from codec_adapters.registry import merged_options
from codecfake_builder.clip_class import REAL
from codecfake_builder.codecs.plugins import added_codecs
from codecfake_builder.codecs.variants import known_variants, nearest_variant, variant_spec
from codecfake_builder.recipe.schema import IMPORTED, Recipe, Split
from codecfake_builder.resources import nearest


def cross_checks(recipe: Recipe) -> Iterator[str]:
    """One line per problem, each with the path of the field."""
    known = [REAL, IMPORTED, *known_variants()]
    yield from (f"plugins: {name} is both a codec variant and an ALM" for name in _doubles(known))
    twice = sorted(set(recipe.isolated) & set(added_codecs(recipe.plugins))) if recipe.isolated else []
    yield from (f"isolated.{name}: a codec file of plugins adds a codec of this name too" for name in twice)
    for name, split in recipe.splits.items():
        for number, variant in enumerate(split.variants):
            if variant not in known:
                yield f"splits.{name}.variants.{number}: unknown variant {variant!r}; {nearest_variant(variant, known)}"
        for number, corpus in enumerate(split.own_corpora or ()):
            if corpus not in recipe.corpora:
                place = f"draw.{corpus}" if split.corpora is None else f"corpora.{number}"
                yield (
                    f"splits.{name}.{place}: the recipe has no corpus {corpus!r}; "
                    f"{nearest(corpus, list(recipe.corpora))}"
                )
        yield from _check_selection(recipe, name, split)
    for variant, options in recipe.options.items():
        if variant in (REAL, IMPORTED) or variant not in known:
            yield f"options.{variant}: unknown variant; {nearest_variant(variant, known)}"
            continue
        try:
            merged_options(variant_spec(variant), options)
        except OptionError as error:
            yield f"options: {error}"
    checkpoints = {variant_spec(name).checkpoint for name in known[2:]} - {""}
    for key in recipe.weights:
        if key not in checkpoints and key not in known[2:]:
            yield f"weights.{key}: neither a checkpoint nor a variant; {nearest(key, sorted(checkpoints))}"


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


def _doubles(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
