"""Isolated workers: whatever one does wrong is one error of one line, and the next request is answered."""

from __future__ import annotations

import dataclasses
import gc
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import codec_adapters
from codec_adapters.errors import EnvironmentFailedError, InputError, WorkerError, WorkerRefusedError
from codec_adapters.external.worker import environment
from codec_adapters.external.worker.adapter import IsolatedAdapter
from codec_adapters.external.worker.entry import Isolated
from codec_adapters.external.worker.environment import Environment, EnvironmentSpec, prepare
from codec_adapters.external.worker.worker import Limits, Worker
from codec_adapters.loading import load_codec
from tests.conftest import REPOSITORY
from tests.kit.synthetic import voice

DRIVERS = Path(environment.__file__).parent / "drivers"
MISBEHAVING = REPOSITORY / "tests" / "kit" / "misbehaving_driver.py"
HERE = Environment(Path(sys.executable), None, {})
SHORT, LONG = torch.from_numpy(voice(0.5, 16000, 1))[None], torch.from_numpy(voice(2.0, 16000, 2))[None]


def codec(name: str, driver: Path, rate: int = 16000, options: dict[str, Any] | None = None, **limits: Any) -> Isolated:
    base = codec_adapters.spec("dac_16khz")
    spec = dataclasses.replace(
        base, name=name, family="other", label=12, checkpoint="", sample_rate=rate, hop=1, options=options or {}
    )
    return Isolated(spec, EnvironmentSpec(), driver, Limits(**{"clip_seconds": 20.0, **limits}))


def load(made: Isolated) -> IsolatedAdapter:
    adapter = load_codec(made.entry())
    assert isinstance(adapter, IsolatedAdapter)
    return adapter


def misbehaving(fault: str, tmp_path: Path, **limits: Any) -> IsolatedAdapter:
    options = {"fault": fault, "starts": str(tmp_path / "starts")}
    return load(codec(f"fault_{fault}", MISBEHAVING, options=options, **limits))


def starts(tmp_path: Path) -> int:
    return len((tmp_path / "starts").read_text().splitlines())


def test_the_reference_driver_is_mu_law() -> None:
    adapter = load(codec("g711", DRIVERS / "g711.py", rate=8000))
    wave = torch.from_numpy(np.stack([voice(0.3, 8000, 1), voice(0.3, 8000, 2)]))
    out = adapter.resynthesize(wave)
    assert out.shape == wave.shape
    samples = wave.numpy().astype(np.float64)
    codes = np.round((np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256) + 1) / 2 * 255) / 255 * 2 - 1
    expected = np.sign(codes) * np.expm1(np.abs(codes) * np.log(256)) / 255
    assert np.abs(out.numpy() - expected).max() < 1e-6
    assert len(np.unique(out.numpy())) <= 256
    with pytest.raises(InputError, match="gives no codes"):
        adapter.encode(wave)


def test_a_driver_that_works_at_another_rate_than_its_entry_says() -> None:
    with pytest.raises(WorkerRefusedError, match="works at 8000 Hz, its spec says 16000 Hz"):
        load(codec("g711", DRIVERS / "g711.py")).resynthesize(SHORT)


def test_the_template_gives_its_input_back() -> None:
    adapter = load(codec("template", DRIVERS / "template.py"))
    assert torch.equal(adapter.resynthesize(LONG, [5]), LONG)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("hang", "did not answer resynthesize within 1 s"),
        ("die", r"died \(exit code 7\); its last words: out of luck"),
        ("orphan", r"died \(exit code 7\)"),
        ("garbage", "printed what is no answer to resynthesize: 'Epoch 3"),
        ("flood", "printed what is no answer to resynthesize: 'xxx"),
        ("stale", "printed what is no answer to resynthesize"),
        ("unasked", "printed what is no answer to resynthesize: 'more and more"),
        ("chatter", "filled its scratch folder and log with over 8 MB"),
        ("fill", "filled its scratch folder and log with over 8 MB"),
        ("cuda", "lost its device: RuntimeError: CUDA error: an illegal"),
    ],
)
def test_a_worker_that_misbehaves_costs_one_request(tmp_path: Path, fault: str, words: str) -> None:
    adapter = misbehaving(fault, tmp_path, clip_seconds=1.0 if fault == "hang" else 20.0, scratch_mb=8)
    before = adapter.resynthesize(SHORT)
    with pytest.raises(WorkerError, match=words) as caught:
        adapter.resynthesize(LONG)
    assert "\n" not in str(caught.value)
    assert "log: " in str(caught.value)
    assert torch.equal(adapter.resynthesize(SHORT), before)
    assert starts(tmp_path) == 2
    assert not list(adapter._exchange.worker.scratch.iterdir())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refuse", "resynthesize: ValueError: too long for me"),
        ("nothing", "wrote something that is no file"),
        ("rate", "wrote 100 samples, 1 channels, 8000 Hz; expected one channel, 16000 Hz"),
        ("noise", "wrote no audio"),
    ],
)
def test_an_answer_that_is_none_leaves_the_worker_alone(tmp_path: Path, fault: str, words: str) -> None:
    adapter = misbehaving(fault, tmp_path)
    with pytest.raises(WorkerRefusedError, match=words) as caught:
        adapter.resynthesize(LONG)
    assert "\n" not in str(caught.value)
    assert torch.equal(adapter.resynthesize(SHORT), SHORT)
    assert starts(tmp_path) == 1


