"""Detectors and open-set metrics against recorded values of the published code, and against scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sklearn.metrics import f1_score, roc_auc_score, roc_curve

from codecfake_builder.benchmark.detectors import ALL, Detector, check_no_overlap, dev_threshold
from codecfake_builder.benchmark.detectors.combined import React, Vim
from codecfake_builder.benchmark.detectors.distances import Knn, Mahalanobis
from codecfake_builder.benchmark.detectors.logits import Energy
from codecfake_builder.benchmark.detectors.outputs import TRAIN, FloatArray, Outputs
from codecfake_builder.benchmark.scoring.metrics import confusion, f1_per_class, open_set
from codecfake_builder.errors import BenchmarkError

GOLDEN_NAMES = {"MSP", "MaxLogit", "Energy", "kNN", "Mahalanobis", "NSD", "NNGuide"}


@pytest.fixture(scope="module")
def golden(shared: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    folder = shared / "goldens" / "ncst" / "ood"
    return json.loads((folder / "case.json").read_text()), load_file(folder / "io.safetensors")


def outputs(split: str, logits: np.ndarray, embeddings: np.ndarray, labels: np.ndarray | None = None) -> Outputs:
    ids = tuple(f"{split}-{row}" for row in range(len(logits)))
    return Outputs(split, ids, np.zeros(len(ids), int) if labels is None else labels, logits, embeddings)


def linear_outputs(split: str = "train", seed: int = 0, clips: int = 60) -> Outputs:
    """Two classes of embeddings, and logits that are linear in them."""
    generator = np.random.default_rng(seed)
    labels = np.arange(clips) % 2
    embeddings = generator.standard_normal((clips, 6)) + 3 * labels[:, None]
    weight = np.random.default_rng(99).standard_normal((6, 2))
    return outputs(split, embeddings @ weight + [0.5, -0.5], embeddings, labels)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.name in GOLDEN_NAMES], ids=lambda kind: kind.name)
def test_scores_are_the_published_ones(kind: type[Detector], golden: tuple[dict[str, Any], dict[str, Any]]) -> None:
    case, io = golden
    train = outputs("train", io["train_logits"], io["train_embeddings"], io["train_labels"])
    detector = kind().fit(train)
    scores = detector.score(io["test_logits"], io["test_embeddings"])
    np.testing.assert_allclose(scores, io[f"score_{kind.name.lower()}"], rtol=1e-5, atol=1e-5)
    if isinstance(detector, Mahalanobis):
        np.testing.assert_allclose(scores, io["score_mahalanobis"], atol=case["tolerance"]["mahalanobis_score_atol"])
        np.testing.assert_allclose(detector.distance(io["test_embeddings"]), io["mahalanobis_distance"], rtol=1e-5)


def test_metrics_are_the_published_ones(golden: tuple[dict[str, Any], dict[str, Any]]) -> None:
    case, io = golden
    cases = {name: (f"score_{name}", "test_labels", values) for name, values in case["expected_metrics"].items()}
    for name, values in case["metric_only_cases"].items():
        cases[name] = (f"metric_{name}_scores", f"metric_{name}_labels", values)
    assert len(cases) == 10
    for name, (scores, labels, expected) in cases.items():
        known = io[labels] < 7
        found = open_set(io[scores][known], io[scores][~known])
        for metric, value in expected.items():
            assert getattr(found, metric)[0] == pytest.approx(value, abs=1e-9), (name, metric)


@given(st.lists(st.integers(0, 12), min_size=2, max_size=40), st.lists(st.integers(0, 12), min_size=2, max_size=40))
def test_metrics_agree_with_scikit_learn(known: list[int], unknown: list[int]) -> None:
    scores = np.array([*known, *unknown], float)
    positive = np.arange(len(scores)) < len(known)
    found = open_set(scores[positive], scores[~positive])
    assert found.auc[0] == pytest.approx(roc_auc_score(positive, scores))
    fpr, tpr, _ = roc_curve(positive, scores)
    assert found.fpr95[0] == pytest.approx(np.interp(0.95, tpr, fpr))


@given(st.integers(0, 10_000))
def test_weights_count_like_repeated_clips(seed: int) -> None:
    generator = np.random.default_rng(seed)
    known, unknown = generator.integers(0, 9, 12).astype(float), generator.integers(0, 9, 8).astype(float)
    times_k, times_u = generator.integers(0, 4, 12), generator.integers(0, 4, 8)
    times_k[0] = times_u[0] = 1
    weighted = open_set(known, unknown, times_k[None].astype(float), times_u[None].astype(float))
    repeated = open_set(np.repeat(known, times_k), np.repeat(unknown, times_u))
    assert weighted.auc[0] == pytest.approx(repeated.auc[0])
    assert weighted.fpr95[0] == pytest.approx(repeated.fpr95[0])


def test_f1_is_scikit_learns() -> None:
    generator = np.random.default_rng(1)
    truth, predicted = generator.integers(0, 5, 300), generator.integers(0, 4, 300)
    ours = f1_per_class(confusion(truth, predicted, 5))
    np.testing.assert_allclose(ours, f1_score(truth, predicted, average=None, labels=range(5), zero_division=0))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_far_away_clips_score_lower_and_eval_data_is_refused(kind: type[Detector]) -> None:
    detector = kind().fit(linear_outputs())
    known = linear_outputs("eval_id", seed=1)
    scores = detector.score(known.logits, known.embeddings)
    assert scores.shape == (60,)
    assert np.isfinite(scores).all()
    with pytest.raises(BenchmarkError, match=rf"{kind.name.replace('+', '.')}: would be fitted on split eval_id"):
        kind().fit(known)


def test_detectors_tell_a_foreign_cluster() -> None:
    generator = np.random.default_rng(3)
    labels = np.arange(400) % 2
    directions = np.eye(8) * 5
    weight = np.eye(8)[:, :2] * 2

    def around(axes: np.ndarray) -> np.ndarray:
        return directions[axes] + 0.4 * generator.standard_normal((len(axes), 8))

    train, known, foreign = around(labels), around(labels), around(np.full(100, 5))
    fitted_on = outputs("train", train @ weight, train, labels)
    for kind in ALL:
        detector = kind().fit(fitted_on)
        found = open_set(detector.score(known @ weight, known), detector.score(foreign @ weight, foreign))
        assert found.auc[0] > 0.95, kind.name


def test_the_output_layer_is_recovered() -> None:
    train = linear_outputs()
    weight, bias = train.last_layer
    np.testing.assert_allclose(train.embeddings @ weight + bias, train.logits, atol=1e-9)
    np.testing.assert_allclose(bias, [0.5, -0.5], atol=1e-9)
    below = np.full((3, 6), -50.0)
    np.testing.assert_allclose(
        React().fit(train).score(below @ weight + bias, below), Energy().score(below @ weight + bias, below)
    )
    vim = Vim().fit(train)
    assert vim.residual.shape == (6, 3)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    train, known = linear_outputs(), linear_outputs("eval_id", seed=1)
    whole = Knn().fit(train).score(known.logits, known.embeddings)
    monkeypatch.setattr("codecfake_builder.benchmark.detectors.base.BLOCK_VALUES", 200)
    np.testing.assert_array_equal(whole, Knn().fit(train).score(known.logits, known.embeddings))


def test_leaks_are_refused() -> None:
    train = linear_outputs()
    with pytest.raises(BenchmarkError, match="60 of its clips were used to fit the detectors, first train-0"):
        check_no_overlap(train.ids, train)
    with pytest.raises(BenchmarkError, match="chosen on split eval_id; thresholds are chosen on dev only"):
        dev_threshold(np.ones(3), "eval_id")
    assert dev_threshold(np.arange(100.0), "dev") == 4.0
    with pytest.raises(BenchmarkError, match="logits of 1 clips are not finite, first train-1"):
        outputs("train", np.array([[0.0], [np.nan]]), np.zeros((2, 1)))


@pytest.mark.parametrize("kind", [React, Vim])
def test_a_layer_that_few_clips_do_not_determine_is_the_checkpoints_own_or_none(kind: type[Detector]) -> None:
    """40 clips of 64 dimensions: least squares would find some layer that fits, and another one for other clips."""
    generator = np.random.default_rng(1)
    weight, bias = generator.standard_normal((64, 3)), generator.standard_normal(3)
    embeddings = generator.standard_normal((200, 64))
    logits = embeddings @ weight + bias
    labels = logits.argmax(axis=1)

    def outputs(clips: int, layer: tuple[FloatArray, FloatArray] | None) -> Outputs:
        return Outputs(TRAIN, tuple(map(str, range(clips))), labels[:clips], logits[:clips], embeddings[:clips], layer)

    reason = kind.unfit(outputs(40, None))
    assert reason is not None
    assert "40 training clips do not determine it (40 of 65 directions)" in reason
    assert kind.unfit(outputs(200, None)) is None
    assert kind.unfit(outputs(40, (weight, bias))) is None
    own, fitted = kind().fit(outputs(200, (weight, bias))), kind().fit(outputs(200, None))
    assert np.allclose(own.score(logits, embeddings), fitted.score(logits, embeddings))


@pytest.mark.parametrize("levels", [1, 2, 3, 10, 10_000])
def test_the_standard_eer_is_that_of_the_roc(levels: int) -> None:
    """Scores of few levels have ties: by the published rule, of equal scores those of known clips come first."""
    generator = np.random.default_rng(levels)
    known = generator.integers(0, levels, 300) / levels + (0.2 if levels > 1 else 0)
    unknown = generator.integers(0, levels, 200) / levels
    found = open_set(known, unknown)
    fpr, tpr, _ = roc_curve(np.repeat([1, 0], [300, 200]), np.concatenate([known, unknown]), drop_intermediate=False)
    grid = np.linspace(0, 1, 100_001)
    expected = grid[np.argmin(np.abs(1 - np.interp(grid, fpr, tpr) - grid))]
    assert float(found.eer_standard[0]) == pytest.approx(expected, abs=2e-5)
    if levels == 1:
        assert float(found.eer_standard[0]) == 0.5
        assert float(found.eer[0]) == 1.0, "the published rule"
