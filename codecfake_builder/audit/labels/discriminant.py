"""Learn from some utterances which label fits which clip of others.

The clips of one utterance differ by what their codecs did to it alone: each is described relative to the mean over the
utterance's clips. A linear discriminant then says which of the utterance's labels fits which of its clips best, all
labels being given once (Hungarian method). It learns again from what it holds for right, since a tenth of wrong labels
would blur it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats import t
from sklearn.covariance import LedoitWolf

from codecfake_builder.audit.clips import BUILT_ORIGINS, Clips
from codecfake_builder.dataset.quality import first_by_hash

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

MOST_CLIPS = 4000
"""Clips of a pool that are looked at; whole utterances, chosen by a hash of their names."""
LEAST_UTTERANCES = 6
"""A pool with fewer utterances that have a clip of every class tells too little."""
RELIABLE = 3.0
"""Two classes are told apart where the discriminant's median is so many standard deviations from none."""
_TAIL = 5
"""Degrees of freedom of Student's distribution, by which the discriminant of right labels is reversed by chance: its
tail is longer than that of the embedded edition beyond five standard deviations."""
_LEAST_SPREAD = 1e-6
"""Of every feature, as a share of the mean one and by itself."""
_FOLDS, _ROUNDS = 5, 4


@dataclass(frozen=True)
class Grid:
    """Utterances of a pool that have a clip of every class."""

    values: Floats
    """``[utterances, classes, features]``."""
    rows: Ints
    """``[utterances, classes]``: rows of the clips."""
    classes: tuple[str, ...]
    folds: Ints
    """``[utterances]``: equal for those of one speaker."""

    def of(self, classes: tuple[str, ...]) -> Grid:
        """Return the grid of some of its classes."""
        places = [self.classes.index(name) for name in classes]
        return Grid(self.values[:, places], self.rows[:, places], classes, self.folds)


@dataclass(frozen=True)
class Told:
    """Two classes that the discriminant tells apart."""

    median: float
    spread: float
    """Standard deviation, by the median of the deviations or, if that is more, by those below the median."""

    def depth(self, value: float) -> float:
        """Return a value relative to what right labels have."""
        return value / self.median

    def chance(self, value: float) -> float:
        """Return how often right labels have a value as low."""
        return float(t.cdf((value - self.median) / self.spread, _TAIL))


def grid_of(clips: Clips, features: Any, taken: Any) -> Grid | None:
    """Return the clips of some rows whose utterances have a clip of every class that most of them have."""
    known = clips.table["origin"].isin(BUILT_ORIGINS).to_numpy()
    table = clips.table.loc[taken & known, ["utterance", "variant", "speaker"]].astype("string")
    rows = pd.Series(table.index, index=[table["utterance"], table["variant"]])
    grid = rows[~rows.index.duplicated()].unstack()
    common = grid.notna().sum() * 2 > len(grid)
    grid = grid.loc[:, common].dropna()
    if grid.shape[1] < 2 or len(grid) < LEAST_UTTERANCES:
        return None
    most = max(LEAST_UTTERANCES, MOST_CLIPS // grid.shape[1])
    grid = grid.loc[sorted(first_by_hash(grid.index, str, most))]
    speakers = table.drop_duplicates("utterance").set_index("utterance")["speaker"].reindex(grid.index)
    groups = speakers.fillna("").to_numpy(dtype=object)
    if len(set(groups)) < _FOLDS - 1:
        groups = grid.index.to_numpy(dtype=object)
    _, numbers = np.unique(groups.astype(str), return_inverse=True)
    places = grid.to_numpy(dtype=np.int64)
    values = np.asarray(features, dtype=np.float64)[places]
    return Grid(values, places, tuple(str(name) for name in grid.columns), numbers % _FOLDS)


def told_apart(values: Floats, kept: Any) -> Told | None:
    """Return the discriminant of a pair of classes; ``None`` where it does not tell them apart.

    Args:
        values: ``[utterances]``.
        kept: in which of them the two labels are not in question.
    """
    right = values[kept]
    if len(right) < max(LEAST_UTTERANCES - 2, 0.6 * len(values)):
        return None
    median = float(np.median(right))
    deviations = np.minimum(right - median, 0)  # it is the lower side that reversed ones would come from
    spread = max(1.4826 * float(np.median(np.abs(right - median))), float(np.sqrt(np.mean(deviations**2))), 1e-9)
    if median < RELIABLE * spread or (right < 0).sum() > 0.05 * len(values):
        return None
    return Told(median, spread)


def fitted(grid: Grid, others: Sequence[Grid] = ()) -> tuple[Floats, Floats, Ints]:
    """Return how well each label fits each clip ``[utterances, clips, labels]``, by what was learned from other
    speakers; what to expect of each pair of right labels; and which label fits each clip, all given once.

    Args:
        grid: whose labels are looked at.
        others: of other pools, to learn from, too, where they have all of its classes.
    """
    values = relative(grid)
    more = [relative(other.of(grid.classes)) for other in others if set(grid.classes) <= set(other.classes)]
    count, number = values.shape[:2]
    assigned = np.tile(np.arange(number), (count, 1))
    fits, scales = np.zeros((count, number, number)), np.zeros((count, number, number))
    for _ in range(_ROUNDS):
        learned = np.take_along_axis(values, np.argsort(assigned, axis=1)[:, :, None], axis=1)
        for fold in np.unique(grid.folds):
            own = grid.folds == fold
            centres, weights = discriminant(np.concatenate([learned[~own], *more]))
            fits[own] = values[own] @ weights
            scales[own] = advantages((centres @ weights)[None])[0]
        before = assigned
        assigned = np.array([linear_sum_assignment(-fit)[1] for fit in fits])
        if np.array_equal(assigned, before):
            break
    return fits, scales, assigned


def relative(grid: Grid) -> Floats:
    """Return what is measured of each clip, relative to the mean over its utterance."""
    return np.asarray(grid.values - grid.values.mean(axis=1, keepdims=True))


def discriminant(values: Floats) -> tuple[Floats, Floats]:
    """Return the centre of each class, and the weights ``[features, classes]`` that tell them apart."""
    centres = np.median(values, axis=0)
    residuals = (values - centres).reshape(-1, values.shape[-1])
    covariance = LedoitWolf(assume_centered=True).fit(residuals).covariance_
    # clips that are all alike (a codec that changes nothing) have no spread, and nothing tells them apart
    covariance += (_LEAST_SPREAD + _LEAST_SPREAD * np.trace(covariance) / len(covariance)) * np.eye(len(covariance))
    return centres, np.linalg.solve(covariance, centres.T)


def advantages(fits: Floats) -> Floats:
    """Return for each pair of clips how much better their labels fit as they are than exchanged."""
    own = np.einsum("uaa->ua", fits)
    return np.asarray(own[:, :, None] + own[:, None, :] - fits - fits.transpose(0, 2, 1))
