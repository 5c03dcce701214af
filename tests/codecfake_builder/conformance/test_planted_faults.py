"""A codec that behaves passes; one that misbehaves fails the check that is about it, and hardly another."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from codec_adapters.base import Adapter
from codecfake_builder.conformance.settings import QUICK
from codecfake_builder.conformance.suite import CHECKS, NO_NETWORK, CheckResult, failed, run_suite
from tests.codec_adapters.external.test_isolated import codec as isolated_codec
from tests.codec_adapters.external.test_isolated import load as load_isolated
from tests.codecfake_builder.conformance import planted
from tests.codecfake_builder.conformance.planted import MuLaw, adapter_of

WITHOUT_LEAK = replace(QUICK, repeats=0)
"""Measuring memory takes longer than all the rest; only codecs with that fault, and good ones, need it."""


def judged(codec: type[Adapter], leak: bool = False, **claims: Any) -> dict[str, CheckResult]:
    settings = QUICK if leak else WITHOUT_LEAK
    options = {"reload": False} if codec is planted.LoadsFromNetwork else {}
    again = {"reload": True} if codec is planted.LoadsFromNetwork else {}
    adapter = adapter_of(codec, options=options, **claims)
    return {r.name: r for r in run_suite(adapter, settings, lambda: adapter_of(codec, options=again, **claims))}


@pytest.mark.parametrize("codec", [MuLaw, planted.WithoutCodes, planted.Dithered, planted.CachePerLength])
def test_a_codec_that_behaves_passes_everything(codec: type[Adapter]) -> None:
    claims = {"tail_local": True}
    found = judged(codec, leak=True, **claims)
    assert list(found) == [*CHECKS, NO_NETWORK]
    skipped = {name for name, result in found.items() if result.verdict == "skipped"} - {"PESQ"}
    assert skipped == ({"codes"} if codec is planted.WithoutCodes else set())
    assert not failed(list(found.values()))
    assert found["delay"].measured.startswith("0 samples (correlation 1.00")
    assert ("random step from" in found["seeds"].measured) == (codec is planted.Dithered)
    if codec is MuLaw:
        assert "hop 320, 50 frames/s, 320 codebooks, 128000 bit/s" in found["spec"].measured


FAULTS: list[tuple[type[Adapter], set[str], str]] = [
    (planted.Random, {"STOI"}, "below 0.6 it is no speech"),
    (planted.Unrepeatable, {"deterministic"}, "at once"),
    (planted.HiddenState, {"deterministic"}, "hidden state"),
    (planted.FirstSeedForAll, {"seeds", "batch invariance"}, "an item among others"),
    (planted.BatchLeak, {"batch invariance"}, "a batch of 4 differs"),
    (planted.Half, {"any length", "length rule"}, "the codec's output has"),
    (planted.NotFinite, {"output"}, "20 of .* samples are NaN"),
    (planted.Integers, {"output"}, "peak .* full scale is 1"),
    (planted.DoublePrecision, {"output"}, "float64"),
    (planted.OneLate, {"delay"}, "the spec says 0, measured 1 samples"),
    (planted.SpeaksInSilence, {"silence"}, "RMS 0.30"),
    (planted.OverflowsAtFullScale, {"full scale"}, "NaN or infinite"),
    (planted.RefusesShortClips, {"any length"}, "ValueError: kernel size"),
    (
        planted.WholeClipNorm,
        {"tail_local"},
        r"the spec says true, but appended silence changes the last 1\.[789]. s of clips of up to 1.9 s",
    ),
    (planted.ThreadUnsafe, {"thread safety"}, "in several threads at once"),
    (planted.CallsHome, {NO_NETWORK}, "asked for 127.0.0.1:9 at run time"),
    (planted.NeedsNetwork, {NO_NETWORK}, "asked for 127.0.0.1:9 at run time"),
    (planted.LoadsFromNetwork, {"loads offline"}, "needs weights.example.org to load"),
    (planted.AcceptsNonsense, {"nonsense refused"}, "8 channels: accepted"),
    (planted.StumblesOverNonsense, {"nonsense refused"}, "8 channels: raises RuntimeError: mat1"),
    (planted.FloatCodes, {"codes"}, "float32"),
    (planted.DecodesHalf, {"codes"}, "decode to"),
    (planted.Crashes, {"spec", "codes"}, "ZeroDivisionError: float division$"),
]


@pytest.mark.parametrize(("codec", "names", "words"), FAULTS, ids=[codec.__name__ for codec, _, _ in FAULTS])
def test_a_fault_fails_its_own_check(codec: type[Adapter], names: set[str], words: str) -> None:
    found = judged(codec)
    wrong = failed(list(found.values()))
    assert {result.name for result in wrong} == names, wrong
    assert any(re.search(words, result.measured) for result in wrong), wrong
    assert all(result.measured and "\n" not in result.measured for result in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("codec", [planted.Leak, planted.NativeLeak])
def test_a_slow_leak_is_found(codec: type[Adapter]) -> None:
    found = judged(codec, leak=True)
    assert [result.name for result in failed(list(found.values()))] == ["no leak"]
    assert "stay after each call" in found["no leak"].measured


@pytest.mark.parametrize(
    ("claims", "name", "words"),
    [
        ({"hop": 300}, "spec", "hop: the spec says 300, the adapter 320"),
        ({"sample_rate": 24000}, "spec", "sample rate: the spec says 24000, the adapter 16000"),
        ({"codebooks": 8}, "spec", "codebooks: the spec says 8, the adapter 320"),
        ({"bitrate": 6000.0}, "spec", "bit/s: the spec says 6000, the adapter 128000"),
        ({"delay_samples": 1}, "delay", "the spec says 1, measured 0 samples"),
    ],
)
def test_a_wrong_spec_is_found(claims: dict[str, Any], name: str, words: str) -> None:
    found = judged(MuLaw, **claims)
    assert [result.name for result in failed(list(found.values()))] == [name]
    assert words in found[name].measured


def test_a_hop_that_its_own_codes_belie() -> None:
    found = judged(planted.ClaimsAnotherHop, hop=160)
    assert [result.name for result in failed(list(found.values()))] == ["spec"]
    assert found["spec"].measured == "hop: the adapter says 160, its codes 320"


def test_tail_local_for_nothing_is_a_note() -> None:
    found = judged(MuLaw, tail_local=False)
    assert not failed(list(found.values()))
    assert "costs speed only" in found["tail_local"].measured


def test_rates_of_other_weights_are_not_held_against_the_spec() -> None:
    results = run_suite(adapter_of(MuLaw, codebooks=8, bitrate=6000.0), own_weights=False, checks=["spec"])
    assert [(result.name, result.verdict) for result in results] == [("spec", "pass"), (NO_NETWORK, "pass")]


LEAKING_DRIVER = """
from codecfake_driver import read_wav, serve, write_wav

