"""Intelligibility: measured against the clip's own source, once, and told in the card."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pystoi
import pytest

from codecfake_builder.changes.build import build
from codecfake_builder.cli.app import main
from codecfake_builder.dataset.codebook_use import codebook_use, measure_codebooks
from codecfake_builder.dataset.quality import measure_stoi
from codecfake_builder.errors import DatasetError
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


def test_the_use_of_codebooks_is_counted() -> None:
    one, other = codebook_use([np.array([0, 1] * 50), np.full(100, 7)], [4, None])
    assert (one.used, one.share, one.entropy, one.perplexity, one.frames) == (2, 0.5, 1.0, 2.0, 100)
    assert (other.used, other.share, other.entropy, other.perplexity) == (1, None, 0.0, 1.0)
    (uniform,) = codebook_use([np.random.default_rng(1).integers(0, 1024, 200_000)], [1024])
    assert uniform.share == 1
    assert uniform.entropy == pytest.approx(10, abs=0.01)


def test_codecs_of_a_dataset_are_loaded_for_their_codes(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = measure_codebooks(dataset, 2, trust=True)
    assert found["faulty_none"] == []
    uses = found["dac_16khz"]
    assert len(uses) == 12
    for use in uses:
        assert use.entries is not None
        assert 0 < use.used <= min(use.entries, use.frames)
        assert 0 <= use.entropy <= math.log2(use.used) + 1e-9
    assert _exit_code("quality", str(dataset), "--clips", "2", "--codes", "--trust") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    first = next(line for line in lines if line[:2] == ["dac_16khz", "1"])
    assert first[2:4] == [str(uses[0].entries), str(uses[0].used)]
    assert ["faulty_none", "none"] in lines


def test_code_that_came_with_a_dataset_does_not_run_for_its_codes(
    dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODECFAKE_CACHE", str(dataset.parent / "another cache"))
    assert _exit_code("quality", str(dataset), "--clips", "2", "--codes") == 2
    assert "--trust" in capsys.readouterr().err


def test_codes_need_the_recipe_of_the_dataset(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    (copy / ".build" / "recipe.yaml").unlink()
    with pytest.raises(DatasetError, match=r"recipe\.yaml: cannot be read"):
        measure_codebooks(copy, 2)
