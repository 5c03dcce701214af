"""Compute confidence intervals by bootstrap over speakers, since the clips of one speaker are not independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from codecfake_builder.benchmark.detectors.outputs import FloatArray, IntArray
from codecfake_builder.benchmark.scoring.metrics import OpenSet, open_set

COVERAGE = 0.95
"""Share of the bootstrap samples that an interval spans."""
BLOCK = 20
"""Number of bootstrap samples that metrics of scores are computed for at a time."""


@dataclass(frozen=True)
class Interval:
    """A value with its percentile interval, all in percent; without bounds if there were no bootstrap samples."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def from_samples(cls, value: float, samples: FloatArray) -> Interval:
        """Return the interval of a value, all given as fractions.

        Args:
            value: computed from all clips.
            samples: ``[samples]``, computed from each bootstrap sample; NaN where a sample held no clip.
        """
        finite = samples[np.isfinite(samples)]
        if not len(finite):
            return cls(100 * value)
        low, high = np.percentile(finite, [50 * (1 - COVERAGE), 50 * (1 + COVERAGE)])
        return cls(100 * value, 100 * float(low), 100 * float(high))


class SpeakerBootstrap:
    """Bootstrap samples of speakers, drawn with replacement within each corpus.

    Every sample has as many speakers of each corpus as the data.

    Args:
        speakers: ``corpus/speaker`` of every clip.
        samples: number of bootstrap samples; 0 for none.
        seed: of the random numbers; the same seed gives the same intervals.
    """

    def __init__(self, speakers: pd.Series[str], samples: int, seed: int) -> None:
        self.speaker_of_clip, self.names = pd.factorize(speakers, sort=True)
        generator = np.random.default_rng(seed)
        corpora = np.array([str(name).partition("/")[0] for name in self.names])
        self.weights = np.zeros((samples, len(self.names)), dtype=np.float32)
        for corpus in np.unique(corpora):
            members = np.flatnonzero(corpora == corpus)
            if len(members) < 2:  # one speaker cannot be resampled: no interval
                self.weights[:, members] = np.nan
                continue
            for sample in range(samples):
                self.weights[sample, members] = np.bincount(
                    generator.integers(len(members), size=len(members)), minlength=len(members)
                )

    def weighted_counts(self, rows: IntArray, values: IntArray, bins: int) -> FloatArray:
        """Count clips by value in every bootstrap sample.

        Args:
            rows: clips to count, as rows of ``speakers``.
            values: ``[clips]``, the bin of each of these clips.
            bins: number of bins.

        Returns:
            Counts ``[samples, bins]``, float64.
        """
        speakers, within = np.unique(self.speaker_of_clip[rows], return_inverse=True)
        counts = np.bincount(within * bins + values, minlength=len(speakers) * bins).reshape(-1, bins)
        return self.weights[:, speakers].astype(np.float64) @ counts

    def open_set(self, scores: FloatArray, positive: IntArray, negative: IntArray) -> tuple[OpenSet, OpenSet]:
        """Return how well scores tell two sets of clips apart, and that of each bootstrap sample.

        Args:
            scores: ``[clips]``, of every row of ``speakers``.
            positive: rows of the clips whose scores should be larger.
            negative: rows of the others.

        Returns:
            The metrics of all clips, and ``[samples]`` of the samples; NaN where one lacks clips of either set.
        """
        value = open_set(scores[positive], scores[negative])
        parts = []
        with np.errstate(invalid="ignore"):
            for at in range(0, len(self.weights), BLOCK):
                weights = self.weights[at : at + BLOCK]
                own, others = (weights[:, self.speaker_of_clip[rows]] for rows in (positive, negative))
                parts.append(open_set(scores[positive], scores[negative], own, others))
        empty = np.zeros(0)
        joined = [np.concatenate([getattr(part, name) for part in parts] or [empty]) for name in vars(value)]
        return value, OpenSet(*joined)
