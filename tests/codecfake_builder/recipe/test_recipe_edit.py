"""Recipes are edited as data, and files keep their comments."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from codec_adapters.builtin import builtin_catalogue
from codec_adapters.catalogue import Catalogue
from codec_adapters.external.plugins import with_plugins
from codec_adapters.external.worker.entry import IsolatedEntry
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.edit import next_free_label, variants_of, with_codec, without_codec
from codecfake_builder.recipe.edit_file import edited_text, write_edited
from tests.conftest import REPOSITORY
from tests.kit.datasets_for_tests import FAULTY_PLUGIN

TEXT = """\
# what this is
name: r
title: R  # shown in the card
corpora:
  vctk: {kind: vctk, root: /data/vctk}
splits:
  # both alike
  train:
    draw: 2
    variants: &common
      - real  # the speech itself
      - encodec_24khz_6kbps
      # the newest
      - g711_64kbps
  dev: {draw: 1, variants: *common}
  ood: {same_as: dev, variants: [dac_16khz, codec_lm_mimi]}
isolated:
  g711_64kbps:  # a control
    driver: g711
    codec: {family: g711, label: 12, sample_rate: 8000, bitrate: 64000}
weights:
  encodec_24khz: "weights/encodec"
  dac_16khz: 'weights/dac'
  mimi: weights/mimi
options: {dac_16khz: {codebooks: 4}}
execution:
  batch_seconds: null
