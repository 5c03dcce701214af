"""Sources, licences and citations: card, Croissant and provenance say the same, and nothing that nobody stated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codec_adapters import AlmSpec, CodecSpec
from codec_adapters.builtin import builtin_catalogue
from codec_adapters.files import weights
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.corpora import official
from codecfake_builder.dataset.contents import Cell, Contents
from codecfake_builder.dataset.description.croissant import croissant_text
from codecfake_builder.dataset.description.sources import NOT_STATED, bibliography, citations, licences, speech_sources
from codecfake_builder.dataset.description.split_notes import split_notes
from codecfake_builder.recipe.load import load_recipe, parse_recipe
from codecfake_builder.recipe.resolve import Resolved
from codecfake_builder.recipe.schema import IMPORTED
from codecfake_builder.resources import resource_folder
from tests.codecfake_builder.dataset.description.test_card import ALM, card, contents, section
from tests.kit.datasets_for_tests import built, small_recipe


def of_corpora(**corpora: dict[str, Any]) -> Resolved:
    """Return a recipe of these corpora, all of them in its only split."""
    split = {"share": 1.0, "variants": ["real", "lyra_v2_6kbps"]}
    document = {"name": "own", "title": "Own", "corpora": corpora, "splits": {"train": split}}
    return parse_recipe(document, "test", Path())


def test_the_two_records_of_a_checkpoints_licence_agree() -> None:
    catalogue = builtin_catalogue()
    specs: list[CodecSpec | AlmSpec] = [*catalogue.codecs(), *catalogue.alms()]
    stated = {spec.name: (spec.weights_licence, spec.checkpoint) for spec in specs if spec.checkpoint in weights.lock()}
    assert len(stated) > 50
    for name, (licence, checkpoint) in stated.items():
        assert licence == weights.lock()[checkpoint].licence, name


def test_every_official_corpus_has_a_date_and_a_citation() -> None:
    for name, entry in official.lock().items():
        assert entry.checked, name
        assert entry.citation in citations(), name


def test_every_paper_of_a_built_in_codec_can_be_cited() -> None:
    for spec in builtin_catalogue().codecs():
        entries = bibliography(contents(card=contents().recipe.card), [])
        assert entries[0].startswith("@misc{ncst,")
        paper = spec.paper.split()[-1]
        assert any(paper in entry for entry in citations().values()), spec.name


def test_a_corpus_of_ones_own_has_the_licence_that_its_recipe_states() -> None:
    own = {"kind": "folder", "root": "x", "speaker": "a", "language": "en"}
    recipe = of_corpora(
        mine={**own, "licence": "CC BY-NC 4.0", "source": "https://example.org/mine", "citation": "@misc{mine}"},
        other=own,
        vctk={"kind": "vctk"},
    ).recipe
    mine, other, vctk = speech_sources(recipe, ["mine", "other", "vctk"])
    assert (mine.licence, mine.source, mine.citation) == ("CC BY-NC 4.0", "https://example.org/mine", "@misc{mine}")
    assert (other.licence, other.source, other.citation, other.checked) == (NOT_STATED, NOT_STATED, None, None)
    assert vctk.licence == official.lock()["vctk"].licence == "CC BY 4.0"
    assert vctk.checked is not None
    assert "10.7488/ds/2645" in str(vctk.citation)
    assert [source.corpus for source in speech_sources(recipe, ["vctk"])] == ["vctk"]


def test_the_recipes_own_licence_goes_before_the_official_one() -> None:
    recipe = of_corpora(vctk={"kind": "vctk", "licence": "by agreement"}).recipe
    assert speech_sources(recipe, ["vctk"])[0].licence == "by agreement"


def test_card_and_croissant_name_the_same_licences() -> None:
    there = contents([ALM])
    speech = speech_sources(there.recipe, ["espeak_recorded"])
    stated = json.loads(croissant_text(there, speech, "00" * 32))["license"]
    assert stated == licences(there, speech)
    text = "\n".join(section(card(there), "Sources and licences") + section(card(there), "Audio language models"))
    for licence in stated:
        assert f"| {licence} |" in text
    assert "Apache-2.0" in stated
    assert "CC BY 4.0" not in text, "no VCTK in it"


@pytest.mark.parametrize("words", ["agreed to publication", "recorded closely", "Apache-2.0; others"])
def test_nothing_is_claimed_of_consent_or_recording(words: str) -> None:
    there = contents([ALM])
    assert words not in card(there)
    assert words not in croissant_text(there, speech_sources(there.recipe, ["espeak_recorded"]), "00" * 32)


def test_text_of_a_recipe_cannot_break_out_of_table_or_fence() -> None:
    own = {"kind": "folder", "root": "x", "speaker": "a", "language": "en"}
    recipe = of_corpora(mine={**own, "licence": "a | b", "source": "two\nlines", "citation": "x\n```\n# no"}).recipe
    text = card(contents(), speech=speech_sources(recipe, ["mine"]))
    assert "| mine | folder | a \\| b | two lines |" in section(text, "Sources and licences")
    assert text.count("```") == 4


def test_splits_are_explained_against_train() -> None:
    recipe = load_recipe("mini").recipe
    catalogue = builtin_catalogue()
    there = [(name, variant) for name, split in recipe.splits.items() for variant in split.variants]
    cells = tuple(Cell(split, variant, 1, 1.0, 0, (), {}) for split, variant in there if variant != IMPORTED)
    cells += (Cell("ood_vocoder", "griffin_lim", 1, 1.0, 0, (), {}),)
    spoken = {variant for _, variant in there} - {"real", IMPORTED}
    specs = {name: catalogue.speaking_codec(name) for name in sorted(spoken)}
    alms = {"codec_lm_mimi": catalogue.alm("codec_lm_mimi")}
    imported = {"griffin_lim": ClipClass("vocoder", -1)}
    notes = {name: (whose, new) for name, whose, new in split_notes(Contents(recipe, cells, specs, alms, (), imported))}
    assert notes["train"] == ("drawn from `espeak_recorded`", "")
    assert notes["eval_id"] == ("drawn from `espeak_recorded`", "no speaker of `train`")
    assert notes["eval_ood"] == (
        "those of `eval_id`, from `espeak_recorded`",
        "classes that `train` has not: `academicodec`, `audiodec`, `dac`, `soundstream`, `wavtokenizer`; "
        "no speaker of `train`",
    )
    assert "settings of known classes that `train` has not: `encodec_24khz_1_5kbps`" in notes["id_config"][1]
    assert "source speech that `train` has not: `espeak_other`" in notes["id_source"][1]
    assert "speech of audio language models: `codec_lm_mimi`" in notes["alm"][1]
    assert "settings" not in notes["alm"][1], "its variant is the model, no setting of the codec"
    assert "clips made elsewhere: `griffin_lim`" in notes["ood_vocoder"][1]


def test_a_dataset_of_vctk_speech_says_so(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    weights_folder = resource_folder("recipes") / "mini" / "weights" / "lyra_v2"
    recipe = small_recipe(vctk, aishell3, ["real", "lyra_v2_6kbps"], {"lyra_v2": weights_folder})
    built(recipe, tmp_path / "ds")
    text = (tmp_path / "ds" / "README.md").read_text()
    assert "| vctk | VCTK 0.92 | CC BY 4.0 (as of " in text
    for key in ("vctk", "aishell3", "soundstream"):
        assert f"@misc{{{key}," in text
    document = json.loads((tmp_path / "ds" / "croissant.json").read_text())
    assert document["license"] == ["Apache-2.0", "CC BY 4.0"]
    assert "2010.11567" in document["citeAs"]
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed (extra dev)")
    mlcroissant.Dataset(jsonld=str(tmp_path / "ds" / "croissant.json"))
    provenance = json.loads((tmp_path / "ds" / "provenance.json").read_text())
    assert provenance["sources"]["vctk"]["licence"] == "CC BY 4.0"
