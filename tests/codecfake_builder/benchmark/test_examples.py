"""The examples in the docstrings of the benchmark and of the tables run, and give what they say."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from codecfake_builder import tables
from codecfake_builder.benchmark import config
from codecfake_builder.benchmark.scoring import metrics, score


@pytest.mark.parametrize("module", [tables, config, metrics, score], ids=lambda module: module.__name__)
def test_examples_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