"""


def catalogue() -> Catalogue:
    """What the recipe may name: what is built in, and its isolated codec."""
    entry = IsolatedEntry.model_validate(ISOLATED)
    return builtin_catalogue().with_entries(entry.provider("g711_64kbps").entry())


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


ISOLATED = {
    "driver": "g711",
    "codec": {
        **{"family": "g711", "label": 12, "sample_rate": 8000, "hop": 1, "codebooks": 1, "bitrate": 64000},
        "taxonomy": {"quantizer": "scalar"},
    },
}
CATALOGUE = catalogue()


def test_a_codec_goes_in_and_out_again() -> None:
    plain = document()
    more = with_codec(plain, "snac_24khz", ["train", "dev"], CATALOGUE, weights="w/snac")
    assert plain == document()
    assert more["splits"]["dev"]["variants"][-1] == "snac_24khz"
    assert more["weights"]["snac_24khz"] == "w/snac"
    assert without_codec(more, "snac_24khz", CATALOGUE) == plain


def test_an_alias_is_shared_by_the_splits_that_name_the_codec_alone() -> None:
    more = with_codec(document(), "snac_24khz", ["dev"], CATALOGUE)
    assert "snac_24khz" not in more["splits"]["train"]["variants"]
    text = edited_text(TEXT, "r", partial(with_codec, catalogue=CATALOGUE, name="snac_24khz", splits=["dev"]))
    assert yaml.safe_load(text) == more
    assert (
        edited_text(
            TEXT, "r", partial(with_codec, catalogue=CATALOGUE, name="snac_24khz", splits=["train", "dev"])
        ).count("snac")
        == 1
    )


@pytest.mark.parametrize(
    "edit", [partial(with_codec, catalogue=CATALOGUE, name="snac_24khz", splits=["train"]), lambda recipe: recipe]
)
def test_comments_layout_and_quotes_stay(edit: Any) -> None:
    text = edited_text(TEXT, "r", edit)
    kept = [line for line in text.splitlines() if line in TEXT.splitlines()]
    gone = [line for line in TEXT.splitlines() if line not in kept]
    assert not [line for line in gone if "#" in line]
    assert len(gone) <= 2, gone


def test_the_packaged_recipes_survive_unchanged_edits() -> None:
    for path in sorted((REPOSITORY / "recipes").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert edited_text(text, path.name, lambda recipe: recipe) == text, path


def test_what_else_the_recipe_holds_for_a_codec_goes_with_it() -> None:
    less = without_codec(document(), "dac_16khz", CATALOGUE)
    assert "options" not in less
    assert sorted(less["weights"]) == ["encodec_24khz", "mimi"]
    assert "mimi" not in without_codec(document(), "codec_lm_mimi", CATALOGUE)["weights"]  # it spoke through Mimi
    assert less["splits"]["ood"]["variants"] == ["codec_lm_mimi"]
    assert "ood" not in without_codec(less, "codec_lm_mimi", CATALOGUE)["splits"]


def test_weights_that_another_variant_needs_stay() -> None:
    more = with_codec(document(), "mimi_8codebooks", ["ood"], CATALOGUE)
    assert "mimi" in without_codec(more, "codec_lm_mimi", CATALOGUE)["weights"]


def test_the_label_of_a_new_family_is_retired() -> None:
    assert next_free_label(document(), CATALOGUE) == 13
    less = without_codec(document(), "g711_64kbps", CATALOGUE)
    assert less["retired_labels"] == {12: "g711"}
    assert "isolated" not in less
    assert next_free_label(less, CATALOGUE) == 13
    assert next_free_label(less, CATALOGUE, "g711") == 12
    assert next_free_label(less, CATALOGUE, "mimi") == 1
    assert "retired_labels" not in with_codec(
        less, "g711_64kbps", ["dev"], CATALOGUE, isolated=document()["isolated"]["g711_64kbps"]
    )
    assert next_free_label(without_codec(less, "dac_16khz", CATALOGUE), CATALOGUE) == 13


def test_plugins_go_with_their_last_variant(tmp_path: Path) -> None:
    known = with_plugins(CATALOGUE, [FAULTY_PLUGIN])
    folder = Path(FAULTY_PLUGIN).parent
    more = with_codec(document(), "faulty_none", ["train"], known, plugin="faulty_codecs.py")
    more = with_codec(more, "faulty_loud", ["dev"], known, plugin="faulty_codecs.py")
    assert more["plugins"] == ["faulty_codecs.py"]
    assert next_free_label({"splits": {"a": {"variants": ["faulty_none"]}}}, known) == 13
    less = without_codec(more, "faulty_loud", known, folder)
    assert less["plugins"] == ["faulty_codecs.py"]
    assert "retired_labels" not in less
    assert "plugins" not in without_codec(less, "faulty_none", known, folder)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            partial(with_codec, catalogue=CATALOGUE, name="snac_24khz", splits=["trian"]),
            "splits.trian: .* did you mean train",
        ),
        (
            partial(with_codec, catalogue=CATALOGUE, name="dac_16khz", splits=["ood"]),
            "splits.ood: has dac_16khz already",
        ),
        (
            partial(without_codec, catalogue=CATALOGUE, name="dac_16kHz"),
            "dac_16kHz: no split .* did you mean dac_16khz",
        ),
    ],
)
def test_mistakes(edit: Any, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        edit(document())


def test_a_split_that_others_hang_on_is_not_emptied() -> None:
    recipe = {"splits": {"a": {"draw": 1, "variants": ["dac_16khz"]}, "b": {"same_as": "a", "variants": ["real"]}}}
    with pytest.raises(RecipeError, match=r"splits\.a: dac_16khz is its only variant, and b takes its utterances"):
        without_codec(recipe, "dac_16khz", CATALOGUE)


def test_a_recipe_file_is_data(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    for tag in ("!!python/object/apply:os.system [touch hacked]", "!!python/name:os.system ''"):
        path.write_text(TEXT + f"evil: {tag}\n")
        with pytest.raises(RecipeError, match=r"r\.yaml: not valid YAML"):
            write_edited(path, partial(with_codec, catalogue=CATALOGUE, name="snac_24khz", splits=["train"]))
    assert not (tmp_path / "hacked").exists()
    for broken in ("a: [", "- a\n", "a: 1\n", "splits: {x: {variants: 3}}\n", "splits: [1]\n"):
        path.write_text(broken)
        with pytest.raises(RecipeError, match=r"r\.yaml"):
            write_edited(path, partial(with_codec, catalogue=CATALOGUE, name="snac_24khz", splits=["x"]))
        assert path.read_text() == broken


def test_variants_are_those_of_all_splits() -> None:
    assert variants_of(document()) == ["encodec_24khz_6kbps", "g711_64kbps", "dac_16khz", "codec_lm_mimi"]
