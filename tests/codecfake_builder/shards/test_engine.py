"""The engine: batches that change nothing, keys that change with what matters, faults that cost their clips only."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

import codec_adapters
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import BuilderError, CheckFailedError
from codecfake_builder.recipe.schema import Execution
from codecfake_builder.recipe.variants import ResolvedCodec
from codecfake_builder.resynthesis import PaddingRule, halving
from codecfake_builder.shards.batching import LARGEST_BATCH, equal_length_batches, fastest_batch
from codecfake_builder.shards.codec_runner import seed_of
from codecfake_builder.shards.run import chosen_devices
from codecfake_builder.shards.shard import Shard, Utterance
from codecfake_builder.shards.watch import MainProcess
from codecfake_builder.shards.worker import WorkerSettings
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, built, files, rows, small_recipe


@given(lengths=st.lists(st.integers(1, 50), max_size=60), limit=st.integers(1, 200))
def test_batches_hold_equal_lengths_within_the_limit_and_every_clip_once(lengths: list[int], limit: int) -> None:
    batches = equal_length_batches(lengths, limit)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len({lengths[position] for position in batch}) == 1
        assert len(batch) == 1 or len(batch) * lengths[batch[0]] <= limit


@given(samples=st.integers(1, 10**6), step=st.integers(1, 12_000), margin=st.integers(0, 2000))
def test_padding_is_the_next_step_above_length_and_margin(samples: int, step: int, margin: int) -> None:
    padded = PaddingRule(step, margin).padded(samples)
    assert padded % step == 0
    assert 0 <= padded - samples - margin < step


def test_padding_rules_follow_from_what_the_codec_is(tiny: dict[str, Path]) -> None:
    policy = AudioPolicy()
    local = codec_adapters.load("encodec_24khz_6kbps", checkpoint=tiny["encodec_24khz_6kbps"])
    assert PaddingRule.of(local, policy) == PaddingRule(step=19 * 320, margin=320)
    whole = codec_adapters.load("snac_24khz", checkpoint=tiny["snac_24khz"])
    assert PaddingRule.of(whole, policy) == PaddingRule(step=2048, margin=0)
    mirroring = SimpleNamespace(hop=320, length_multiple=1, spec=codec_adapters.spec("speechtokenizer_hubert_avg"))
    assert PaddingRule.of(mirroring, policy) == PaddingRule(step=320, margin=0)  # type: ignore[arg-type]
    late = SimpleNamespace(hop=320, length_multiple=1, spec=codec_adapters.spec("funcodec_libritts_gr8nq32ds320"))
    assert PaddingRule.of(late, policy) == PaddingRule(step=320, margin=160)  # type: ignore[arg-type]


def utterance(number: int = 1, sha256: str = "a" * 64) -> Utterance:
    return Utterance("vctk", f"p225_{number:03d}", "/x/y.flac", "p225", "en", None, 48000, 48000, sha256)


def codec(**changes: object) -> ResolvedCodec:
    values = {
        "spec": codec_adapters.spec("dac_16khz"),
        "options": {"codebooks": 12},
        "checkpoint": Path("/weights"),
        "checkpoint_hashes": {"model.safetensors": "1"},
        "provider": None,
        "dtype": "float32",
    }
    return ResolvedCodec(**{**values, **changes})  # type: ignore[arg-type]


def key(made_by: ResolvedCodec | None = None, policy: AudioPolicy | None = None, *utterances: Utterance) -> str:
    members = utterances or (utterance(),)
    return Shard("train", "x", 0, members, made_by or codec(), policy or AudioPolicy()).key


def test_content_keys_change_with_what_changes_a_clip_and_with_nothing_else() -> None:
    same = {
        key(),
        key(codec(checkpoint=Path("/elsewhere"))),
        Shard("dev", "y", 3, (utterance(),), codec(), AudioPolicy()).key,
    }
    assert len(same) == 1
    different = {
        key(),
        key(codec(options={"codebooks": 6})),
        key(codec(checkpoint_hashes={"model.safetensors": "2"})),
        key(codec(dtype="bfloat16")),
        key(codec(spec=codec_adapters.spec("dac_24khz"))),
        key(None, AudioPolicy(max_missing_seconds=0.1)),
        key(None, None, utterance(sha256="b" * 64)),
        key(None, None, utterance(2)),
        key(None, None, utterance(), utterance(2)),
    }
    assert len(different) == 9


def test_seeds_belong_to_utterances() -> None:
    assert seed_of(utterance(1)) == seed_of(utterance(1, sha256="b" * 64)) != seed_of(utterance(2))
    assert 0 <= seed_of(utterance(1)) < 2**63


@given(count=st.integers(1, 40), fits=st.integers(1, 40))
def test_out_of_memory_halves_until_it_fits(count: int, fits: int) -> None:
    def run(waves: list[np.ndarray], seeds: list[int]) -> list[np.ndarray]:
        if len(waves) > fits:
            raise torch.OutOfMemoryError
        return waves

    waves = [np.full(1, number, dtype=np.float32) for number in range(count)]
    assert [int(wave[0]) for wave in halving(run, waves, [0] * count)] == list(range(count))


def test_out_of_memory_with_a_single_clip_is_an_error() -> None:
    def run(waves: list[np.ndarray], seeds: list[int]) -> list[np.ndarray]:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        halving(run, [np.zeros(1, dtype=np.float32)], [0])


@pytest.mark.parametrize(
    ("seconds", "fits", "best"),
    [
        (lambda size: 1.0, 10**6, LARGEST_BATCH),  # a device that takes any batch in the same time
        (lambda size: float(size), 10**6, 1),  # one that gains nothing from batches
        (lambda size: max(1.0, size / 16), 10**6, 16),  # one that is busy from 16 on
        (lambda size: 1.0, 8, 8),  # one whose memory ends at 8
    ],
)
def test_the_batch_grows_until_it_no_longer_pays(seconds: object, fits: int, best: int) -> None:
    def run(size: int) -> float:
        if size > fits:
            raise torch.OutOfMemoryError
        return seconds(size)  # type: ignore[operator]

    assert fastest_batch(run) == best


def test_absent_devices_are_refused() -> None:
    with pytest.raises(BuilderError, match="cuda:7 is not there"):
        chosen_devices(Execution(device="cuda:7"))
    assert chosen_devices(Execution(device="cpu")) == ("cpu",)
    assert chosen_devices(Execution(scheduler="tcp://127.0.0.1:1")) == ()


@pytest.mark.slow
def test_processes_spread_over_devices_and_keep_theirs(tmp_path: Path) -> None:
    settings = WorkerSettings(tmp_path, ("cuda:0", "cuda:1"), tmp_path, None, 60.0, 60.0, MainProcess.here())
    code = (
        "import sys, pickle\n"
        f"settings = pickle.loads({pickle.dumps(settings)!r})\n"
        "print(settings.device(), settings.device())\n"
    )
    outputs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(3)]
    assert [done.stdout.split() for done in outputs] == [["cuda:0"] * 2, ["cuda:1"] * 2, ["cuda:0"] * 2]


@pytest.mark.slow
def test_a_dask_cluster_makes_the_same_bytes(vctk: Path, aishell3: Path, tiny: dict[str, Path], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="dask is not installed (extra cluster)")
    weights = {"snac_24khz": tiny["snac_24khz"]}
    built(small_recipe(vctk, aishell3, ["real", "snac_24khz"], weights), tmp_path / "here")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        execution = {"workers": None, "scheduler": cluster.scheduler_address}
        built(small_recipe(vctk, aishell3, ["real", "snac_24khz"], weights, execution=execution), tmp_path / "there")
    assert files(tmp_path / "there") == files(tmp_path / "here")


@pytest.mark.slow
def test_an_absent_scheduler_is_one_line(
    vctk: Path, aishell3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="dask is not installed (extra cluster)")
    monkeypatch.setattr("codecfake_builder.shards.run.SCHEDULER_SECONDS", 1)
    recipe = small_recipe(vctk, aishell3, ["real"], execution={"scheduler": "tcp://127.0.0.1:9"})
    with pytest.raises(BuilderError, match="no dask scheduler answers at"):
        built(recipe, tmp_path / "d")


@pytest.mark.slow
def test_batch_size_changes_no_byte(vctk: Path, aishell3: Path, tiny: dict[str, Path], tmp_path: Path) -> None:
    """Mimi: even the transformers' sums are the same, alone or in a batch."""
    weights = {"mimi": tiny["mimi_8codebooks"]}
    datasets = []
    for number, seconds in enumerate((None, 30.0)):
        execution = {"batch_seconds": seconds}
        recipe = small_recipe(vctk, aishell3, ["mimi_8codebooks"], weights, execution=execution)
        built(recipe, tmp_path / str(number))
        datasets.append([(row["id"], row["audio_sha256"]) for row in rows(tmp_path / str(number))])
    assert datasets[0] == datasets[1]


