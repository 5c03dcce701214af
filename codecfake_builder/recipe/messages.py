"""What is wrong with a recipe, in words for its author."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel, ValidationError

from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.codecs.alm_facts import AlmFacts
from codecfake_builder.codecs.codec_facts import CodecFacts
from codecfake_builder.codecs.isolated import IsolatedEntry
from codecfake_builder.corpora import AnyCorpus
from codecfake_builder.recipe.schema import Assignment, CardSettings, Execution, Recipe, Split
from codecfake_builder.resources import nearest


def explained(error: ValidationError) -> Iterator[str]:
    """Pydantic's findings, one line each: path of the field, what is wrong, and the nearest known key."""
    for problem in error.errors():
        place = _place(problem["loc"])
        kind, context = problem["type"], problem.get("ctx", {})
        if kind == "extra_forbidden":
            yield f"{place}: unknown key; {nearest(str(problem['loc'][-1]), _known_keys(problem['loc']))}"
        elif kind == "union_tag_invalid":
            known = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
            yield f"{place}.kind: unknown corpus kind {context['tag']!r}; {nearest(str(context['tag']), known)}"
        elif kind == "union_tag_not_found":
            yield f"{place}.kind: missing; one of {', '.join(_corpus_kinds())}"
        elif kind == "missing":
            yield f"{place}: missing"
        else:
            yield f"{place}: {problem['msg'].removeprefix('Value error, ')}, got {problem['input']!r:.60}"


def _place(location: tuple[int | str, ...]) -> str:
    """A field's path; pydantic puts the corpus kind into the location, a reader does not want it there."""
    parts = list(location)
    if parts[:1] == ["corpora"] and len(parts) > 2:
        del parts[2]
    return ".".join(str(part) for part in parts if part != "[key]")


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    if location[0] == "corpora":
        return list(_corpus_kinds()[str(location[2])].model_fields)
    if location[0] == "isolated":
        part: dict[object, type[BaseModel]] = {"codec": CodecFacts, "alm": AlmFacts}
        return list((part.get(location[2], IsolatedEntry) if len(location) > 3 else IsolatedEntry).model_fields)
    models: dict[str, type[BaseModel]] = {
        "splits": Split,
        "assignment": Assignment,
        "audio": AudioPolicy,
        "card": CardSettings,
        "execution": Execution,
    }
    model = Recipe if len(location) == 1 else models.get(str(location[0]), Recipe)
    return list(model.model_fields)


def _corpus_kinds() -> dict[str, type[BaseModel]]:
    """The configuration class of every corpus kind."""
    union, _ = get_args(AnyCorpus)
    return {get_args(config.model_fields["kind"].annotation)[0]: config for config in get_args(union)}
