"""The examples in docstrings of the suite, of its measurements, and of what it runs codecs with."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "devices",
    "resynthesis",
    "conformance.memory",
    "conformance.speech",
    "conformance.suite",
    "conformance.measure.length",
    "conformance.measure.tail",
    "conformance.measure.waveform",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(f"codecfake_builder.{name}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0
