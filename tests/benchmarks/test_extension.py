"""What the extension script says of its runs, and what the table of the last measurement shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.extension import HEADER, TABLE, Step, document, extension, row
from codecfake_builder.changes.build import build
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, small_recipe


def step(wall: float, own: float) -> Step:
    return Step("codec added", 3, 35, wall, own)


def test_a_row_is_the_run_in_the_middle() -> None:
    assert row([step(9, 8.5), step(5, 2.0), step(4, 3.0)])[3:6] == ["4.00", "3.00", "1.00 (0.50 to 3.00)"]
    assert row([step(2, 1)])[3:6] == ["2.00", "1.00", "1.00"]
    assert len(row([step(2, 1)])) == len(HEADER)


def test_shards_that_were_there_are_not_counted_and_must_not_change(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    smaller = small_recipe(vctk, aishell3, ["real"], plugins=[FAULTY_PLUGIN])
    larger = small_recipe(vctk, aishell3, ["real", "faulty_none"], plugins=[FAULTY_PLUGIN])
    kept = build(smaller, tmp_path / "d").shards_made
    found = extension(tmp_path / "d", larger, "x")
    assert (found.made, found.kept) == (kept, kept)
    assert 0 < found.own < found.wall
    with pytest.raises(RuntimeError, match="shards that were there have changed"):
        extension(tmp_path / "d", smaller, "x")


def test_an_extension_costs_less_than_two_seconds_beyond_its_clips() -> None:
    """What the table says; it is measured by hand, on a machine that does nothing else."""
    text = TABLE.read_text(encoding="utf-8")
    assert text.startswith(document([], 3).split(";")[0])
    beyond = [line.split(" | ")[5].split()[0] for line in text.splitlines() if line.startswith("| codec ")]
    assert len(beyond) == 3
    assert max(map(float, beyond)) < 2