kept = []

def load(device, dtype, options, checkpoint):
    return {"sample_rate": 16000}

def resynthesize(inputs, outputs, seeds):
    for source, target in zip(inputs, outputs):
        kept.append(b"x" * 300_000)
        write_wav(target, *read_wav(source))

serve({"load": load, "resynthesize": resynthesize})
"""


def test_a_codec_in_another_process_leaks_there(tmp_path: Path) -> None:
    driver = tmp_path / "leaking.py"
    driver.write_text(LEAKING_DRIVER)
    leaking = load_isolated(isolated_codec("leaking", driver))
    found = {r.name: r for r in run_suite(leaking, QUICK, checks=["thread safety", "deterministic", "no leak"])}
    assert [result.name for result in failed(list(found.values()))] == ["no leak"]
    assert 200 < float(found["no leak"].measured.split()[0]) < 500


def test_an_interrupt_ends_the_suite() -> None:
    class Interrupted(MuLaw):
        def _resynthesize(self, wav: torch.Tensor, seeds: list[int]) -> torch.Tensor:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_suite(adapter_of(Interrupted), WITHOUT_LEAK)


def test_an_unknown_check_is_named() -> None:
    with pytest.raises(ValueError, match="did you mean delay"):
        run_suite(adapter_of(MuLaw), checks=["delays"])


def test_every_check_is_documented() -> None:
    pages = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text(encoding="utf-8")
    named = {
        name for line in pages.splitlines() if line.startswith("| ") for name in line.split("|")[1].strip().split(", ")
    }
    assert {*CHECKS, NO_NETWORK} <= named