@pytest.mark.parametrize("fault", ["homeless", "squatter"])
def test_a_worker_that_removes_its_folder_gets_it_back(tmp_path: Path, fault: str) -> None:
    adapter = misbehaving(fault, tmp_path)
    with pytest.raises(WorkerRefusedError, match=r"resynthesize: \w+Error: "):
        adapter.resynthesize(LONG)
    with pytest.raises(WorkerError, match=r"cannot be given audio: .* cannot be written to"):
        adapter.resynthesize(SHORT)
    assert torch.equal(adapter.resynthesize(SHORT), SHORT)
    assert starts(tmp_path) == 2


def test_programs_that_a_driver_runs_do_not_read_the_requests(tmp_path: Path) -> None:
    adapter = misbehaving("reader", tmp_path, clip_seconds=5.0)
    assert torch.equal(adapter.resynthesize(LONG), LONG)
    assert torch.equal(adapter.resynthesize(SHORT), SHORT)


def test_a_failure_costs_no_clip_of_another_thread(tmp_path: Path) -> None:
    adapter = misbehaving("die", tmp_path)
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(adapter.resynthesize, wave) for wave in [SHORT, LONG, SHORT, SHORT] * 3]
    for number, future in enumerate(made):
        if number % 4 == 1:
            assert isinstance(future.exception(), WorkerError)
        else:
            assert torch.equal(future.result(), SHORT)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "words"), [("start", "no such weights"), ("exit", "cannot import the codec")])
def test_a_worker_that_cannot_start_is_not_tried_for_ever(tmp_path: Path, fault: str, words: str) -> None:
    adapter = misbehaving(fault, tmp_path, restarts=2)
    for _ in range(3):
        with pytest.raises(WorkerError, match=f"did not start: .*{words}"):
            adapter.resynthesize(SHORT)
    for _ in range(5):
        with pytest.raises(WorkerError, match="not started again after 3 failures in a row"):
            adapter.resynthesize(SHORT)
    assert starts(tmp_path) == 3


@pytest.mark.slow
def test_a_worker_that_works_now_and_then_is_not_started_for_ever(tmp_path: Path) -> None:
    adapter = misbehaving("die", tmp_path, restarts_in_all=2)
    for _ in range(3):
        adapter.resynthesize(SHORT)
        with pytest.raises(WorkerError, match="died"):
            adapter.resynthesize(LONG)
    with pytest.raises(WorkerError, match="not started again after 3 starts in all"):
        adapter.resynthesize(SHORT)


def test_the_process_ends_with_its_adapter(tmp_path: Path) -> None:
    adapter = misbehaving("none", tmp_path)
    adapter.resynthesize(SHORT)
    process, scratch = adapter._exchange.worker._running.process, adapter._exchange.worker.scratch
    assert process is not None
    del adapter
    gc.collect()
    assert process.poll() is not None
    assert not scratch.exists()


