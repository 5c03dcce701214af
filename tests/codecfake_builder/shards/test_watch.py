"""Codecs that hang, exit or end their process, and main processes that are killed: the build ends, and says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from codecfake_builder.shards.watch import MainProcess, doing, told_by_the_dead
from tests.conftest import REPOSITORY
from tests.kit.datasets_for_tests import FAULTY_PLUGIN
from tests.kit.synthetic import write_wave

SPEAKERS = 40


def recipe(folder: Path, variant: str, **execution: object) -> Path:
    """Write a recipe that passes 400 clips of 40 speakers through a faulty codec."""
    for number in range(SPEAKERS * 10):
        write_wave(folder / "speech" / f"s{number % SPEAKERS:02d}" / f"u{number:03d}.wav", 0.5, 16000, number)
    document = {
        "name": "x",
        "title": "x",
        "plugins": [FAULTY_PLUGIN],
        "corpora": {"f": {"kind": "folder", "root": str(folder / "speech")}},
        "splits": {"train": {"share": 1.0, "variants": ["real", variant]}},
        "execution": {"device": "cpu", "clips_per_shard": 20, **execution},
        "card": {"stoi_clips": 0},
    }
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def started(path: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "codecfake_builder", "build", str(path), "--out", str(out)]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ended(path: Path, out: Path) -> tuple[int, str]:
    process = started(path, out)
    _, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    return process.returncode, errors.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_codec_that_exits_costs_its_clips_and_never_ends_a_build_with_code_0(workers: int, tmp_path: Path) -> None:
    code, said = ended(recipe(tmp_path, "faulty_exit", workers=workers), tmp_path / "out")
    assert code == 1
    assert "faulty_exit" in said
    assert (tmp_path / "out" / "rejected.parquet").is_file()
    assert b"SystemExit" in (tmp_path / "out" / "rejected.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("variant", "expected", "message"),
    [
        ("faulty_late", 1, "faulty_late: its code ended with SystemExit: 0"),
        ("faulty_hop", 2, "faulty_hop: its checkpoint or code gives no hop (SystemExit: 0)"),
        ("faulty_stop", 2, "faulty_stop: cannot be loaded (GeneratorExit: no)"),
    ],
)
def test_what_a_codec_tells_of_itself_may_exit_too(
    variant: str, expected: int, message: str, workers: int, tmp_path: Path
) -> None:
    code, said = ended(recipe(tmp_path, variant, workers=workers), tmp_path / "out")
    assert code == expected
    assert message in said


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_codec_that_hangs_is_named_after_its_time_limit(workers: int, tmp_path: Path) -> None:
    begun = time.monotonic()
    code, said = ended(recipe(tmp_path, "faulty_slow", workers=workers, batch_timeout=1.5), tmp_path / "out")
    assert code == 1
    assert "faulty_slow: f/s" in said
    assert "took more than 1.5 s (execution.batch_timeout)" in said
    assert "kept" in said
    assert time.monotonic() - begun < 28, "not after the codec's own 30 s"


@pytest.mark.slow
def test_a_worker_that_is_gone_leaves_what_it_was_doing(tmp_path: Path) -> None:
    code, said = ended(recipe(tmp_path, "faulty_quit", workers=2), tmp_path / "out")
    assert code == 1
    assert "a worker process died" in said
    assert "it was making faulty_quit (data/train/faulty_quit-0000" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_process_outlives_the_main_one(number: signal.Signals, tmp_path: Path) -> None:
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests under nohup ignore it, and so would the build
    try:
        process = started(recipe(tmp_path, "faulty_slow", workers=2), tmp_path / "out")
    finally:
        signal.signal(signal.SIGHUP, hangup)
    claims = tmp_path / "out" / ".build"
    give_up = time.monotonic() + 60
    while not list(claims.glob("claims-*/doing-*")):
        assert time.monotonic() < give_up
        time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2
    process.send_signal(number)
    _, alive = psutil.wait_procs(family, timeout=8)
    assert [found.pid for found in alive if found.status() != psutil.STATUS_ZOMBIE] == []
    _, errors = process.communicate(timeout=20)
    assert process.returncode in (-number, 128 + number)
    assert "Traceback" not in errors
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert "interrupted; what is finished is kept" in errors
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet"))
    time.sleep(1)
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")) == before


def test_a_main_process_is_told_from_another_of_its_number() -> None:
    here = MainProcess.here()
    assert here.is_here
    assert not here.gone()
    assert MainProcess(here.node, os.getppid(), 1.0).gone(), "another process has its number now"
    assert MainProcess(here.node, 2**22 - 1, 1.0).gone()
    assert not MainProcess("elsewhere", 2**22 - 1, 1.0).gone()
    assert not MainProcess.elsewhere().gone()


def test_what_is_done_is_noted_while_it_is(tmp_path: Path) -> None:
    assert told_by_the_dead(tmp_path) is None
    with doing(tmp_path, "dac_16khz (data/train/dac_16khz-00000.parquet)"):
        assert told_by_the_dead(tmp_path) == "it was making dac_16khz (data/train/dac_16khz-00000.parquet)"
    assert told_by_the_dead(tmp_path) is None
