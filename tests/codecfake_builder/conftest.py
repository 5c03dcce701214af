"""A small dataset that many tests damage, change or judge, built once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from codecfake_builder.recipe.resolve import Resolved
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, built, small_recipe


@pytest.fixture(scope="session")
def recipe(vctk: Path, aishell3: Path) -> Resolved:
    """A recipe of real speech, and of the same through a codec that changes nothing."""
    return small_recipe(vctk, aishell3, ["real", "faulty_none"], plugins=[FAULTY_PLUGIN])


@pytest.fixture(scope="session")
def sound(recipe: Resolved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its dataset, for tests that only read it or copy it."""
    out = tmp_path_factory.mktemp("sound") / "dataset"
    built(recipe, out)
    return out


@pytest.fixture
def dataset(sound: Path, tmp_path: Path) -> Path:
    """A copy of ``sound`` that a test may change; a module may have a ``sound`` of its own."""
    shutil.copytree(sound, tmp_path / "d")
    return tmp_path / "d"