@pytest.mark.parametrize(("fault", "reason"), [("nan", "non_finite"), ("silent", "silent"), ("short", "length")])
def test_faulty_clips_are_listed_and_fail_the_build(
    vctk: Path, aishell3: Path, tmp_path: Path, fault: str, reason: str
) -> None:
    recipe = small_recipe(vctk, aishell3, ["real", f"faulty_{fault}"], plugins=[FAULTY_PLUGIN])
    with pytest.raises(CheckFailedError, match=f"train/faulty_{fault}"):
        built(recipe, tmp_path / "d")
    rejected = pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist()
    assert len(rejected) == 20
    assert {row["reason"] for row in rejected} == {reason}
    assert {row["variant"] for row in rejected} == {f"faulty_{fault}"}
    assert len(rows(tmp_path / "d")) == 20
    assert {row["codec"] for row in rows(tmp_path / "d")} == {"real"}
    for config, clips in (("all", 20), ("metadata", 20)):  # a class without clips must not keep the others from loading
        found = datasets.load_dataset(str(tmp_path / "d"), config, cache_dir=str(tmp_path / "cache"))
        assert sum(split.num_rows for split in found.values()) == clips
    assert verify(tmp_path / "d").problems == []


def test_a_dataset_without_a_clip_is_none(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    recipe = small_recipe(vctk, aishell3, ["faulty_nan"], plugins=[FAULTY_PLUGIN])
    with pytest.raises(CheckFailedError, match=r"every clip was rejected.*non_finite 20"):
        built(recipe, tmp_path / "d")
    assert not (tmp_path / "d" / "checksums.sha256").exists()


def test_a_codec_that_raises_costs_only_the_clips_it_raises_on(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    audio = {"max_rejected_share": 1.0}
    execution = {"batch_seconds": 30.0}
    recipe = small_recipe(vctk, aishell3, ["faulty_odd"], plugins=[FAULTY_PLUGIN], audio=audio, execution=execution)
    built(recipe, tmp_path / "d")
    rejected = pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist()
    assert {row["reason"] for row in rejected} == {"codec_error"}
    assert rejected[0]["detail"] == "ValueError: cannot take an odd number of frames"
    assert 0 < len(rejected) < 20
    assert len(rejected) + len(rows(tmp_path / "d")) == 20


def test_running_out_of_memory_costs_nothing(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    recipe = small_recipe(vctk, aishell3, ["faulty_memory"], plugins=[FAULTY_PLUGIN], execution={"batch_seconds": 30.0})
    built(recipe, tmp_path / "d")
    assert len(rows(tmp_path / "d")) == 20


@pytest.mark.parametrize(("fault", "words"), [("huge", "even alone"), ("device", "the device failed")])
def test_a_failing_device_ends_the_build_and_rejects_nothing(
    vctk: Path, aishell3: Path, tmp_path: Path, fault: str, words: str
) -> None:
    recipe = small_recipe(vctk, aishell3, ["real", f"faulty_{fault}"], plugins=[FAULTY_PLUGIN])
    with pytest.raises(CheckFailedError, match=words):
        built(recipe, tmp_path / "d")
    assert not (tmp_path / "d" / "checksums.sha256").exists()
    assert not list((tmp_path / "d" / "data").rglob("faulty*"))


@pytest.mark.parametrize(("level", "level_gain", "gain"), [("source", 0.1, 1.0), ("own", 1.0, 0.2)])
def test_a_codec_that_is_ten_times_too_loud(
    vctk: Path, aishell3: Path, tmp_path: Path, level: str, level_gain: float, gain: float
) -> None:
    """It gets its source's level, and then its clips are the real ones; or keeps its own, below full scale."""
    recipe = small_recipe(vctk, aishell3, ["real", "faulty_loud"], plugins=[FAULTY_PLUGIN], audio={"level": level})
    built(recipe, tmp_path / "d")
    real, loud = (by_utterance(tmp_path / "d", variant) for variant in ("real", "faulty_loud"))
    assert all(row["gain"] == pytest.approx(gain, rel=0.06) for row in loud.values())
    assert all(row["level_gain"] == pytest.approx(level_gain) for row in loud.values())
    assert {(row["gain"], row["level_gain"]) for row in real.values()} == {(1.0, 1.0)}
    for name, row in real.items():
        factor = 10 * loud[name]["gain"] * loud[name]["level_gain"]
        assert np.abs(samples(loud[name]) - factor * samples(row)).max() <= 1.01 + 2 * abs(factor - 1)


@pytest.mark.parametrize("audio", [{}, {"trim_db": 12}, {"context_seconds": 0}, {"fade_seconds": 0.1}])
def test_a_codec_that_changes_nothing_gives_the_real_clips(
    vctk: Path, aishell3: Path, tmp_path: Path, audio: dict[str, float]
) -> None:
    """Whatever the policy: bit by bit, since all that the chain does to a clip is a function of its source."""
    recipe = small_recipe(vctk, aishell3, ["real", "faulty_none"], plugins=[FAULTY_PLUGIN], audio=audio)
    built(recipe, tmp_path / "d")
    real, same = (by_utterance(tmp_path / "d", variant) for variant in ("real", "faulty_none"))
    assert len(real) == 20
    for name, row in real.items():
        assert np.array_equal(samples(row), samples(same[name]))
        assert row["level_gain"] == same[name]["level_gain"] == 1
    assert verify(tmp_path / "d").problems == []


def test_what_trimming_leaves_too_short_is_left_out_alike_in_all_classes(
    vctk: Path, aishell3: Path, tmp_path: Path
) -> None:
    audio = {"trim_db": 1.0, "min_seconds": 0.6, "max_rejected_share": 1.0}
    built(small_recipe(vctk, aishell3, ["real", "faulty_none"], plugins=[FAULTY_PLUGIN], audio=audio), tmp_path / "d")
    left: dict[str, set[str]] = {"real": set(), "faulty_none": set()}
    for row in pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist():
        assert row["reason"] == "too_short"
        left[row["variant"]].add(row["utterance_id"])
    assert 0 < len(left["real"]) < 20
    assert left["real"] == left["faulty_none"]
    assert all(row["duration"] >= 0.6 for row in rows(tmp_path / "d"))
    assert verify(tmp_path / "d").problems == []


def by_utterance(dataset: Path, variant: str) -> dict[str, dict[str, Any]]:
    return {row["utterance_id"]: row for row in rows(dataset, f"*/{variant}-*.parquet")}


def samples(row: dict[str, Any]) -> np.ndarray:
    return soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")[0].astype(np.float64)


def test_a_source_that_changed_after_the_index_is_rejected(
    aishell3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codecfake_builder.shards.run import run_shards
    from tests.kit.synthetic import make_vctk, write_wave

    vctk = make_vctk(tmp_path / "vctk")
    original = run_shards

    def meddling(*args: object) -> object:
        write_wave(vctk / "wav48_silence_trimmed" / "p225" / "p225_001_mic1.flac", 0.9, 48000, 77)
        (vctk / "wav48_silence_trimmed" / "p225" / "p225_002_mic1.flac").unlink()
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("codecfake_builder.changes.build.run_shards", meddling)
    recipe = small_recipe(vctk, aishell3, ["real"], audio={"max_rejected_share": 1.0})
    built(recipe, tmp_path / "d")
    rejected = {r["utterance_id"]: r["reason"] for r in pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist()}
    assert rejected == {"p225_001": "source_changed", "p225_002": "missing"}
    monkeypatch.undo()
    write_wave(vctk / "wav48_silence_trimmed" / "p225" / "p225_002_mic1.flac", 0.76, 48000, 2)
    built(recipe, tmp_path / "d")
    assert pq.read_table(tmp_path / "d" / "rejected.parquet").num_rows == 0
    assert len(rows(tmp_path / "d")) == 20
