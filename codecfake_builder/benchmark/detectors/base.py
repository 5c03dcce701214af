"""What an open-set detector is: fitted on training clips, it says how much a clip looks like a known class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import ClassVar, Self

import numpy as np

from codecfake_builder.benchmark.outputs import DEV, TRAIN, FloatArray, Outputs
from codecfake_builder.errors import BenchmarkError

BLOCK_VALUES = 2**25
"""Similarities that are computed at a time: 256 MB of float64."""


class Detector(ABC):
    """Larger score = more in-distribution, for every detector."""

    name: ClassVar[str]
    """As the tables print it."""

    def fit(self, train: Outputs) -> Self:
        """Learn from the outputs of the training split.

        Raises:
            BenchmarkError: the outputs are of another split, hold a class that the model does not know, or are empty.
        """
        if train.split != TRAIN:
            raise BenchmarkError(
                f"{self.name}: would be fitted on split {train.split}; detectors are fitted on split {TRAIN} only"
            )
        if not len(train):
            raise BenchmarkError(f"{self.name}: there are no training outputs to fit it on")
        if (train.labels < 0).any():
            raise BenchmarkError(f"{self.name}: the training outputs hold classes that the model has no logit for")
        self._fit(train)
        return self

    def _fit(self, train: Outputs) -> None:  # noqa: B027 - detectors on logits have nothing to learn
        """Learn from training outputs that :meth:`fit` has checked."""

    @abstractmethod
    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        """Scores ``[clips]`` of logits ``[clips, classes]`` and embeddings ``[clips, dimensions]``."""


def refuse_overlap(fitted_on: Collection[str], outputs: Outputs) -> None:
    """Refuse to evaluate clips that detectors were fitted on.

    Raises:
        BenchmarkError: naming the first of them.
    """
    common = set(fitted_on) & set(outputs.ids)
    if common:
        raise BenchmarkError(
            f"{outputs.split}: {len(common)} of its clips were used to fit the detectors, first {min(common)}; "
            f"fit on split {TRAIN} only"
        )


def dev_threshold(scores: FloatArray, split: str, kept: float = 0.95) -> float:
    """The score that the share ``kept`` of the known clips of the dev split reaches.

    Raises:
        BenchmarkError: the scores are of another split, or there are none.
    """
    if split != DEV:
        raise BenchmarkError(f"a threshold would be chosen on split {split}; thresholds are chosen on {DEV} only")
    if not len(scores):
        raise BenchmarkError(f"split {DEV} has no clips of a known class to choose a threshold on")
    return float(np.quantile(scores, 1 - kept, method="lower"))


def unit(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1 (float64); a row of zeros stays."""
    wide = vectors.astype(np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)


def energy(logits: FloatArray) -> FloatArray:
    """log sum exp over the classes, float64: Liu et al., arXiv 2010.03759, with positive sign and temperature 1."""
    return np.logaddexp.reduce(logits.astype(np.float64), axis=1)


def by_blocks(queries: FloatArray, bank: FloatArray, reduce: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """``reduce`` of the inner products of every query with the whole bank, block by block."""
    rows = max(1, BLOCK_VALUES // len(bank))
    blocks = [reduce(queries[at : at + rows] @ bank.T) for at in range(0, len(queries), rows)]
    return np.concatenate(blocks) if blocks else np.zeros(0)
