"""Audio language models in environments of their own: they build and resume like any other, and cost their clips."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from codec_adapters.external.worker.entry import PACKAGED_DRIVERS
from codecfake_builder.changes.build import build
from codecfake_builder.cli.app import app
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import CheckFailedError, RecipeError
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.plan.table import plan_table
from codecfake_builder.recipe.load import load_recipe
from codecfake_builder.recipe.resolve import Resolved
from tests.codecfake_builder.shards.test_isolated_codecs import G711, MISBEHAVING
from tests.kit.datasets_for_tests import files
from tests.kit.datasets_for_tests import rows as clips

PARROT: dict[str, Any] = {
    "driver": "parrot",
    "options": {"piece_seconds": 0.2},
    "alm": {
        "title": "Parrot",
        "codec_variant": "g711_64kbps",
        "prompt": ["audio"],
        "sample_rate": 8000,
        "max_seconds": 0.75,
        "weights_licence": "none",
    },
}


def written(folder: Path, corpus: Path, isolated: dict[str, Any], prompts: int = 2, **execution: Any) -> Path:
    """A recipe file: real speech, and a split ``alm`` in which every ALM of ``isolated`` answers the same prompts."""
    speakers = [name for name, entry in isolated.items() if "alm" in entry]
    document = {
        "name": "r",
        "title": "R",
        "corpora": {"vctk": {"kind": "vctk", "root": str(corpus)}},
        "splits": {
            "eval_id": {"draw": prompts, "variants": ["real"]},
            "alm": {"same_as": "eval_id", "variants": speakers},
        },
        "isolated": isolated,
        "execution": {"workers": 1, "prompts_per_shard": 1, "device": "cpu", **execution},
    }
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def recipe(folder: Path, corpus: Path, isolated: dict[str, Any], **changes: Any) -> Resolved:
    return load_recipe(str(written(folder, corpus, isolated, **changes)))


def both(**changes: Any) -> dict[str, Any]:
    """The isolated codec, and the parrot that speaks through it, with changed facts."""
    return {"parrot": {**PARROT, "alm": {**PARROT["alm"], **changes}}, "g711_64kbps": G711}


def test_an_isolated_model_builds_like_any_other(vctk: Path, tmp_path: Path) -> None:
    result = build(recipe(tmp_path, vctk, both()), tmp_path / "d")
    assert verify(tmp_path / "d").problems == []
    prompts = {row["utterance_id"]: row for row in clips(tmp_path / "d", "eval_id/real-*.parquet")}
    spoken = clips(tmp_path / "d", "alm/parrot-*.parquet")
    assert {row["utterance_id"] for row in spoken} == set(prompts)
    assert len(spoken) == len({row["audio_sha256"] for row in spoken}) == 2
    for row in spoken:
        prompt = prompts[row["utterance_id"]]
        assert (row["alm"], row["variant"], row["codec"], row["label"], row["is_fake"]) == (
            "parrot",
            "parrot",
            "g711",
            12,
            True,
        )
        assert row["prompt_id"] == f"vctk/{row['utterance_id']}"
        assert (row["native_sample_rate"], row["bitrate_bps"], row["quantizer"]) == (8000, 64000, "scalar")
        assert row["duration"] == min(prompt["duration"], 0.75)
        assert row["source_sha256"] == prompt["source_sha256"]
    text = (tmp_path / "d" / "provenance.json").read_text()
    assert str(tmp_path) not in text
    assert str(PACKAGED_DRIVERS) not in text
    made_with = json.loads(text)["alms"]["parrot"]
    assert {"isolated driver", "isolated environment", "isolated packages"} <= set(made_with["checkpoint_sha256"])
    assert made_with["options"] == {"max_seconds": 0.75, "piece_seconds": 0.2}
    assert (made_with["codec"]["spec"]["name"], made_with["codec"]["checkpoint_sha256"]) == ("g711_64kbps", {})
    ended = sum(row["duration"] < 0.75 for row in spoken)
    card = (tmp_path / "d" / "README.md").read_text()
    assert f"| Parrot (parrot) | 12 g711 | g711_64kbps | {ended} / {2 - ended} / 0 |" in card
    before = files(tmp_path / "d")
    again = build(recipe(tmp_path, vctk, both()), tmp_path / "d")
    assert (again.shards_made, again.root) == (0, result.root)
    assert files(tmp_path / "d") == before


@pytest.mark.slow
def test_whatever_decides_a_clip_makes_it_again(vctk: Path, tmp_path: Path) -> None:
    driver = tmp_path / "mine.py"
    driver.write_text((PACKAGED_DRIVERS / "parrot.py").read_text())
    entries = both()
    entries["parrot"]["driver"] = "mine.py"
    build(recipe(tmp_path, vctk, entries), tmp_path / "d")

    def made(changed: dict[str, Any]) -> tuple[int, int]:
        result = build(recipe(tmp_path, vctk, changed), tmp_path / "d")
        return result.shards_made, result.shards_kept

    driver.write_text(driver.read_text() + "# changed\n")
    assert made(entries) == (2, 1)
    assert made(entries) == (0, 3)
    entries["parrot"]["options"] = {"piece_seconds": 0.1}
    assert made(entries) == (2, 1)
    for changed in ({"version": 2}, {"max_seconds": 0.7}, {"prompt_rate": 8000}):
        entries["parrot"]["alm"] = {**entries["parrot"]["alm"], **changed}
        assert made(entries) == (2, 1), changed
    entries["g711_64kbps"] = {**G711, "codec": {**G711["codec"], "bitrate": 64001}}
    assert made(entries) == (2, 1)
    assert {row["bitrate_bps"] for row in clips(tmp_path / "d", "alm/*.parquet")} == {64001}
    folder = tmp_path / "repository"
    folder.mkdir()
    entries["parrot"]["repo"] = "repository"
    assert made(entries) == (2, 1)


def test_a_known_codec_gives_its_class_without_weights(vctk: Path, tmp_path: Path) -> None:
    """The cache holds no weights of Mimi, and none could be fetched."""
    entries = {"parrot_of_mimi": {**PARROT, "alm": {**PARROT["alm"], "codec_variant": "mimi_8codebooks"}}}
    build(recipe(tmp_path, vctk, entries), tmp_path / "d")
    found = {
        (row["label"], row["codec"], row["codebooks"], row["auxiliary"])
        for row in clips(tmp_path / "d", "alm/*.parquet")
    }
    assert found == {(1, "mimi", 8, "semantic")}
    assert verify(tmp_path / "d").problems == []


@pytest.mark.slow
def test_a_killed_generation_goes_on_to_the_same_bytes(vctk: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of the ALM's shards, with two processes; every clip takes its driver a while."""
    slow = (
        (PACKAGED_DRIVERS / "parrot.py").read_text().replace("    heard, rate", "    time.sleep(0.3)\n    heard, rate")
    )
    (tmp_path / "slow.py").write_text(slow.replace("import random", "import random\nimport time"))
    entries = both()
    entries["parrot"]["driver"] = "slow.py"
    path = written(tmp_path, vctk, entries, prompts=8)
    build(load_recipe(str(path)), tmp_path / "whole")
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "codecfake_builder", "build", str(path), "--out", str(out)]
    command += ["--set", "execution.workers=2"]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while len(list((out / ".build").glob("records/alm/*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list((out / ".build").glob("records/alm/*.json")))
    assert 2 <= kept < 8
    again = build(load_recipe(str(path)), out)
    assert again.shards_kept >= kept
    assert files(out) == files(tmp_path / "whole")


FAULTS = {
    "hang": "worker_failed",
    "die": "worker_failed",
    "garbage": "worker_failed",
    "fill": "worker_failed",
    "cuda": "worker_failed",
    "refuse": "alm_error",
    "halves": "alm_error",
    "number": "alm_error",
    "count": "alm_error",
    "rate": "alm_error",
    "nothing": "alm_error",
    "pipe": "alm_error",
    "half": "alm_error",
    "long": "alm_error",
    "nan": "non_finite",
    "mute": "nothing_generated",
}


@pytest.mark.slow
def test_every_fault_costs_its_own_clips_never_the_build(vctk: Path, tmp_path: Path) -> None:
    """One ALM per fault, which all prompts over 0.7 s meet; and a good one beside them."""
    facts = {**PARROT["alm"], "sample_rate": 16000, "max_seconds": 4.0}
    entries = {
        f"{fault}_model": {
            "driver": str(MISBEHAVING),
            "options": {"fault": fault, "starts": str(tmp_path / "starts")},
            "clip_seconds": 0.5 if fault == "hang" else 20.0,
            "scratch_mb": 8,
            "alm": facts,
        }
        for fault in ("none", *FAULTS)
    }
    path = written(tmp_path, vctk, {**entries, "g711_64kbps": G711}, prompts_per_shard=100)
    (tmp_path / "prompts.txt").write_text("p225_001\np225_002\np226_001\np226_003\n")
    chosen = f"splits.eval_id={{ids: {tmp_path}/prompts.txt, variants: [real]}}"
    with pytest.raises(CheckFailedError, match="the dataset is built, but codecs failed on more than 5%"):
        build(load_recipe(str(path), [chosen]), tmp_path / "d")
    assert verify(tmp_path / "d").problems == []
    lengths = {row["utterance_id"]: row["duration"] for row in clips(tmp_path / "d", "eval_id/*.parquet")}
    met = {name for name, seconds in lengths.items() if seconds > 0.7}
    assert met == {"p225_002", "p226_003"}
    spoken = Counter(row["variant"] for row in clips(tmp_path / "d", "alm/*.parquet"))
    assert spoken == {"none_model": 4, **{f"{fault}_model": 2 for fault in FAULTS}}
    listed: dict[str, set[tuple[str, str]]] = {}
    for row in pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist():
        assert row["detail"]
        listed.setdefault(row["variant"], set()).add((row["utterance_id"], row["reason"]))
    assert listed == {f"{fault}_model": {(name, reason) for name in met} for fault, reason in FAULTS.items()}
    assert {row["text"] for row in clips(tmp_path / "d", "alm/none_model-*.parquet")} == {
        f"I heard vctk/{name}" for name in lengths
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"codec": G711["codec"]}, "isolated.parrot: give exactly one of codec, alm; found both"),
        ({"alm": None}, "isolated.parrot: give exactly one of codec, alm; found none of them"),
        (
            {"codec_variant": "mimi"},
            r"isolated.parrot.alm.codec_variant: unknown codec variant 'mimi'; choose a variant of it: mimi_",
        ),
        ({"codec_variant": "parrot"}, "isolated.parrot.alm.codec_variant: unknown codec variant 'parrot'"),
        ({"codec_variant": "moshiko"}, "isolated.parrot.alm.codec_variant: unknown codec variant 'moshiko'"),
        ({"codec_variant": "g711_64kbp"}, "did you mean g711_64kbps"),
        ({"prompt": ["video"]}, r"isolated.parrot.alm.prompt.0: Input should be 'text', 'audio' or 'transcript'"),
        ({"prompt": []}, "isolated.parrot.alm.prompt: "),
        ({"max_seconds": 0}, "isolated.parrot.alm.max_seconds: "),
        ({"max_second": 1}, "isolated.parrot.alm.max_second: unknown key; did you mean max_seconds"),
        ({"sample_rate": None}, "isolated.parrot.alm.sample_rate: "),
        ({"options": {"max_seconds": 3.0}}, "isolated.parrot.options.max_seconds: belongs under alm"),
    ],
)
def test_mistakes_in_an_entry(vctk: Path, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    entry = dict(PARROT)
    for key, value in changes.items():
        if key in ("codec", "alm", "options"):
            entry[key] = value
        else:
            entry["alm"] = {**entry["alm"], key: value}
    path = written(tmp_path, vctk, {"g711_64kbps": G711, "parrot": {**PARROT}})
    document = yaml.safe_load(path.read_text())
    document["isolated"]["parrot"] = entry
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(RecipeError, match=words) as caught:
        load_recipe(str(path))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["moshiko", "dac_16khz"])
def test_a_name_that_is_taken(vctk: Path, tmp_path: Path, name: str) -> None:
    for entry in (PARROT, G711):
        with pytest.raises(RecipeError, match=f"^isolated.{name}: a built-in variant has this name; choose another$"):
            recipe(tmp_path, vctk, {name: entry, "g711_64kbps": G711, "parrot": PARROT})


def test_the_name_of_a_plugins_codec(vctk: Path, tmp_path: Path) -> None:
    path = written(tmp_path, vctk, {"faulty_none": PARROT, "g711_64kbps": G711})
    plugin = MISBEHAVING.parent / "faulty_codecs.py"
    with pytest.raises(RecipeError, match=r"^isolated\.faulty_none: a built-in ALM or a codec variant has this name"):
        load_recipe(str(path), [f"plugins=[{plugin}]"])


def test_plan_and_list_know_them(vctk: Path, tmp_path: Path) -> None:
    path = written(tmp_path, vctk, both())
    loaded = load_recipe(str(path))
    table = plan_table(make_plan(loaded), loaded.catalogue).splitlines()
    assert [line.split() for line in table if line.startswith("alm")] == [["alm", "g711", "parrot", "2", "-", "-"]]
    listed = CliRunner().invoke(app, ["alms", "--recipe", str(path)])
    assert listed.exit_code == 0, listed.output
    line = next(line for line in listed.stdout.splitlines() if line.startswith("parrot "))
    assert line.split() == [
        *("parrot", "Parrot", "12", "g711_64kbps", "audio", "piece_seconds=0.2", "max_seconds=0.75", "none", "-")
    ]
    codecs = CliRunner().invoke(app, ["codecs", "--recipe", str(path)])
    assert any(line.startswith("g711_64kbps ") for line in codecs.stdout.splitlines())


def test_reading_a_recipe_brings_no_torch() -> None:
    code = "import sys, codec_adapters.external.worker.entry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
