"""Builds end to end on small corpora: what comes out, what is kept, and what survives being killed."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml

import codec_adapters
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.schema import COLUMNS, class_names, features, yaml_features
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import DatasetError, RecipeError
from codecfake_builder.recipe.resolve import Resolved
from codecfake_builder.shards import shard_file
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, built, changed, files, rows, small_recipe

VARIANTS = ["real", "encodec_24khz_6kbps", "encodec_48khz_6kbps", "dac_16khz", "mimi_8codebooks", "snac_24khz"]


@pytest.fixture(scope="module")
def weights(tiny: dict[str, Path]) -> dict[str, Path]:
    return {codec_adapters.spec(name).checkpoint: folder for name, folder in tiny.items()}


@pytest.fixture(scope="module")
def recipe(vctk: Path, aishell3: Path, weights: dict[str, Path]) -> Resolved:
    return small_recipe(vctk, aishell3, VARIANTS, weights)


@pytest.fixture(scope="module")
def dataset(recipe: Resolved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The families with kept upstreams, from tiny checkpoints in the official layouts."""
    out = tmp_path_factory.mktemp("built") / "dataset"
    built(recipe, out)
    return out


def loaded(dataset: Path, config: str, cache: Path) -> Any:
    found = datasets.load_dataset(str(dataset), config, cache_dir=str(cache))
    return found.cast_column("audio", datasets.Audio(decode=False)) if config != "metadata" else found


def test_load_dataset_gives_every_split_with_class_names(dataset: Path, tmp_path: Path) -> None:
    found = loaded(dataset, "all", tmp_path)
    assert {name: split.num_rows for name, split in found.items()} == {
        name: len(rows(dataset, f"{name}/*.parquet")) for name in ("train", "dev", "eval_id")
    }
    label = found["train"].features["label"]
    assert label.names[0] == "real"
    assert label.names[4] == "encodec"
    assert label.int2str(6) == "snac"
    assert list(found["train"].features) == list(COLUMNS)


@pytest.mark.parametrize("family", ["encodec", "dac", "mimi", "snac"])
def test_a_codec_config_holds_it_against_real(dataset: Path, tmp_path: Path, family: str) -> None:
    found = loaded(dataset, family, tmp_path)
    for split in found.values():
        assert set(split["codec"]) == {"real", family}


def test_the_metadata_config_has_no_audio(dataset: Path, tmp_path: Path) -> None:
    found = loaded(dataset, "metadata", tmp_path)
    assert "audio" not in found["train"].features
    assert found["train"].features["label"].names[0] == "real"


