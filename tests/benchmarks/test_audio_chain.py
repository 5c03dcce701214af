"""The measurement of the audio chain: a probe that tells what there is to tell, and the table."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import audio_chain
from benchmarks.audio_chain import STEPS, codecs_of, main, told
from codecfake_builder.audio_policy import AudioPolicy
from tests.kit.synthetic import write_wave


def test_the_probe_finds_a_leak_and_no_leak_where_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_chain, "TREES", 30)
    families = ["real", "dac", "snac"] * 20
    utterances = [number // 3 for number in range(60)]
    noise = np.random.default_rng(0).standard_normal((60, 1))
    leak = np.array([[{"real": 0.0, "dac": 10.0, "snac": 20.0}[family]] for family in families])
    assert told(noise + leak, families, utterances) == (1.0, 1.0)
    f1, area = told(noise, families, utterances)
    assert f1 < 0.5
    assert 0.3 < area < 0.7


def test_the_last_step_but_the_trims_is_the_default_and_each_adds_one_thing() -> None:
    policies = list(STEPS.values())
    assert AudioPolicy() in policies
    changed = [
        {field for field in AudioPolicy.model_fields if getattr(one, field) != getattr(other, field)}
        for one, other in pairwise(policies[1:5])
    ]
    assert changed == [{"context_seconds"}, {"level"}, {"fade_seconds"}]


def test_one_codec_of_each_family_is_taken() -> None:
    assert len({codec.spec.family for codec in codecs_of("mini", [])}) == len(codecs_of("mini", [])) == 11
    assert [codec.spec.name for codec in codecs_of("mini", ["snac_24khz"])] == ["snac_24khz"]


@pytest.mark.slow
def test_from_speech_to_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_chain, "TREES", 10)
    for number in range(4):
        write_wave(tmp_path / "speech" / f"{number}.wav", 1.0, 24000, number)
    app = typer.Typer()
    app.command()(main)
    out = tmp_path / "chain.md"
    arguments = ["--speech", str(tmp_path / "speech"), "--variant", "snac_24khz", "--variant", "encodec_24khz_6kbps"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    text = out.read_text()
    assert "4 clips of speech, the first 9 s of each, real and through 2 codecs of the recipe `mini`" in text
    assert [line.split(" | ")[0] for line in text.splitlines() if line[2:] and " / " in line and line[0] == "|"] == [
        f"| {name}" for name in STEPS
    ]
    assert [line.split(" | ")[0] for line in text.splitlines()[-3:]] == ["| real", "| snac", "| encodec"]
    assert CliRunner().invoke(app, ["--speech", str(tmp_path), "--variant", "nothing"]).exit_code == 2
    assert CliRunner().invoke(app, ["--speech", str(tmp_path / "absent")]).exit_code == 2
