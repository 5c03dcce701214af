"""Codecs in environments of their own, through the same engine: they build, resume, and cost at most their clips."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from codecfake_builder.changes.build import build
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import CheckFailedError, RecipeError
from codecfake_builder.recipe.load import load_recipe
from codecfake_builder.recipe.resolve import Resolved
from tests.conftest import REPOSITORY
from tests.kit.datasets_for_tests import files
from tests.kit.datasets_for_tests import rows as clips

G711: dict[str, Any] = {
    "driver": "g711",
    "codec": {
        "family": "g711",
        "label": 12,
        "sample_rate": 8000,
        "hop": 1,
        "codebooks": 1,
        "bitrate": 64000,
        "taxonomy": {"quantizer": "scalar"},
    },
}
MISBEHAVING = REPOSITORY / "tests" / "kit" / "misbehaving_driver.py"


def recipe(folder: Path, corpus: Path, isolated: dict[str, Any], **execution: Any) -> Resolved:
    """A recipe file in ``folder`` that sends VCTK through isolated codecs."""
    document = {
        "name": "r",
        "title": "R",
        "corpora": {"vctk": {"kind": "vctk", "root": str(corpus)}},
        "splits": {"train": {"share": 1, "variants": ["real", *isolated]}},
        "isolated": isolated,
        "execution": {"workers": 1, "clips_per_shard": 6, "device": "cpu", **execution},
    }
    (folder / "r.yaml").write_text(yaml.safe_dump(document))
    return load_recipe(str(folder / "r.yaml"))


def misbehaving(folder: Path, fault: str, label: int = 12, **limits: Any) -> dict[str, Any]:
    facts = {**G711["codec"], "family": "fault", "label": label, "sample_rate": 16000}
    options = {"fault": fault, "starts": str(folder / "starts")}
    return {
        "driver": str(MISBEHAVING),
        "codec": facts,
        "options": options,
        "clip_seconds": 0.5 if fault == "hang" else 20.0,
        "scratch_mb": 8,
        **limits,
    }


@pytest.mark.slow
def test_an_isolated_codec_builds_like_any_other(vctk: Path, tmp_path: Path) -> None:
    made = recipe(tmp_path, vctk, {"g711_64kbps": G711}, workers=2)
    result = build(made, tmp_path / "d")
    assert not verify(tmp_path / "d").problems
    rows = clips(tmp_path / "d", "train/g711_64kbps-*.parquet")
    assert len(rows) == 12
    assert {(row["label"], row["codec"], row["native_sample_rate"], row["bitrate_bps"]) for row in rows} == {
        (12, "g711", 8000, 64000)
    }
    provenance = (tmp_path / "d" / "provenance.json").read_text()
    assert str(tmp_path) not in provenance
    assert {"isolated driver", "isolated environment"} <= set(
        json.loads(provenance)["variants"]["g711_64kbps"]["checkpoint_sha256"]
    )
    before = files(tmp_path / "d")
    next((tmp_path / "d" / "data" / "train").glob("g711*1.parquet")).unlink()
    again = build(recipe(tmp_path, vctk, {"g711_64kbps": G711}), tmp_path / "d")
    assert (again.shards_made, again.root) == (1, result.root)
    assert files(tmp_path / "d") == before


@pytest.mark.slow
def test_another_driver_or_environment_makes_the_clips_again(vctk: Path, tmp_path: Path) -> None:
    driver = tmp_path / "mine.py"
    driver.write_text((MISBEHAVING.parents[2] / "codec_adapters/external/worker/drivers/template.py").read_text())
    entry = {**G711, "driver": "mine.py", "codec": {**G711["codec"], "sample_rate": 16000}}
    build(recipe(tmp_path, vctk, {"mine": entry}), tmp_path / "d")
    driver.write_text(driver.read_text() + "# changed\n")
    again = build(recipe(tmp_path, vctk, {"mine": entry}), tmp_path / "d")
    assert (again.shards_made, again.shards_kept) == (2, 2)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hang", "die", "garbage", "fill"])
def test_a_misbehaving_worker_costs_its_clips_never_the_build(vctk: Path, tmp_path: Path, fault: str) -> None:
    """Clips over 0.7 s (three of four of each speaker) meet the fault; everything else is there."""
    entry = misbehaving(tmp_path, fault, label=13, restarts=20)
    with pytest.raises(CheckFailedError, match="the dataset is built, but codecs failed on more than 5%"):
        build(recipe(tmp_path, vctk, {f"fault_{fault}": entry, "g711_64kbps": G711}), tmp_path / "d")
    counts = Counter(row["variant"] for row in clips(tmp_path / "d"))
    assert counts == {"real": 12, "g711_64kbps": 12, f"fault_{fault}": 3}
    listed = [row for row in pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist() if row["variant"]]
    assert {row["reason"] for row in listed} == {"worker_failed"}
    assert len(listed) == 9
    words = {"hang": "did not answer", "die": "died", "garbage": "no answer", "fill": "filled its scratch"}[fault]
    assert all(words in row["detail"] for row in listed)
    assert not verify(tmp_path / "d").problems


@pytest.mark.slow
def test_a_worker_that_never_starts_is_given_up_and_tried_by_the_next_build(vctk: Path, tmp_path: Path) -> None:
    good = misbehaving(tmp_path, "none")
    bad = {**good, "options": {**good["options"], "fault": "exit"}}
    with pytest.raises(CheckFailedError, match="12 of 12 clips"):
        build(recipe(tmp_path, vctk, {"late": {**bad, "restarts": 2}}), tmp_path / "d")
    assert len((tmp_path / "starts").read_text().splitlines()) == 3
    last = [row["detail"] for row in pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist()]
    assert any("not started again after 3 failures in a row" in detail for detail in last)
    with pytest.raises(CheckFailedError):
        build(recipe(tmp_path, vctk, {"late": {**bad, "restarts": 2}}), tmp_path / "d")
    assert len((tmp_path / "starts").read_text().splitlines()) > 3
    build(recipe(tmp_path, vctk, {"late": good}), tmp_path / "d")
    assert len(clips(tmp_path / "d")) == 24
    assert not verify(tmp_path / "d").problems


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"driver": "g722"}, "isolated.x.driver: .*g722: no such file, and no packaged driver .g711, parrot, template"),
        ({"repo": "http://example.org/x"}, "isolated.x.repo: http://example.org/x: only https"),
        ({"codec": {**G711["codec"], "label": None}}, "family g711 is new: give the next free label, from 12"),
        ({"codec": {**G711["codec"], "family": "mimi"}}, "family mimi has a label already"),
        ({"comit": "x"}, "isolated.x.comit: unknown key; did you mean commit"),
        ({"codec": {**G711["codec"], "hopp": 1}}, "isolated.x.codec.hopp: unknown key; did you mean hop"),
        ({"clip_seconds": 0}, "isolated.x.clip_seconds: "),
    ],
)
def test_mistakes_in_an_entry(vctk: Path, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe(tmp_path, vctk, {"x": {**G711, **changes}})


def test_a_name_that_is_taken(vctk: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"isolated\.dac_16khz: a built-in variant has this name"):
        recipe(tmp_path, vctk, {"dac_16khz": G711})


@pytest.mark.slow
def test_the_recipes_of_the_documentation(vctk: Path, tmp_path: Path) -> None:
    """Entries load within a recipe; recipes build as they stand."""
    text = (REPOSITORY / "docs" / "isolated_environments.md").read_text()
    blocks = [yaml.safe_load(block.split("```")[0]) for block in text.split("```yaml\n")[1:]]
    recipes = [block for block in blocks if "name" in block]
    entries = [block for block in blocks if "name" not in block]
    assert [len(recipes), len(entries)] == [2, 2]
    (tmp_path / "drivers").mkdir()
    for entry in entries:
        (name,) = entry["isolated"]
        (tmp_path / "drivers" / f"{name.removesuffix('_16khz')}.py").write_text("")
        document = {**recipes[0], "isolated": entry["isolated"], "splits": entry["splits"]}
        (tmp_path / "r.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        assert load_recipe(str(tmp_path / "r.yaml")).recipe.isolated[name].python in ("3.9", "3.10")
    overrides = [f"corpora.vctk.root={vctk}", "execution.workers=1", "execution.device=cpu"]
    for document in recipes:
        (tmp_path / "t.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        out = tmp_path / document["name"]
        assert build(load_recipe(str(tmp_path / "t.yaml"), overrides), out).shards_made == 2
        assert len(clips(out)) == 24
        assert verify(out).problems == []