def test_rows_are_sixteen_khz_mono_of_the_sources_length(dataset: Path, recipe: Resolved) -> None:
    found = rows(dataset)
    assert len(found) == 20 * len(VARIANTS)
    for row in found:
        samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        corpus = recipe.recipe.corpora[row["corpus"]].root
        assert corpus is not None
        source = soundfile.info(next(corpus.glob(f"*/**/{row['utterance_id']}*[cv]")))  # .flac or .wav
        assert rate == 16000
        assert samples.ndim == 1
        assert len(samples) == -(-source.frames * 16000 // source.samplerate)
        assert row["duration"] == len(samples) / 16000
        assert row["audio"]["path"] == f"{row['id']}.flac"


def test_columns_say_what_a_clip_is(dataset: Path) -> None:
    by_variant = {row["variant"]: row for row in rows(dataset) if row["utterance_id"] == "p225_001"}
    real, snac = by_variant["real"], by_variant["snac_24khz"]
    assert (real["label"], real["is_fake"], real["codec"], real["bitrate_bps"]) == (0, False, "real", None)
    assert (snac["label"], snac["is_fake"], snac["codec"], snac["codebooks"]) == (6, True, "snac", 3)
    assert (snac["quantizer"], snac["auxiliary"], snac["decoder_domain"]) == ("multi", "none", "time")
    assert snac["native_sample_rate"] == 24000
    assert snac["frame_rate_hz"] == 24000 / 512
    assert snac["bitrate_bps"] == pytest.approx(24000 / 512 * 1.75 * 6)  # the tiny codebooks hold 64 entries
    assert (snac["speaker"], snac["language"], snac["text"]) == ("p225", "en", "Sentence 1 of p225.")
    assert snac["id"] == "snac_24khz-vctk-p225_001"
    assert len({row["source_sha256"] for row in by_variant.values()}) == 1
    assert len({row["audio_sha256"] for row in by_variant.values()}) == len(VARIANTS)


def test_the_clips_are_not_noise_free_copies(dataset: Path) -> None:
    """The tiny codecs really ran: every class sounds, and none is the source."""
    for variant in VARIANTS[1:]:
        row = next(row for row in rows(dataset, f"train/{variant}-*.parquet"))
        samples, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        assert samples.std() > 1e-4


def test_checksums_pass_with_the_common_tool(dataset: Path) -> None:
    run = subprocess.run(["sha256sum", "-c", "checksums.sha256"], cwd=dataset, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    listed = {line.split("  ")[1] for line in (dataset / "checksums.sha256").read_text().splitlines()}
    assert listed == set(files(dataset)) - {"checksums.sha256"}


def test_the_dataset_verifies(dataset: Path) -> None:
    found = verify(dataset)
    assert found.problems == []
    assert found.clips == 20 * len(VARIANTS)
    assert found.root in (dataset / "README.md").read_text()


def test_croissant_validates(dataset: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed (extra dev)")
    described = mlcroissant.Dataset(jsonld=str(dataset / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    assert {record_set.name for record_set in described.metadata.record_sets} == {"train", "dev", "eval_id"}


def test_the_cards_features_are_the_librarys_own(dataset: Path) -> None:
    head = yaml.safe_load((dataset / "README.md").read_text().split("---\n")[1])
    classes = tuple(_classes(dataset))
    assert head["dataset_info"][0]["features"] == yaml_features(classes)
    assert yaml_features(classes) == features(classes)._to_yaml_list()
    assert yaml_features(classes, audio=False) == features(classes, audio=False)._to_yaml_list()


def _classes(dataset: Path) -> list[str]:
    description = json.loads(pq.read_schema(dataset / "metadata/train.parquet").metadata[b"huggingface"])
    names: list[str] = description["info"]["features"]["label"]["names"]
    return names


def test_provenance_holds_no_path(dataset: Path, recipe: Resolved) -> None:
    text = (dataset / "provenance.json").read_text()
    for corpus in recipe.recipe.corpora.values():
        assert str(corpus.root) not in text
    assert "checkpoint_sha256" in text
    assert str(dataset) not in "".join(
        content.decode("utf-8", "replace") for name, content in files(dataset).items() if "parquet" not in name
    )


@pytest.mark.slow
def test_two_builds_are_byte_identical_whatever_the_workers_and_the_folder(
    recipe: Resolved, dataset: Path, tmp_path: Path
) -> None:
    parallel = changed(recipe, execution=recipe.recipe.execution.model_copy(update={"workers": 2}))
    built(parallel, tmp_path / "other")
    assert files(tmp_path / "other") == files(dataset)


def test_a_finished_build_does_no_codec_work(recipe: Resolved, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: (dataset / name).stat().st_mtime_ns for name in files(dataset)}
    monkeypatch.setattr("codecfake_builder.changes.build.run_shards", _never)
    monkeypatch.setattr(codec_adapters, "load", _never)
    start = time.monotonic()
    result = built(recipe, dataset)
    assert time.monotonic() - start < 5
    assert result.shards_made == 0
    assert {name: (dataset / name).stat().st_mtime_ns for name in files(dataset)} == before


def _never(*args: object, **kwargs: object) -> None:
    raise AssertionError("this must not run")


@pytest.mark.slow
def test_changing_one_variants_option_remakes_its_shards_alone(
    recipe: Resolved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "d"
    built(recipe, out)
    before = {name: (out / name).stat().st_mtime_ns for name in files(out) if name.startswith("data/")}
    result = built(changed(recipe, options={"dac_16khz": {"codebooks": 4}}), out)
    after = {name: (out / name).stat().st_mtime_ns for name in files(out) if name.startswith("data/")}
    touched = {name for name in after if after[name] != before[name]}
    assert touched == {name for name in before if "dac_16khz" in name}
    assert result.shards_made == len(touched)
    assert verify(out).problems == []
    assert {row["codebooks"] for row in rows(out, "*/dac_16khz-*.parquet")} == {4}
    built(recipe, out)
    assert (out / "checksums.sha256").read_text()


def test_variants_and_splits_can_go(recipe: Resolved, vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    out = tmp_path / "d"
    built(small_recipe(vctk, aishell3, ["real", "faulty_none"], plugins=[FAULTY_PLUGIN]), out)
    smaller = small_recipe(vctk, aishell3, ["real"])
    splits = {name: split for name, split in smaller.recipe.splits.items() if name != "dev"}
    built(changed(smaller, splits=splits), out)
    assert {path.parent.name for path in (out / "data").rglob("*.parquet")} == {"train", "eval_id"}
    assert not list((out / "data").rglob("faulty*"))
    assert verify(out).problems == []


def test_a_shard_that_vanished_or_changed_size_is_made_again(recipe: Resolved, dataset: Path) -> None:
    whole = files(dataset)
    shards = sorted((dataset / "data" / "train").glob("snac*"))
    shards[0].unlink()
    shards[-1].write_bytes(b"cut")
    (dataset / layout.record_of("data/train/real-00000.parquet")).write_text("{")
    assert built(recipe, dataset).shards_made == len({shards[0], shards[-1]}) + 1
    assert files(dataset) == whole


def test_bad_input_leaves_no_folder_behind(recipe: Resolved, tmp_path: Path) -> None:
    absent = changed(recipe, weights={**recipe.recipe.weights, "dac_16khz": tmp_path / "absent"})
    with pytest.raises(codec_adapters.CheckpointError, match="no such folder"):
        built(absent, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_labels_of_plugins_must_run_on(recipe: Resolved) -> None:
    assert class_names({"faulty": 12})[12] == "faulty"
    for label in (3, 15):
        with pytest.raises(RecipeError, match=f"run on from 12 without gaps; got faulty {label}"):
            class_names({"faulty": label})


def test_foreign_folders_are_not_touched(recipe: Resolved, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(DatasetError, match="not a folder of an earlier build"):
        built(recipe, tmp_path)
    with pytest.raises(DatasetError, match="is a file"):
        built(recipe, tmp_path / "thesis.tex")


def test_two_builds_of_one_folder_do_not_mix(recipe: Resolved, tmp_path: Path) -> None:
    import fcntl

    out = tmp_path / "d"
    (out / ".build").mkdir(parents=True)
    with (out / ".build" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DatasetError, match="another build is running"):
            built(recipe, out)


class PowerCut(BaseException):
    """Ends a build at a chosen moment, past every handler of ordinary errors."""


@pytest.mark.slow
def test_a_build_cut_at_every_rename_ends_up_the_same(
    vctk: Path, aishell3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step that changes the folder is a rename or follows one: cut before each of them in turn."""
    recipe = small_recipe(vctk, aishell3, ["real", "faulty_none"], plugins=[FAULTY_PLUGIN])
    built(recipe, tmp_path / "whole")
    expected = files(tmp_path / "whole")
    original = Path.replace
    left = 0

    def cutting(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left == 0:
            raise PowerCut
        return original(self, target)

    monkeypatch.setattr(Path, "replace", cutting)
    moments = 0
    while True:
        moments += 1
        out = tmp_path / f"cut{moments}"
        left = moments
        try:
            built(recipe, out)
            break
        except PowerCut:
            assert not (out / "checksums.sha256").exists() or verify(out).problems == []
        train = out / "data" / "train"
        train.mkdir(parents=True, exist_ok=True)
        (train / "real-00000.parquet.tmp-1").write_bytes(b"a real kill leaves its temporary file behind")
        built(recipe, out)
        assert files(out) == expected, f"cut before rename {moments}"
    assert moments > 25


@pytest.mark.slow
def test_a_killed_build_goes_on_to_the_same_bytes(recipe: Resolved, dataset: Path, tmp_path: Path) -> None:
    """SIGKILL to the whole process group, again and again, with two worker processes."""
    out = tmp_path / "killed"
    document = recipe.recipe.model_dump(mode="json")
    document["execution"] = {"workers": 2, "device": "cpu", "clips_per_shard": 5}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    command = [sys.executable, "-m", "codecfake_builder", "build", str(path), "--out", str(out)]
    for finished in (0, 1, 8, 20):  # shards of the 30 after which the build is killed
        process = subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        while len(list((out / ".build").glob("records/*/*.json"))) < finished or not out.exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (out / "checksums.sha256").exists()
    final = subprocess.run(command, capture_output=True, text=True)
    assert final.returncode == 0, final.stderr
    assert files(out) == files(dataset)


@pytest.mark.slow
def test_a_failing_checkpoint_ends_the_build_with_one_line(
    recipe: Resolved, weights: dict[str, Path], tmp_path: Path
) -> None:
    broken = {**recipe.recipe.weights, "dac_16khz": weights["mimi"]}
    with pytest.raises(codec_adapters.CheckpointError, match="model_type is 'mimi', expected 'dac'"):
        built(changed(recipe, weights=broken), tmp_path / "d")


def test_real_speech_has_no_codec_columns_and_an_unused_worker_setting_changes_nothing(dataset: Path) -> None:
    assert shard_file.ROWS_PER_GROUP == 100
    for row in rows(dataset, "*/real-*.parquet"):
        assert [row[name] for name in ("bitrate_bps", "codebooks", "quantizer", "alm", "prompt_id")] == [None] * 5
