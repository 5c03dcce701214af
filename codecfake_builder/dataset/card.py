"""``README.md`` of a dataset: the YAML head that ``datasets`` and the Hub read, and a card for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from codec_adapters import CodecSpec
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.contents import ALL_CONFIG, NO_AUDIO_CONFIG, Contents
from codecfake_builder.dataset.metadata import NetworkRates
from codecfake_builder.dataset.quality import StoiScores
from codecfake_builder.dataset.schema import COLUMNS, yaml_features

PAPER = "https://arxiv.org/abs/2501.06514"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def card(
    contents: Contents,
    languages: list[str],
    root: str,
    rates: Mapping[str, NetworkRates],
    scores: Sequence[StoiScores] = (),
) -> str:
    """The whole card.

    Args:
        languages: language codes of the utterances.
        root: the dataset's root hash, see ``checksums.root_hash``.
        rates: of each variant's network, as the clips' rows have them.
        scores: measured STOI, where the recipe wants it in the card.
    """
    head = yaml.safe_dump(_head(contents, languages), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{_prose(contents, root, rates, scores)}"


def _head(contents: Contents, languages: list[str]) -> dict[str, Any]:
    clips = sum(cell.clips for cell in contents.cells)
    size = next((name for bound, name in _SIZES if clips < bound), "n>1M")
    configs = contents.configs()
    return {
        "license": "other",
        "license_name": "see-licences-section",
        "language": languages,
        "pretty_name": contents.recipe.title,
        "task_categories": ["audio-classification"],
        "size_categories": [size],
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


def _prose(contents: Contents, root: str, rates: Mapping[str, NetworkRates], scores: Sequence[StoiScores]) -> str:
    recipe = contents.recipe
    return "\n".join(
        [
            f"# {recipe.title}",
            "",
            "Speech, and the same speech re-synthesized through neural audio codecs, for tracing which codec a clip "
            f"came through. Built with codecfake_builder from the recipe `{recipe.name}`, after "
            f"[Neural Codec Source Tracing]({PAPER}).",
            "",
            *(line for note in recipe.notes for line in (" ".join(note.split()), "")),
            f"Root hash: `{root}` (sha256 over the lines of `{layout.CHECKSUMS}` without this file).",
            f"Check every file with `sha256sum -c {layout.CHECKSUMS}`, and every clip with "
            "`python -m codecfake_builder verify .`.",
            "",
            "## Use",
            "",
            "```python",
            "import io, datasets, soundfile",
            "",
            f'ds = datasets.load_dataset("PATH", "{ALL_CONFIG}", split="{contents.splits[0]}")',
            'row = ds.cast_column("audio", datasets.Audio(decode=False))[0]  # needs no torchcodec',
            'samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")',
            "```",
            "",
            f"Configs: `{ALL_CONFIG}` (default), one per codec family with the real speech beside it, and "
            f"`{NO_AUDIO_CONFIG}` without audio. Rows of a split are grouped by variant: shuffle before training.",
            "",
            "## Splits",
            "",
            *_table(contents),
            "",
            f"What was left out, with reasons, is in `{layout.REJECTED}`.",
            "",
            "## How a clip was made",
            "",
            "decode, mix to mono, resample to the codec's rate (soxr VHQ), codec, resample to 16 kHz, take out the "
            "codec's delay, cut or pad to the source's own length, scale down if over full scale (column `gain`), "
            "FLAC 16 bit. Real clips pass the same chain without the codec. Versions and checkpoint hashes: "
            f"`{layout.PROVENANCE}`.",
            *_alms(contents),
            *_scores(scores, recipe.card.stoi_clips),
            "",
            "## Variants and licences",
            "",
            "The speech keeps the licence of its corpus (VCTK: CC BY 4.0; AISHELL-3: Apache-2.0; others: their own). "
            "What a codec's weights allow is in the last column.",
            "",
            "| variant | class | rate, Hz | bit/s | codebooks | paper | weights' licence |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(_variant(spec, rates.get(spec.name), recipe.card.weights_licence) for spec in contents.codecs),
            "",
            *_imported(contents),
            "## Columns",
            "",
            "| column | type | meaning |",
            "| --- | --- | --- |",
            *(f"| {name} | {kind} | {meaning} |" for name, (kind, meaning) in COLUMNS.items()),
            "",
            "## Limits",
            "",
            "Meant for research on detecting and tracing synthetic speech, not for imitating speakers. The speakers "
            "are those of the source corpora, who agreed to their publication, and the speech is read, recorded "
            "closely and mostly clean: results need not carry over to other conditions.",
            "",
        ]
    )


def _variant(spec: CodecSpec, found: NetworkRates | None, licence: str) -> str:
    """A codec's line; its rates are those of the checkpoint that was used, where it made clips of its own."""
    rate, bitrate, codebooks = found or (spec.sample_rate, spec.bitrate, spec.codebooks)
    return (
        f"| {spec.name} | {spec.label} {spec.family} | {rate} | {bitrate:.6g} | {codebooks} | {spec.paper} | "
        f"{licence or spec.weights_licence} |"
    )


