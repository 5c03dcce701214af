"""Confidence intervals: speakers are drawn with replacement, since the clips of one speaker are not independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from codecfake_builder.benchmark.outputs import FloatArray, IntArray

COVERAGE = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its percentile interval, all in percent; no bounds where there was nothing to draw from."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, samples: FloatArray) -> Interval:
        """From fractions: the value, and the values of the bootstrap samples (NaN: the sample held no clip)."""
        drawn = samples[np.isfinite(samples)]
        if not len(drawn):
            return cls(100 * value)
        low, high = np.percentile(drawn, [50 * (1 - COVERAGE), 50 * (1 + COVERAGE)])
        return cls(100 * value, 100 * float(low), 100 * float(high))


class SpeakerBootstrap:
    """Bootstrap samples of speakers, drawn within each corpus, so that every sample has the corpora's shares.

    Args:
        speakers: ``corpus/speaker`` of every clip.
        samples: how many samples; 0 for none.
        seed: same seed, same intervals.
    """

    def __init__(self, speakers: pd.Series[str], samples: int, seed: int) -> None:
        self.own, self.names = pd.factorize(speakers, sort=True)
        generator = np.random.default_rng(seed)
        corpora = np.array([str(name).partition("/")[0] for name in self.names])
        self.weights = np.zeros((samples, len(self.names)), dtype=np.float32)
        for corpus in np.unique(corpora):
            members = np.flatnonzero(corpora == corpus)
            if len(members) < 2:  # nothing to draw: no interval
                self.weights[:, members] = np.nan
                continue
            for sample in range(samples):
                self.weights[sample, members] = np.bincount(
                    generator.integers(len(members), size=len(members)), minlength=len(members)
                )

    def sums(self, rows: IntArray, values: IntArray, bins: int) -> FloatArray:
        """Weighted counts ``[samples, bins]`` of clips by ``values``."""
        speakers, within = np.unique(self.own[rows], return_inverse=True)
        counts = np.bincount(within * bins + values, minlength=len(speakers) * bins).reshape(-1, bins)
        return self.weights[:, speakers].astype(np.float64) @ counts
