"""What is held against chance: scores, intervals, and how often clean data raises an alarm."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from codecfake_builder.audit.chance import Permutations

BLOCKS = np.repeat(np.arange(40), 5)
CLASSES = np.tile(np.arange(5), 40)


def test_the_scores_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    permutations = Permutations(CLASSES, BLOCKS)
    predicted, scores = generator.integers(5, size=200), generator.random(200)
    assert permutations.macro_f1(predicted).value == pytest.approx(f1_score(CLASSES, predicted, average="macro"))
    found = permutations.auc(scores, 2)
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(CLASSES == 2, scores))


def test_classes_are_permuted_within_utterances() -> None:
    permutations = Permutations(CLASSES, BLOCKS)
    blocks = permutations.classes.reshape(len(permutations.classes), 40, 5)
    assert (np.sort(blocks, axis=2) == np.arange(5)).all()
    assert len(np.unique(permutations.classes, axis=0)) == len(permutations.classes)


def test_a_prediction_that_knows_the_utterance_only_is_at_chance() -> None:
    permutations = Permutations(CLASSES, BLOCKS)
    score = permutations.macro_f1(BLOCKS % 5)
    assert not score.above_chance(tests=1)
    assert score.value == pytest.approx(score.chance, abs=1e-9)


def test_a_perfect_prediction_fails_however_many_tests_there_are() -> None:
    permutations = Permutations(CLASSES, BLOCKS)
    assert permutations.macro_f1(CLASSES).fails(tests=10_000)
    found = permutations.auc((CLASSES == 0).astype(float), 0)
    assert found is not None
    assert found.fails(tests=10_000)


def test_without_the_class_there_is_no_area_under_the_curve() -> None:
    assert Permutations(CLASSES + 1, BLOCKS).auc(np.zeros(200), 0) is None


def test_better_than_chance_by_little_is_no_failure() -> None:
    """With many clips a small difference is certain, and helps no detector."""
    blocks, classes = np.repeat(np.arange(4000), 2), np.tile([0, 1], 4000)
    generator = np.random.default_rng(1)
    scores = classes * 0.12 + generator.standard_normal(8000)
    found = Permutations(classes, blocks).auc(scores, 1)
    assert found is not None
    assert found.above_chance(tests=500)
    assert not found.fails(tests=500)
