"""How often a build opens what its codecs are made of, counted in every process by the interpreter's audit events."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.kit import external_codecs
from tests.kit.external_codecs import codec_file, facts

COUNTER = """
import os, sys

def _count(event, arguments, folder=os.environ["COUNTED_FOLDER"] + "/", log=os.environ["COUNTED_LOG"]):
    if event != "open" or not isinstance(arguments[0], str) or not arguments[0].startswith(folder):
        return
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{os.getpid()} {arguments[0].removeprefix(folder)}\\n".encode())
    os.close(descriptor)

sys.addaudithook(_count)
"""
PLUGIN = """
import dataclasses, codec_adapters

def same(setup):
    from codec_adapters.external.adapters.opaque import OpaqueAdapter
    class Same(OpaqueAdapter):
        def _resynthesize(self, wav, seeds):
            return wav
    return Same(setup)

base = codec_adapters.spec("dac_16khz")
spec = dataclasses.replace(base, name="same", family="same", label=15, checkpoint="", options={})
codec_adapters.register(spec, same)
"""
FILED = ("scripted", "filed", "plain")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_each_file_is_read_once_in_the_main_process_and_in_each_worker(
    vctk: Path, tmp_path: Path, workers: int
) -> None:
    """Three codec files and a plugin, four shards each."""
    codecs = tmp_path / "codecs"
    for label, name in enumerate(FILED, start=12):
        (codecs / name).mkdir(parents=True)
        codec_file(codecs / name, name, external_codecs.torchscript(codecs / name), facts(family=name, label=label))
    (codecs / "plugin.py").write_text(PLUGIN)
    variants = [*FILED, "same"]
    document = {
        "name": "r",
        "title": "R",
        "plugins": [*(f"codecs/{name}/{name}.yaml" for name in FILED), "codecs/plugin.py"],
        "corpora": {"vctk": {"kind": "vctk", "root": str(vctk)}},
        "splits": {"train": {"draw": 8, "variants": variants}},
        "execution": {"workers": workers, "device": "cpu", "clips_per_shard": 2},
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(document))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(COUNTER)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path / 'site'}:{REPOSITORY}",
        "COUNTED_FOLDER": str(codecs),
        "COUNTED_LOG": str(tmp_path / "log"),
    }
    command = [
        sys.executable,
        "-m",
        "codecfake_builder",
        "build",
        str(tmp_path / "r.yaml"),
        "--out",
        str(tmp_path / "d"),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "d" / "data" / "train").glob("*.parquet"))) == 16
    reads: dict[str, Counter[str]] = defaultdict(Counter)
    for process, name in (line.split() for line in (tmp_path / "log").read_text().splitlines()):
        reads[process][name] += 1
    main, *others = sorted(reads.values(), key=lambda counts: -counts["plain/plain.yaml"])
    here = workers == 1
    assert len(others) == (0 if here else workers)
    for name in FILED:
        assert main[f"{name}/{name}.yaml"] == 1
        assert main[f"{name}/codec.pt"] == (2 if here else 1)  # hashed, and where shards are made here, loaded
        for worker in others:
            assert worker[f"{name}/{name}.yaml"] == 0  # what it says travels with the shards
            assert worker[f"{name}/codec.pt"] in (0, 2)
    assert main["plugin.py"] == 2  # hashed and imported
    assert all(worker["plugin.py"] in (0, 2) for worker in others)
