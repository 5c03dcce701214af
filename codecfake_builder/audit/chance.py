"""Hold a prediction against chance: macro F1 and AUC, with their distribution under permuted classes.

Clips of one utterance say the same words by the same speaker, and differ only in what made them. If nothing but the
codec told classes apart, their labels could be exchanged within each utterance without changing anything; so that is
what is permuted. The predictions stay, since they come from other clips: what they owe to those is in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

PERMUTATIONS = 500
FALSE_ALARMS = 0.01
"""Chance that any gate of an audit of clean data fails (family-wise, by Bonferroni over all its tests)."""
MARGIN = 0.05
"""A gate whose interval lies above chance fails only where it lies above by more than this: less helps no detector."""


@dataclass(frozen=True)
class Score:
    """A statistic of a probe beside what chance gives."""

    value: float
    chance: float
    """Its mean under permuted classes."""
    deviation: float
    """Its standard deviation there."""
    largest: float
    """The largest value that a permutation gave."""

    def interval(self, tests: int) -> tuple[float, float]:
        """Return the interval that is wide enough for ``tests`` of them to hold together: where it contains chance,
        the permutations cannot tell the probe from guessing."""
        half = float(norm.isf(FALSE_ALARMS / 2 / max(1, tests))) * self.deviation
        return max(0.0, self.value - half), min(1.0, self.value + half)

    def above_chance(self, tests: int) -> bool:
        """Return whether the probe is surely better than guessing."""
        return self.interval(tests)[0] > self.chance and self.value > self.largest

    def fails(self, tests: int) -> bool:
        """Return whether it is better than guessing by enough to matter."""
        return self.above_chance(tests) and self.interval(tests)[0] > self.chance + MARGIN


class Permutations:
    """The classes of the clips that are predicted, permuted within blocks.

    Args:
        classes: ``[clips]``, numbers from 0.
        blocks: ``[clips]``, the utterance of each; classes are exchanged within one.
        seed: of the permutations.
    """

    def __init__(self, classes: Ints, blocks: Ints, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        order = np.argsort(blocks, kind="stable")
        keys = generator.random((PERMUTATIONS, len(blocks))) + blocks[order]
        shuffled = np.argsort(keys, axis=1)
        self.classes = np.empty((PERMUTATIONS + 1, len(classes)), dtype=np.int16)
        self.classes[0] = classes
        self.classes[1:, order] = classes[order][shuffled]
        self.count = int(classes.max()) + 1

    def macro_f1(self, predicted: Ints) -> Score:
        """Return the macro F1 of predicted classes ``[clips]``."""
        cells = self.classes.astype(np.int64) * self.count + predicted
        cells += (np.arange(len(cells)) * self.count**2)[:, None]
        counts = np.bincount(cells.ravel(), minlength=len(cells) * self.count**2)
        confusion = counts.reshape(-1, self.count, self.count)
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        both = confusion.sum(axis=1) + confusion.sum(axis=2)
        f1 = np.where(both > 0, 2 * hits / np.maximum(both, 1), 0.0).mean(axis=1)
        return _score(f1)

    def auc(self, scores: Floats, positive: int) -> Score | None:
        """Return the area under the ROC curve of class ``positive`` against all others; ``None`` where there is only
        one side.

        Args:
            scores: ``[clips]``, larger where that class is likelier.
            positive: number of the class.
        """
        own = self.classes == positive
        number = int(own[0].sum())
        others = own.shape[1] - number
        if not number or not others:
            return None
        ranks = rankdata(scores)
        return _score((own @ ranks - number * (number + 1) / 2) / (number * others))


def _score(values: Floats) -> Score:
    permuted = values[1:]
    return Score(float(values[0]), float(permuted.mean()), float(permuted.std()), float(permuted.max()))
