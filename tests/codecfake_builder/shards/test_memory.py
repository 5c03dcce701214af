"""Memory does not grow with the number of clips."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.kit.synthetic import write_wave

CLIPS = 20_000
CODE = """
import resource, sys
from codecfake_builder.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mebibytes(folder: Path, clips: int, wave: Path) -> int:
    """Peak resident memory of a build, worker included, of ``clips`` very short clips."""
    root = folder / "corpus"
    for number in range(clips):
        link = root / f"speaker{number % 50:02d}" / f"u{number:06d}.wav"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.hardlink_to(wave)
    recipe = {
        "name": "many",
        "title": "many",
        "corpora": {"f": {"kind": "folder", "root": str(root)}},
        "assignment": {"method": "speaker_disjoint", "duplicates": "keep"},  # all of them are one recording
        "splits": {"train": {"share": 0.8, "variants": ["real"]}, "dev": {"share": 0.2, "variants": ["real"]}},
        "execution": {"workers": 1, "device": "cpu"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-c", CODE, "build", str(folder / "recipe.yaml"), "--out", str(folder / "out")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert f"train  real   real     {clips * 4 // 5:>5}" in run.stdout
    return int(run.stdout.split()[-1])


@pytest.mark.slow
def test_ten_times_the_clips_take_no_more_memory(tmp_path: Path) -> None:
    wave = write_wave(tmp_path / "u.wav", 0.31, 16000, 1)
    few = peak_mebibytes(tmp_path / "few", CLIPS // 10, wave)
    many = peak_mebibytes(tmp_path / "many", CLIPS, wave)
    assert many - few < 300, (few, many)