@pytest.mark.slow
def test_the_process_ends_with_the_builder(tmp_path: Path) -> None:
    """A builder that is killed outright leaves no process behind, even one that hangs, and no scratch for ever."""
    code = (
        "import sys, os\nfrom pathlib import Path\n"
        "from tests.codec_adapters.external.test_isolated import LONG, misbehaving\n"
        "import threading, time\n"
        "a = misbehaving('hang', Path(sys.argv[1]))\n"
        "threading.Thread(target=a.resynthesize, args=(LONG,), daemon=True).start()\n"
        "while a._exchange.worker._running.asked < 2: time.sleep(0.05)\n"
        "print(a._exchange.worker._running.process.pid, a._exchange.worker.scratch, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    pid, scratch = done.stdout.split()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()
    Worker("next", HERE, MISBEHAVING, {}).close()
    assert not Path(scratch).exists()


def test_any_operation_can_be_asked(tmp_path: Path) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(
        "from codecfake_driver import serve\n"
        "serve({'load': lambda **_: {}, 'generate': lambda prompts: {'said': [p.upper() for p in prompts]}})\n"
    )
    worker = Worker("speaker", HERE, driver, {})
    assert worker.request("generate", {"prompts": ["a", "b"]}, 10.0) == {"said": ["A", "B"]}
    with pytest.raises(WorkerRefusedError, match="sing: KeyError"):
        worker.request("sing", {}, 10.0)
    worker.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"repo": "http://example.org/x", "commit": "a" * 40}, "only https addresses"),
        ({"repo": "git://example.org/x", "commit": "a" * 40}, "only https addresses"),
        ({"repo": "https://example.org/x"}, "an address needs the commit"),
        ({"repo": "https://example.org/x", "commit": "main"}, "expected the 40 hex digits"),
        ({"repo": "/no/such/folder"}, "no such folder"),
        ({"python": "3.10; rm"}, "expected a version"),
        ({"requirements": ("--index-url http://x",)}, "options are not taken"),
        ({"requirements": (" --index-url http://x",)}, "expected one line each"),
        ({"requirements": ("torch\n--index-url http://x",)}, "expected one line each"),
        ({"requirements": ("",)}, "expected one line each"),
        ({"commit": "a" * 40}, "no repo to check it out from"),
    ],
)
def test_entries_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(EnvironmentFailedError, match=words):
        prepare(EnvironmentSpec(**changes), "x")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@x", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    """A repository with a package, and the commit before its last one."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for value in (1, 2):
        (folder / "research.py").write_text(f"VALUE = {value}\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", f"value {value}")
    return folder, git(folder, "rev-parse", "HEAD~1")


def asked_value(spec: EnvironmentSpec, tmp_path: Path) -> dict[str, Any]:
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import sys\nfrom codecfake_driver import serve\nimport research\n"
        "serve({'load': lambda **_: {}, 'value': lambda: {'value': research.VALUE, 'prefix': sys.prefix}})\n"
    )
    worker = Worker("value", prepare(spec, "value"), driver, {})
    try:
        return worker.request("value", {}, 30.0)
    finally:
        worker.close()


def test_a_repository_is_checked_out_at_its_commit(repository: tuple[Path, str], tmp_path: Path) -> None:
    folder, commit = repository
    assert asked_value(EnvironmentSpec(str(folder), commit), tmp_path)["value"] == 1
    assert asked_value(EnvironmentSpec(str(folder)), tmp_path)["value"] == 2
    with pytest.raises(EnvironmentFailedError, match=r"^isolated\.x: git failed: .*log: "):
        prepare(EnvironmentSpec(str(folder), "0" * 40), "x")


def test_files_of_a_folder_used_in_place_count(repository: tuple[Path, str]) -> None:
    folder, _ = repository
    first = prepare(EnvironmentSpec(str(folder)), "x").hashes
    (folder / "research.py").write_text("VALUE = 3\n")
    second = prepare(EnvironmentSpec(str(folder)), "x").hashes
    assert first["environment"] == second["environment"]
    assert first["repository"] != second["repository"]


def uv_there() -> bool:
    return subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not uv_there(), reason="uv is not installed: pip install '.[isolated]'")
def test_an_environment_is_made_once_with_uv(repository: tuple[Path, str], tmp_path: Path) -> None:
    """With its own interpreter and a requirement out of the repository itself, so that no network is needed."""
    folder, _ = repository
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "requirements.txt").write_text("# nothing\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "requirements")
    spec = EnvironmentSpec(str(folder), git(folder, "rev-parse", "HEAD"), version, ("-r requirements.txt",))
    found = asked_value(spec, tmp_path)
    assert found["value"] == 2
    assert found["prefix"] != sys.prefix
    place = Path(found["prefix"])
    made = (place / "pyvenv.cfg").stat().st_mtime_ns
    assert prepare(spec, "again").python == place / "bin" / "python"
    assert (place / "pyvenv.cfg").stat().st_mtime_ns == made
    (place.parent / "ready.json").unlink()  # as after an interruption
    assert asked_value(spec, tmp_path)["value"] == 2
    with pytest.raises(EnvironmentFailedError, match="the repository has no such file"):
        prepare(dataclasses.replace(spec, requirements=("-r ../../../etc/passwd",)), "x")
