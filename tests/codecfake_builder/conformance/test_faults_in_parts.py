"""Faults in a part of a clip, in one call of many, or in the caller's data fail the check that is about them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from codec_adapters.base import Adapter
from codecfake_builder.conformance.settings import QUICK, THOROUGH
from codecfake_builder.conformance.suite import CheckResult, failed, run_suite
from tests.codecfake_builder.conformance import planted_in_parts as planted
from tests.codecfake_builder.conformance.planted import MuLaw, adapter_of

ABOUT_SOUND = [
    *(
        "output",
        "input kept",
        "deterministic",
        "any length",
        "delay",
        "level of parts",
        "no drift",
        "no clicks",
        "no offset",
    ),
    *("speech in parts", "gain", "many calls"),
]
"""Checks that the faults below concern; the others take time and have tests of their own."""
FAULTS: list[tuple[str, type[Adapter], str, str]] = [
    ("silent after 10 s", planted.silent(10), "level of parts", r"of 11\.3 s: -\d+ dB"),
    ("silent after 20 s", planted.silent(20), "level of parts", r"of 30 s: -\d+ dB"),
    ("silent in the middle", planted.silent(14.0, 14.5), "level of parts", r"of 30 s: -\d+ dB"),
    ("silent for 0.15 s", planted.silent(4.0, 4.15), "level of parts", r" s: -\d+ dB"),
    ("silent in clips below 0.2 s", planted.silent(0, most=0.2), "level of parts", r"of 0\.1 s: -\d+ dB"),
    ("silent in clips below 1 s", planted.silent(0, most=0.8), "level of parts", r"of 0\.1 s: -\d+ dB"),
    ("silent in the last 100 ms", planted.silent(-0.1), "level of parts", r"of 0\.1 s: -\d+ dB"),
    ("silent in the last 100 ms of long clips", planted.silent(-0.1, least=10), "level of parts", r"of 11\.3 s: -"),
    ("silent in the last 60 ms", planted.silent(-0.06, least=0.5), "level of parts", r" s: -\d+ dB"),
    ("silent in the first 100 ms", planted.silent(0, 0.1, least=0.5), "level of parts", r"0\.05 to 0\.10 s of"),
    ("30 dB quieter after 10 s", planted.silent(10, level=0.03), "level of parts", r"of 11\.3 s: -\d+ dB"),
    ("silent in the last 30 ms", planted.silent(-0.03, least=0.5), "level of parts", r" s: -\d+ dB"),
    ("noise after 10 s", planted.NoiseAfterTenSeconds, "speech in parts", r"of 30 s: not the speech"),
    ("noise in clips of 0.7 s", planted.NoiseInShortClips, "speech in parts", r"of 0\.737 s: not the speech"),
    ("a fifth after 10 s", planted.silent(10, level=0.2), "level of parts", r" s: -1\d dB"),
    ("0.1 % slower", planted.stretched(0.001), "no drift", r"time is stretched: .* \+?1?\d+\.\d ms within 20"),
    ("1 % slower", planted.stretched(0.01), "no drift", "time"),
    ("0.1 % faster", planted.stretched(-0.001), "no drift", "time is stretched"),
    ("0.05 % slower", planted.stretched(0.0005), "no drift", "time is stretched"),
    ("a jump", planted.Jumps, "no drift", "time"),
    ("clicks of 0.5", planted.clicking(0.5, 1.0), "no clicks", "a click at"),
    ("clicks of 0.2", planted.clicking(0.2, 1.0), "no clicks", "a click at"),
    ("negative clicks", planted.clicking(-0.3, 0.7), "no clicks", "a click at"),
    ("one click", planted.OneClick, "no clicks", "a click at"),
    ("the first call differs", planted.FirstCallDiffers, "deterministic", "first call"),
    ("another output after 200 calls", planted.changing(200), "many calls", "another output at call"),
    ("another output after 120 calls", planted.changing(120), "many calls", "another output at call"),
    ("random once in 50 calls", planted.rarely_random(50), "many calls", "another output at call"),
    ("-50 dB", planted.scaled(10**-2.5), "gain", r"-50\.\d dB, less than -20 dB"),
    ("-30 dB", planted.scaled(10**-1.5), "gain", r"-30\.\d dB, less than -20 dB"),
    ("+18 dB", planted.scaled(8.0), "gain", r"\+1\d\.\d dB, more than \+15 dB"),
    ("an offset of 0.1", planted.scaled(offset=0.1), "no offset", "of the RMS"),
    ("an offset of 0.01", planted.scaled(offset=0.01), "no offset", "of the RMS"),
    ("an offset of -0.02", planted.scaled(offset=-0.02), "no offset", "of the RMS"),
    ("writes into its input", planted.WritesIntoItsInput, "input kept", "resynthesize writes into its input"),
    ("encode writes", planted.EncodeWritesIntoItsInput, "input kept", "encode writes into its input"),
    ("decode writes", planted.DecodeWritesIntoItsCodes, "input kept", "decode writes into its codes"),
]
SEEN_QUICKLY = [fault for fault in FAULTS if not re.search(r"20 s$|middle|0\.05 %|0\.1 %|below 1 s|noise", fault[0])]
"""The quick form has no clip of more than 11.3 s, and judges the level by clips of 0.65 s."""


def judged(codec: type[Adapter], quick: bool) -> dict[str, CheckResult]:
    settings = replace(QUICK if quick else THOROUGH, repeats=0)
    results = run_suite(adapter_of(codec), settings, lambda: adapter_of(codec), checks=ABOUT_SOUND)
    return {result.name: result for result in results}


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "name", "words"), [fault[1:] for fault in FAULTS], ids=[each[0] for each in FAULTS])
def test_a_fault_is_found(codec: type[Adapter], name: str, words: str) -> None:
    found = judged(codec, quick=False)
    assert found[name].verdict == "fail", found
    assert re.search(words, found[name].measured), found[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "name"), [fault[1:3] for fault in SEEN_QUICKLY], ids=[each[0] for each in SEEN_QUICKLY]
)
def test_a_fault_is_found_quickly(codec: type[Adapter], name: str) -> None:
    assert judged(codec, quick=True)[name].verdict == "fail"


@pytest.mark.parametrize("quick", [True, False])
def test_a_codec_that_behaves_passes(quick: bool) -> None:
    assert not failed(list(judged(MuLaw, quick).values()))
