"""What the comparison of tracing models counts, on results whose averages are known."""

from __future__ import annotations

import math

from benchmarks.tracing_models import Measured, averages, document, row
from codecfake_builder.benchmark.scoring.bootstrap import Interval
from codecfake_builder.benchmark.scoring.results import Results, Table


def table(key: str, rows: dict[str, tuple[float, ...]]) -> Table:
    cells = {name: tuple(Interval(value) for value in values) for name, values in rows.items()}
    return Table(key, key, ("a", "average"), (1, 0), cells)


def test_averages_are_the_last_columns() -> None:
    tables = (table("id", {"m": (1.0, 90.0)}), table("ood_auc", {"MSP": (2.0, 70.0), "kNN": (3.0, 80.0)}))
    found = averages(Results("m", ("real", "mimi"), tables), 12.0)
    assert (found.f1, found.auc, found.seconds) == (90.0, {"MSP": 70.0, "kNN": 80.0}, 12.0)
    assert math.isnan(found.alm)


def test_a_row_takes_the_detector_that_is_best_over_all_seeds() -> None:
    first = Measured(90.0, 80.0, 100.0, {"MSP": 95.0, "kNN": 80.0}, 10.0)
    second = Measured(92.0, 80.0, 100.0, {"MSP": 60.0, "kNN": 90.0}, 20.0)
    assert row("x", [first, second]) == ["`x`", "91.0 ± 1.4", "80.0 ± 0.0", "100.0 ± 0.0", "85.0 ± 7.1", "kNN", "15"]
    assert row("x", [first]) == ["`x`", "90.0", "80.0", "100.0", "95.0", "MSP", "10"]


def test_what_a_dataset_lacks_is_left_empty() -> None:
    bare = Measured(90.0, math.nan, math.nan, {}, math.nan)
    cells = row("x", [bare, bare])
    assert cells == ["`x`", "90.0 ± 0.0", "", "", "", "", ""]
    assert "| `x` | 90.0 ± 0.0 |" in document([cells], "mini", 2, "cpu")
