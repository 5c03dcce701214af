"""The dataset card: its head for ``datasets`` and the Hub, and its tables and sections."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard

from codec_adapters.builtin import builtin_catalogue
from codec_adapters.classes import LABELS
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.dataset.contents import Cell, Contents
from codecfake_builder.dataset.description.card import card_text
from codecfake_builder.dataset.description.sources import speech_sources
from codecfake_builder.dataset.metadata import NetworkRates
from codecfake_builder.dataset.quality import StoiScores
from codecfake_builder.recipe.load import load_recipe

ENCODEC, DAC, ALM, SPOKEN = "encodec_24khz_6kbps", "dac_16khz", "moshiko", "mimi_8codebooks"
HEAD = """\
license: other
license_name: see-licences-section
language:
- en
- zh
pretty_name: A set 中文
task_categories:
- audio-classification
size_categories:
- n<1K
tags:
- audio-deepfake-detection
- source-tracing
- neural-audio-codec
- anti-spoofing
configs:
- config_name: all
  default: true
  data_files:
  - split: train
    path:
    - data/train/*.parquet
  - split: dev
    path:
    - data/dev/*.parquet
- config_name: encodec
  data_files:
  - split: train
    path:
    - data/train/real-*.parquet
    - data/train/encodec_24khz_6kbps-*.parquet
  - split: dev
    path:
    - data/dev/real-*.parquet
    - data/dev/encodec_24khz_6kbps-*.parquet
"""


def contents(also: Sequence[str] = (), **changes: Any) -> Contents:
    """Return the contents of a dataset of two splits: real speech, EnCodec, DAC, and clips of the variants ``also``."""
    recipe = load_recipe("mini").recipe.model_copy(update={"title": "A set 中文", "notes": [], **changes})
    catalogue = builtin_catalogue()
    cells = [
        Cell(split, variant, clips, 1800.0, 0, (f"data/{split}/{variant}-00000.parquet",), {"eos": 2, "cut": 1})
        for split, clips in (("train", 30), ("dev", 4))
        for variant in ("real", ENCODEC, DAC, *also)
    ]
    specs = {name: catalogue.codec(name) for name in (ENCODEC, DAC)}
    alms = {ALM: catalogue.alm(ALM)} if ALM in also else {}
    if alms:
        specs[ALM] = catalogue.codec(SPOKEN)
    imported = {"told": ClipClass("snac", LABELS["snac"]), "hifigan": ClipClass("vocoder", -1)}
    return Contents(recipe, tuple(cells), specs, alms, tuple(LABELS), imported)


def card(there: Contents, **given: Any) -> str:
    speech = given.get("speech", speech_sources(there.recipe, ["espeak_recorded"]))
    return card_text(there, ["en", "zh"], "ab" * 32, given.get("rates", {}), speech, given.get("scores", ()))


def section(text: str, title: str) -> list[str]:
    """Return the lines of a section."""
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0].strip().splitlines()


def headings(text: str) -> list[str]:
    return [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]


def test_the_head_is_what_it_has_always_been() -> None:
    text = card(contents())
    assert text.startswith(f"---\n{HEAD}")
    head = yaml.safe_load(text.split("---\n")[1])
    assert list(head)[-2:] == ["configs", "dataset_info"]
    names = [config["config_name"] for config in head["configs"]]
    assert names == ["all", "encodec", "dac", "recorded", "resynthesized", "metadata"]
    assert [info["config_name"] for info in head["dataset_info"]] == names
    assert [info["features"][1]["name"] for info in head["dataset_info"]] == [*["audio"] * 5, "label"]


def test_the_hubs_tools_write_back_the_same_card() -> None:
    text = card(contents([ALM, "told"]))
    assert str(DatasetCard(text)) == text


@pytest.mark.parametrize("title", ["A title " + "of many words " * 12 + "end", "yes: 'no' # \"1\"", "2026-01-01"])
def test_any_title_is_read_back_as_it_was(title: str) -> None:
    text = card(contents(title=title))
    assert yaml.safe_load(text.split("---\n")[1])["pretty_name"] == title
    assert f"\n---\n\n# {title}\n\nSpeech, and " in text


def test_the_page_begins_with_notes_and_root_hash() -> None:
    text = card(contents(notes=["Over\n  two lines.", "{{ not }} <a> template & no HTML"]))
    page = text.split("/2501.06514).\n\n")[1].split("\n\n## Use")[0]
    assert page.splitlines() == [
        "Over two lines.",
        "",
        "{{ not }} <a> template & no HTML",
        "",
        f"Root hash: `{'ab' * 32}` (sha256 over the lines of `checksums.sha256` without this file).",
        "Check every file with `sha256sum -c checksums.sha256`, and every clip with "
        "`python -m codecfake_builder verify .`.",
    ]


def test_the_table_of_splits_counts_classes() -> None:
    assert section(card(contents([ALM, "told", "hifigan"])), "Splits") == [
        "| split | real | mimi | encodec | snac | dac | vocoder | clips | hours |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| train | 30 | 30 | 30 | 30 | 30 | 30 | 180 | 3.00 |",
        "| dev | 4 | 4 | 4 | 4 | 4 | 4 | 24 | 3.00 |",
        "",
        "| split | utterances | new against `train` |",
        "| --- | --- | --- |",
        "| train | drawn from `espeak_recorded` |  |",
        "| dev | drawn from `espeak_recorded` | no speaker of `train` |",
        "",
        "What was left out, with reasons, is in `rejected.parquet`.",
    ]


def test_a_variants_line_has_the_rates_of_the_network_that_was_used() -> None:
    spec = builtin_catalogue().codec(ENCODEC)
    text = card(contents(), rates={DAC: NetworkRates(8000, 1234.5, 3)})
    lines = section(text, "Sources and licences")
    # the recipe of the embedded edition states the licence of its own weights
    own = f"{spec.paper} | {spec.repo} | {spec.code_licence} | Apache-2.0 |"
    assert lines[-2] == f"| {ENCODEC} | 4 encodec | 24000 | 6000 | 8 | {own}"
    assert lines[-1].startswith(f"| {DAC} | 11 dac | 8000 | 1234.5 | 3 | ")


def test_sections_stand_where_there_is_something_to_say() -> None:
    always = ["Use", "What is fake", "Splits", "How a clip was made"]
    always += ["Sources and licences", "Columns", "Limits", "Citation"]
    assert headings(card(contents())) == always
    text = card(contents([ALM, "told"]), scores=[StoiScores("dev", DAC, 3, 0.98765, 0.5)])
    assert headings(text) == [
        *always[:4],
        "Audio language models",
        "Intelligibility",
        "Sources and licences",
        "Imported clips",
        "Columns",
        "Limits",
        "Citation",
    ]
    assert section(text, "Intelligibility")[-1] == f"| dev | {DAC} | 3 | 0.988 | 0.500 |"
    assert section(text, "Imported clips")[-1] == "| told | 6 snac | 34 |"
    assert f"({ALM}) | 1 mimi | {SPOKEN} | 4 / 0 / 2 | " in section(text, "Audio language models")[-1]


@pytest.mark.parametrize(
    ("audio", "said", "unsaid"),
    [
        (
            {},
            ["put 0.32 s of the clip mirrored", "fade both ends over 20 ms,", "the level of its source"],
            ["dB of its loudest"],
        ),
        (
            {"context_seconds": 0, "fade_seconds": 0, "level": "own", "trim_db": 25},
            ["VHQ), codec, resample", "within 25 dB of its loudest 10 ms, take out the mean, scale down"],
            ["mirrored", "around the clip", "fade", "level"],
        ),
        ({"fade_seconds": 0.0125, "context_seconds": 1}, ["put 1.0 s of", "over 12.5 ms"], []),
    ],
)
def test_the_card_says_how_its_own_clips_were_made(audio: dict[str, Any], said: list[str], unsaid: list[str]) -> None:
    made = " ".join(section(card(contents(audio=AudioPolicy.model_validate(audio))), "How a clip was made"))
    assert [words for words in said if words not in made] == []
    assert [words for words in unsaid if words in made] == []


def test_every_line_of_a_table_has_the_cells_of_its_header() -> None:
    licence = "MIT | or another"
    there = contents([ALM, "told"])
    there = contents([ALM, "told"], card=there.recipe.card.model_copy(update={"weights_licence": licence}))
    lines = card(there, scores=[StoiScores("dev", DAC, 3, 0.9, 0.5)]).splitlines()
    assert sum("MIT \\| or another |" in line for line in lines) == 3
    tables = 0
    for line, following in pairwise(lines):
        if set(following) == set("| -"):
            tables, cells = tables + 1, line.count("|")
        elif line.startswith("|") and following.startswith("|"):
            assert following.replace("\\|", "").count("|") == cells
        elif line.startswith("|"):
            assert not following, "a table ends with an empty line"
    assert tables == 8


def test_paragraphs_are_one_empty_line_apart() -> None:
    text = card(contents([ALM, "told"], notes=["A note."]), scores=[StoiScores("dev", DAC, 3, 0.9, 0.5)])
    assert "\n\n\n" not in text
    assert text.endswith("\n}\n```\n")


def test_every_origin_has_a_config_and_three_sentences_say_what_is_fake() -> None:
    text = card(contents([ALM, "told", "hifigan"]))
    origins = ["recorded", "resynthesized", "generated", "vocoded", "imported"]
    configs = {config["config_name"]: config for config in yaml.safe_load(text.split("---\n")[1])["configs"]}
    assert list(configs)[-6:] == [*origins, "metadata"]
    patterns = {name: configs[name]["data_files"][0]["path"] for name in origins}
    assert patterns == {
        "recorded": ["data/train/real-*.parquet"],
        "resynthesized": [f"data/train/{name}-*.parquet" for name in (ENCODEC, DAC)],
        "generated": [f"data/train/{ALM}-*.parquet"],
        "vocoded": ["data/train/hifigan-*.parquet"],
        "imported": ["data/train/told-*.parquet"],
    }
    (line,) = section(text, "What is fake")
    assert line.count(". ") == 2
    assert all(f"`{origin}`" in line for origin in origins)
