"""Intelligibility: measured against the clip's own source, once, and told in the card."""

from __future__ import annotations

from pathlib import Path

import pystoi
import pytest

from codecfake_builder.changes.build import build
from codecfake_builder.cli.app import main
from codecfake_builder.dataset.quality import measure_stoi
from codecfake_builder.recipe.resolve import Resolved
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, changed, small_recipe


@pytest.fixture(scope="module")
def recipe(vctk: Path, aishell3: Path, tiny: dict[str, Path]) -> Resolved:
    variants = ["real", "faulty_none", "dac_16khz"]
    base = small_recipe(vctk, aishell3, variants, {"dac_16khz": tiny["dac_16khz"]}, plugins=[FAULTY_PLUGIN])
    return changed(base, card=base.recipe.card.model_copy(update={"stoi_clips": 3}), notes=["Only a test."])


@pytest.fixture(scope="module")
def dataset(recipe: Resolved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("measured") / "set"
    build(recipe, out)
    return out


def test_a_perfect_codec_gets_one_and_a_random_one_less(dataset: Path) -> None:
    scores = {(score.split, score.variant): score for score in measure_stoi(dataset, 3)}
    assert {split for split, _ in scores} == {"train", "dev", "eval_id"}
    for (_, variant), score in scores.items():
        assert 1 <= score.clips <= 3
        assert score.lowest <= score.median
        assert score.lowest > 0.999 if variant == "faulty_none" else score.median < 0.9


def test_the_card_tells_it_and_what_the_recipe_says(dataset: Path) -> None:
    card = (dataset / "README.md").read_text(encoding="utf-8")
    assert "Only a test." in card
    assert "| train | faulty_none | 3 | 1.000 | 1.000 |" in card


def test_a_clip_is_measured_once(recipe: Resolved, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = measure_stoi(dataset, 3)
    monkeypatch.setattr(pystoi, "stoi", lambda *_: pytest.fail("measured again"))
    assert measure_stoi(dataset, 3) == expected
    assert build(recipe, dataset).shards_made == 0


def test_the_command_prints_it(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code("quality", str(dataset), "--clips", "2") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "faulty_none", "2", "1.000", "1.000"] in lines


def test_what_cannot_be_measured_is_said(
    tmp_path: Path, vctk: Path, aishell3: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _exit_code("quality", str(tmp_path)) == 2
    assert "no dataset of this builder" in capsys.readouterr().err
    build(small_recipe(vctk, aishell3, ["real"]), tmp_path / "real")
    assert _exit_code("quality", str(tmp_path / "real")) == 2
    assert "no clip in it can be measured" in capsys.readouterr().err


def _exit_code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code
