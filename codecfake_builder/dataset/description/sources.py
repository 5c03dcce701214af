"""What a dataset was made from, with licences and citations: card, Croissant and provenance are written from it.

Of a corpus the recipe says it (``licence``, ``source``, ``citation``), else ``manifests/corpora.lock`` for its kind. Of
a codec or an audio language model its spec does, unless the recipe states the licence of its own ``weights:``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from codec_adapters import AlmSpec, CodecSpec
from codecfake_builder.corpora import official
from codecfake_builder.dataset.contents import Contents
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.resources import resource_folder

NOT_STATED = "not stated"
PUBLICATION = "2501.06514"
"""The arXiv id of the paper that the builder follows."""
_PAPER_ID = re.compile(r"(?:arXiv|doi)[ :]+(\S+)", re.IGNORECASE)
_ENTRY_ID = re.compile(r"^\s*(?:eprint|doi)\s*=\s*\{(\S+)\}", re.MULTILINE)
_KEY = re.compile(r"@\w+\{([^,]+),")


@dataclass(frozen=True)
class SpeechSource:
    """A corpus that clips of the dataset come from."""

    corpus: str
    """Its name in the recipe."""
    title: str
    licence: str
    source: str
    citation: str | None
    """A BibTeX entry, or words."""
    checked: str | None
    """Month in which the licence of an official corpus was looked up; ``None`` where the recipe states it."""


def speech_sources(recipe: Recipe, used: Iterable[str]) -> list[SpeechSource]:
    """Return the sources of speech, in the recipe's order.

    Args:
        recipe: of the dataset.
        used: names of the corpora that have clips in it.
    """
    used = set(used)
    sources = []
    for name, corpus in recipe.corpora.items():
        if name not in used:
            continue
        entry = official.lock().get(corpus.kind)
        sources.append(
            SpeechSource(
                corpus=name,
                title=entry.title if entry else corpus.kind,
                licence=corpus.licence or (entry.licence if entry else NOT_STATED),
                source=corpus.source or (entry.page if entry else NOT_STATED),
                citation=corpus.citation or (citations()[entry.citation] if entry else None),
                checked=None if corpus.licence or entry is None else entry.checked,
            )
        )
    return sources


def weights_licence(spec: CodecSpec | AlmSpec, recipe: Recipe) -> str:
    """Return the licence of the weights that a variant was run with."""
    own = recipe.card.weights_licence
    return own if own and recipe.weights_key(spec) else spec.weights_licence


def licences(contents: Contents, speech: Iterable[SpeechSource]) -> list[str]:
    """Return every licence that the clips have to keep to: of the speech, and of the weights that made them."""
    specs: list[CodecSpec | AlmSpec] = [*contents.specs.values(), *contents.alms.values()]
    found = {source.licence for source in speech}
    found |= {weights_licence(spec, contents.recipe) for spec in specs}
    return sorted(found)


def bibliography(contents: Contents, speech: Iterable[SpeechSource]) -> list[str]:
    """Return what to cite, each once: the publication, the corpora, then the codecs and audio language models.

    Of a codec whose paper ``manifests/citations.bib`` does not have there is no entry; the card names its paper.
    """
    by_paper = _by_paper()
    papers = [*(spec.paper for spec in contents.codecs), *(spec.paper for spec in contents.alms.values())]
    ids = [match[1] for paper in papers if (match := _PAPER_ID.search(paper))]
    entries = [by_paper[PUBLICATION], *(source.citation for source in speech), *(by_paper.get(paper) for paper in ids)]
    return list(dict.fromkeys(entry for entry in entries if entry))


@cache
def citations() -> Mapping[str, str]:
    """Read ``manifests/citations.bib``: BibTeX entries by key."""
    text = (resource_folder("manifests") / "citations.bib").read_text(encoding="utf-8")
    entries = [entry.strip() for entry in text.split("\n\n") if entry.strip()]
    return {match[1]: entry for entry in entries if (match := _KEY.match(entry))}


@cache
def _by_paper() -> Mapping[str, str]:
    """Return the entries by arXiv id or DOI."""
    return {match[1]: entry for entry in citations().values() if (match := _ENTRY_ID.search(entry))}
