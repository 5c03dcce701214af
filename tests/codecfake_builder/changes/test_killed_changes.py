"""SIGKILL at any moment of an extension or a removal leaves the old dataset or the new one, never a part of either."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from codecfake_builder.changes.build import build
from codecfake_builder.recipe.load import load_recipe
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, small_recipe

pytestmark = pytest.mark.slow
VARIANTS = ["real", "faulty_none"]


def killed(folder: Path, **job: Any) -> list[dict[str, Any]]:
    """What the runs of a job left, the whole one first."""
    (folder / "runs").mkdir()
    (folder / "job.json").write_text(json.dumps({"work": str(folder / "runs"), **job}))
    command = [sys.executable, "-m", "tests.kit.killing", str(folder / "job.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / "runs" / "report.jsonl").read_text().splitlines()]


def recipe_file(folder: Path, vctk: Path, aishell3: Path, variants: list[str]) -> Path:
    path = folder / f"{len(variants)}.yaml"
    document = small_recipe(vctk, aishell3, variants, plugins=[FAULTY_PLUGIN]).recipe.model_dump(mode="json")
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def check(runs: list[dict[str, Any]], least: int) -> list[dict[str, Any]]:
    whole, *cut = runs
    assert whole["problems"] == []
    assert whole["old"] != whole["new"]
    assert len(cut) >= least
    for run in cut:
        assert run["left"] in (whole["old"], whole["new"]), run
        assert run["after"] == whole["new"], run
        assert run["beside"] == [], run
        if run["at"] is not None:
            assert run["left"] == whole["old" if run["at"] <= run["exchange"] else "new"], run
    assert {run["left"] for run in cut} == {whole["old"], whole["new"]}
    return cut


def test_a_killed_extension(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    build(load_recipe(str(recipe_file(tmp_path, vctk, aishell3, VARIANTS))), tmp_path / "dataset")
    larger = recipe_file(tmp_path, vctk, aishell3, [*VARIANTS, "faulty_loud"])
    job = {"dataset": str(tmp_path / "dataset"), "recipe": str(larger)}
    cut = check(killed(tmp_path, **job, steps=9, shares=[0.3, 0.6, 0.9]), 11)
    before_the_exchange = next(run for run in cut if run["at"] == run["exchange"])
    assert before_the_exchange["made"] == 0  # all new shards were there from the killed run
    assert max(run["made"] for run in cut) > 0


def test_a_killed_removal(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path, vctk, aishell3, [*VARIANTS, "faulty_loud"])
    build(load_recipe(str(recipe)), tmp_path / "dataset")
    job = {"dataset": str(tmp_path / "dataset"), "remove": "faulty_none"}
    for run in check(killed(tmp_path, **job, steps=6, shares=[0.4]), 7):
        assert "refused" not in run or "has no codec faulty_none" in run["refused"], run
        assert "refused" not in run or run["at"] is None or run["at"] > run["exchange"] + 1
