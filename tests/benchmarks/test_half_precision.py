"""What the half-precision script counts, on tensors whose answers are known, and one run of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import typer
from typer.testing import CliRunner

import codec_adapters
from benchmarks.half_precision import GOLDENS, HEADER, Run, chosen_checkpoints, main, row, share_changed, snr
from codec_adapters.errors import UnknownVariantError


def test_changed_codes_are_counted_by_level() -> None:
    reference = [[torch.zeros(1, 1, 2), torch.zeros(1, 2, 4)], [torch.zeros(1, 1, 2), torch.zeros(1, 2, 4)]]
    codes = [[level.clone() for level in clip] for clip in reference]
    codes[0][0][0, 0, 1] = 1
    codes[1][1][0, 1] = 1
    assert share_changed(codes, reference) == (1 / 4, 5 / 20)


def test_snr_in_decibels() -> None:
    signal = torch.ones(1, 100)
    assert snr(signal * 1.1, signal) == pytest.approx(20, abs=1e-4)
    assert math.isinf(snr(signal, signal))


def test_rows_say_what_was_measured() -> None:
    exact = Run([[torch.zeros(1, 2, 2)]], [torch.ones(1, 8)], 1.0, 4.0, True)
    half = Run([[torch.ones(1, 2, 2)]], [torch.full((1, 8), 0.9)], 2.0, 4.0, False)
    assert row("dac", "float32", exact, exact) == ["`dac`", "float32", "yes", "", "", "", "0.250", "yes"]
    assert row("dac", "float16", half, exact) == [
        *("`dac`", "float16", "yes", "100.0%", "100.0%", "20.0", "0.500", "no"),
    ]
    assert row("dac", "float16", "the output is not finite", exact)[2] == "no: the output is not finite"


def test_checkpoints_are_chosen(tmp_path: Path) -> None:
    (tmp_path / GOLDENS["facodec_v1"] / "checkpoint").mkdir(parents=True)
    chosen = chosen_checkpoints([f"dac_16khz={tmp_path}", "mimi_8codebooks"], tmp_path)
    assert list(chosen) == ["facodec_v1", "dac_16khz", "mimi_8codebooks"]
    assert (chosen["dac_16khz"], chosen["mimi_8codebooks"]) == (tmp_path, None)
    with pytest.raises(ValueError, match="give --checkpoint"):
        chosen_checkpoints([], None)
    with pytest.raises(UnknownVariantError):
        chosen_checkpoints(["dac_17khz=x"], None)
    assert set(GOLDENS) <= set(codec_adapters.names())


@pytest.mark.slow
def test_one_variant_from_speech_to_table(tiny: dict[str, Path], tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    soundfile.write(tmp_path / "clip.wav", noise, 16_000)
    app = typer.Typer()
    app.command()(main)
    arguments = ["--speech", str(tmp_path), "--checkpoint", f"dac_16khz={tiny['dac_16khz']}", "--note", "Random."]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "half.md")])
    assert result.exit_code == 0
    lines = (tmp_path / "half.md").read_text().splitlines()
    assert "1 clips of speech, the first 3 s of each. Random." in lines
    rows = [line.split(" | ") for line in lines if line.startswith("| `dac_16khz`")]
    assert [cells[1] for cells in rows] == ["float32", "bfloat16", "float16"]
    assert all(cells[HEADER.index("works")] == "yes" for cells in rows)
    assert CliRunner().invoke(app, ["--speech", str(tmp_path)]).exit_code == 2
