"""Predictions and labels of any content: read, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codecfake_builder.benchmark.scoring.inputs import match_to_labels
from codecfake_builder.benchmark.scoring.metrics import open_set
from codecfake_builder.benchmark.scoring.score import score
from codecfake_builder.errors import BuilderError

pytestmark = pytest.mark.slow
MANY = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
CELL = st.sampled_from(
    [
        "real",
        "encodec",
        "mimi",
        "0",
        "3",
        "7",
        "-1",
        "99",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "9" * 5000,
        "",
        " ",
        "a\x1b[2J",
    ]
) | st.text(max_size=5)
IDS = st.sampled_from(["fake_1.wav", "real_2", "3-a.flac", "LA_E_1", "x", "", "../y", "fake_1"]) | st.text(max_size=6)
COLUMNS = ["id", "file", "predicted", "score", "score_MSP", "logit_real", "logit_encodec", "logits", "embedding", "x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scores")


@st.composite
def table(draw: st.DrawFn) -> bytes:
    """A CSV of some known columns, with cells of any kind."""
    header = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4))
    rows = draw(st.lists(st.tuples(IDS, st.lists(CELL, min_size=0, max_size=4)), max_size=5))
    lines = [",".join(header), *(",".join([name, *cells]) for name, cells in rows)]
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + "\n".join(lines).encode("utf-8", "surrogatepass")


def judged(path: Path, labels: dict[str, str]) -> None:
    try:
        score(match_to_labels({"eval_id": path}, labels), "m", bootstrap_samples=0)
    except BuilderError as error:
        said = str(error)
    else:
        return
    assert said.strip()
    assert "\n" not in said


@MANY
@given(data=table() | st.binary(max_size=100), labels=st.sampled_from([{}, {"eval_id": "encodec"}, {"eval_id": "4"}]))
def test_predictions_of_any_content(data: bytes, labels: dict[str, str], folder: Path) -> None:
    path = folder / "p.csv"
    path.write_bytes(data)
    judged(path, labels)


@MANY
@given(lines=st.lists(st.lists(CELL | IDS, max_size=4).map(" ".join), max_size=5))
def test_released_results_of_any_content(lines: list[str], folder: Path) -> None:
    path = folder / "p.txt"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    judged(path, {"eval_id": "encodec"})


@MANY
@given(
    known=st.lists(st.floats(-5, 5).map(lambda value: round(value, 1)), min_size=1, max_size=30),
    unknown=st.lists(st.floats(-5, 5).map(lambda value: round(value, 1)), min_size=1, max_size=30),
)
def test_metrics_are_what_counting_says(known: list[float], unknown: list[float]) -> None:
    found = open_set(np.array(known), np.array(unknown))
    wins = sum((a > b) + 0.5 * (a == b) for a in known for b in unknown)
    assert float(found.auc[0]) == pytest.approx(wins / len(known) / len(unknown))
    assert 0 <= float(found.eer_standard[0]) <= 1
    assert 0 <= float(found.fpr95[0]) <= 1
