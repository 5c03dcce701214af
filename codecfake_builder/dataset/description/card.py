"""Write ``README.md`` of a dataset, its card: a YAML head that ``datasets`` and the Hub read, and a page for people.

The page is the template ``templates/card.md.j2``; this module computes what the template is filled with. The head is
written by the Hub's own class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from huggingface_hub import DatasetCardData

from codec_adapters import CodecSpec
from codec_adapters.classes import REAL
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.contents import ALL_CONFIG, NO_AUDIO_CONFIG, Contents
from codecfake_builder.dataset.description.certificate import Certificate
from codecfake_builder.dataset.description.sources import SpeechSource, bibliography, weights_licence
from codecfake_builder.dataset.description.split_notes import split_notes
from codecfake_builder.dataset.metadata import NetworkRates
from codecfake_builder.dataset.quality import StoiScores
from codecfake_builder.dataset.schema import COLUMNS, yaml_features
from codecfake_builder.origin import ORIGIN_MEANINGS, Origin

PAPER = "https://arxiv.org/abs/2501.06514"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""The Hub's size categories, each under the number of clips that it ends before."""

_Row = Sequence[object]
"""Cells of a line of a table."""


def card_text(
    contents: Contents,
    languages: list[str],
    root: str,
    rates: Mapping[str, NetworkRates],
    speech: Sequence[SpeechSource],
    scores: Sequence[StoiScores] = (),
    certificate: Certificate | None = None,
) -> str:
    """Return the text of ``README.md``.

    Args:
        contents: what the dataset holds.
        languages: language codes of the utterances.
        root: the dataset's root hash, see :func:`~codecfake_builder.dataset.checksums.root_hash`.
        rates: sampling rate, bit rate and codebooks of the networks that made the clips, by variant.
        speech: the corpora that the clips come from (:func:`speech_sources`).
        scores: measured STOI; none where there is no pair of clips to compare, or the recipe wants none.
        certificate: of the audit, where one was made.
    """
    environment = jinja2.Environment(  # noqa: S701 - Markdown, not HTML
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    recipe = contents.recipe
    return environment.get_template("card.md.j2").render(
        head=_head(contents, languages),
        recipe=recipe,
        contents=contents,
        root=root,
        paper=PAPER,
        layout=layout,
        all_config=ALL_CONFIG,
        no_audio_config=NO_AUDIO_CONFIG,
        origins=[name for name in contents.configs() if name in [*Origin]],
        origin_meanings=ORIGIN_MEANINGS,
        splits=_split_rows(contents),
        alms=_alm_rows(contents),
        scores=[(s.split, s.variant, s.clips, f"{s.median:.3f}", f"{s.lowest:.3f}") for s in scores],
        certificate=certificate,
        split_notes=split_notes(contents),
        speech=[(s.corpus, s.title, _dated(s), s.source) for s in speech],
        bibliography=[entry.replace("```", "") for entry in bibliography(contents, speech)],
        variants=[_variant_row(contents, spec, rates.get(spec.name)) for spec in contents.codecs],
        imported=_imported_rows(contents),
        columns=[(name, kind, meaning) for name, (kind, meaning) in COLUMNS.items()],
    )


def _head(contents: Contents, languages: list[str]) -> str:
    """Return the card's YAML head, without the lines of dashes around it."""
    clips = sum(cell.clips for cell in contents.cells)
    configs = contents.configs()
    head = {
        "license": "other",
        "license_name": "see-licences-section",
        "language": languages,
        "pretty_name": contents.recipe.title,
        "task_categories": ["audio-classification"],
        "size_categories": [next((name for bound, name in _SIZES if clips < bound), "n>1M")],
        "tags": ["audio-deepfake-detection", "source-tracing", "neural-audio-codec", "anti-spoofing"],
        "configs": [
            {
                "config_name": name,
                **({"default": True} if name == ALL_CONFIG else {}),
                "data_files": [{"split": split, "path": files} for split, files in splits.items()],
            }
            for name, splits in configs.items()
        ],
        "dataset_info": [
            {"config_name": name, "features": yaml_features(contents.classes, audio=name != NO_AUDIO_CONFIG)}
            for name in configs
        ],
    }
    # the class has an order of its own for the keys it knows: cards keep the one above
    text: str = DatasetCardData(**head).to_yaml(original_order=list(head))
    return text


def _split_rows(contents: Contents) -> list[_Row]:
    """Return the table of splits: clips of each class, clips in all, and hours."""
    rows: list[_Row] = []
    for split in contents.splits:
        cells = [cell for cell in contents.cells if cell.split == split]
        clips: Counter[str] = Counter()
        for cell in cells:
            clips[contents.family(cell.variant)] += cell.clips
        hours = sum(cell.seconds for cell in cells) / 3600
        rows.append((split, *(clips[family] for family in [REAL, *contents.families]), clips.total(), f"{hours:.2f}"))
    return rows


def _dated(source: SpeechSource) -> str:
    """Return a corpus's licence, with the month in which it was looked up."""
    return f"{source.licence} (as of {source.checked})" if source.checked else source.licence


def _variant_row(contents: Contents, spec: CodecSpec, found: NetworkRates | None) -> _Row:
    """Return a codec's line; its rates are those of the checkpoint that was used, where it made clips of its own."""
    rate, bitrate, codebooks = found or (spec.sample_rate, spec.bitrate, spec.codebooks)
    figures = (rate, f"{bitrate:.6g}", codebooks)
    licences = (spec.code_licence, weights_licence(spec, contents.recipe))
    return (spec.name, f"{spec.label} {spec.family}", *figures, spec.paper, spec.repo, *licences)


def _alm_rows(contents: Contents) -> list[_Row]:
    """Return a line for each audio language model that the dataset has clips of."""
    rows: list[_Row] = []
    for name, spec in contents.alms.items():
        codec = contents.specs[name]
        counts = sum((Counter(cell.endings) for cell in contents.cells if cell.variant == name), Counter())
        ends = " / ".join(str(counts[key]) for key in ("eos", "length", "cut"))
        label = f"{codec.label} {codec.family}"
        licences = (spec.code_licence, weights_licence(spec, contents.recipe))
        rows.append((f"{spec.title} ({name})", label, codec.name, ends, spec.paper, spec.repo, *licences))
    return rows


def _imported_rows(contents: Contents) -> list[_Row]:
    """Return a line for each variant whose clips were made elsewhere."""
    clips: Counter[str] = Counter()
    for cell in contents.cells:
        clips[cell.variant] += cell.clips
    return [(name, f"{own.label} {own.codec}", clips[name]) for name, own in contents.imported.items() if name in clips]
