"""The examples in docstrings run, and give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from codec_adapters import registration

ROOT = Path(__file__).parents[1]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("codec_adapters", "codecfake_builder")
    for path in (ROOT / package).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
ENTRY_POINTS = (
    "codec_adapters.default_catalogue",
    "codec_adapters.load",
    "codec_adapters.names",
    "codec_adapters.register",
    "codec_adapters.spec",
    "codec_adapters.alm.load",
    "codec_adapters.alm.names",
    "codec_adapters.alm.spec",
    "codecfake_builder.benchmark.config.load_config",
    "codecfake_builder.conformance.memory.growth_per_call",
    "codecfake_builder.conformance.suite.run_suite",
    "codecfake_builder.recipe.load.load_recipe",
)
"""Public functions that a newcomer meets first."""


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_a_module(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # examples name files of the checkout
    monkeypatch.setattr(registration._session, "entries", dict(registration._session.entries))  # one registers a codec
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_an_entry_point_has_an_example(name: str) -> None:
    module, _, function = name.rpartition(".")
    assert ">>> " in (getattr(importlib.import_module(module), function).__doc__ or "")


@pytest.mark.parametrize(
    "name",
    [
        *("tables", "devices", "resynthesis", "benchmark.config", "benchmark.scoring.metrics"),
        *("benchmark.scoring.score", "conformance.memory", "conformance.speech", "conformance.suite"),
        *("conformance.measure.length", "conformance.measure.tail", "conformance.measure.waveform"),
    ],
)
def test_modules_keep_their_examples(name: str) -> None:
    assert f"codecfake_builder.{name}" in WITH_EXAMPLES