def _scores(scores: Sequence[StoiScores], clips: int) -> list[str]:
    """The section on intelligibility, where it was measured."""
    if not scores:
        return []
    return [
        "",
        "## Intelligibility",
        "",
        "STOI of re-synthesized clips against the real clip of the same utterance, at most "
        f"{clips} of each split and variant (1 would be the real clip itself). "
        f"`python -m codecfake_builder quality . --clips {clips}` measures it again.",
        "",
        "| split | variant | clips | median | lowest |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {s.split} | {s.variant} | {s.clips} | {s.median:.3f} | {s.lowest:.3f} |" for s in scores),
    ]


def _alms(contents: Contents) -> list[str]:
    """The section on audio language models, where the dataset has clips of any."""
    if not contents.alms:
        return []
    lines = [
        "",
        "## Audio language models",
        "",
        "A model's clip is speech of its own, made from a prompt (`prompt_id`; corpus, speaker and language are the "
        "prompt's): as long as the model spoke, and no re-synthesis of its source. Its class is the codec that the "
        "model speaks through. From the resampling to 16 kHz on it passes the chain above.",
        "",
        "| model | class | codec | clips ended by the model / at the limit / with ids cut | paper | weights' licence |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, spec in contents.alms.items():
        codec = contents.specs[name]
        counts = sum((Counter(cell.endings) for cell in contents.cells if cell.variant == name), Counter())
        ends = " / ".join(str(counts[key]) for key in ("eos", "length", "cut"))
        lines.append(
            f"| {spec.title} ({name}) | {codec.label} {codec.family} | {codec.name} | {ends} | {spec.paper} | "
            f"{spec.weights_licence} |"
        )
    return lines


def _imported(contents: Contents) -> list[str]:
    """A word on clips that were made elsewhere, where there are any."""
    there = {cell.variant for cell in contents.cells}
    imported = {name: own for name, own in contents.imported.items() if name in there}
    if not imported:
        return []
    return [
        "## Imported clips",
        "",
        "Clips that were made elsewhere (column `provenance`: imported) passed the same chain without a codec and keep "
        "their own length. Label -1 (`vocoder`) marks fakes that no neural codec made: they belong to no class.",
        "",
        "| variant | class | clips |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {own.label} {own.codec} | {sum(c.clips for c in contents.cells if c.variant == name)} |"
            for name, own in imported.items()
        ),
        "",
    ]


def _table(contents: Contents) -> list[str]:
    families = ["real", *contents.families]
    lines = [
        "| split | " + " | ".join(families) + " | clips | hours |",
        "| --- " * (len(families) + 3) + "|",
    ]
    for split in contents.splits:
        cells = [cell for cell in contents.cells if cell.split == split]
        counts = [sum(c.clips for c in cells if contents.family(c.variant) == family) for family in families]
        hours = sum(cell.seconds for cell in cells) / 3600
        lines.append(f"| {split} | " + " | ".join(map(str, counts)) + f" | {sum(counts)} | {hours:.2f} |")
    return lines
