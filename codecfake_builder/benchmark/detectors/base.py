"""The contract of an open-set detector: fitted on training clips, it scores how much a clip is like a known class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import ClassVar, Self

import numpy as np

from codecfake_builder.benchmark.detectors.outputs import DEV, TRAIN, FloatArray, Outputs
from codecfake_builder.errors import BenchmarkError

BLOCK_VALUES = 2**25
"""Similarities that are computed at a time: 256 MB of float64."""
NEIGHBOURS = 7
"""``k`` of kNN and NNGuide in the published code."""


class Detector(ABC):
    """An open-set detector. For every detector, a larger score means more in-distribution."""

    name: ClassVar[str]
    """Name in the tables."""
    needs_last_layer: ClassVar[bool] = False
    """Whether it computes logits anew, with the model's last layer."""

    def fit(self, train: Outputs) -> Self:
        """Fit the detector to the outputs of the training split, and return it.

        Raises:
            BenchmarkError: the outputs are of another split, hold a class that the model does not know, or are empty;
                or they do not determine it.
        """
        if train.split != TRAIN:
            raise BenchmarkError(
                f"{self.name}: would be fitted on split {train.split}; detectors are fitted on split {TRAIN} only"
            )
        if not len(train):
            raise BenchmarkError(f"{self.name}: there are no training outputs to fit it on")
        if (train.labels < 0).any():
            raise BenchmarkError(f"{self.name}: the training outputs hold classes that the model has no logit for")
        if reason := self.unfit(train):
            raise BenchmarkError(f"{self.name}: {reason}")
        self._fit(train)
        return self

    @classmethod
    def unfit(cls, train: Outputs) -> str | None:
        """Return why the training outputs do not determine the detector; ``None`` where they do."""
        if cls.needs_last_layer:
            try:
                _ = train.last_layer
            except BenchmarkError as error:
                return str(error)
        return None

    def _fit(self, train: Outputs) -> None:  # noqa: B027 - detectors on logits have nothing to learn
        """Fit the detector to training outputs that :meth:`fit` has checked."""

    @abstractmethod
    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        """Return scores ``[clips]`` for logits ``[clips, classes]`` and embeddings ``[clips, dimensions]``."""


def check_no_overlap(fitted_on: Collection[str], outputs: Outputs) -> None:
    """Check that no clip to be evaluated is one that detectors were fitted on.

    Args:
        fitted_on: ids of the clips that detectors were fitted on.
        outputs: of the clips to be evaluated.

    Raises:
        BenchmarkError: some clips are in both; names the first of them.
    """
    common = set(fitted_on) & set(outputs.ids)
    if common:
        raise BenchmarkError(
            f"{outputs.split}: {len(common)} of its clips were used to fit the detectors, first {min(common)}; "
            f"fit on split {TRAIN} only"
        )


def dev_threshold(scores: FloatArray, split: str, kept: float = 0.95) -> float:
    """Return the score that the share ``kept`` of the known clips of the dev split reaches.

    Args:
        scores: ``[clips]`` of known clips; larger = more in-distribution.
        split: where the clips come from; must be ``dev``.
        kept: share of the clips, 0 to 1.

    Raises:
        BenchmarkError: the scores are of another split, or there are none.
    """
    if split != DEV:
        raise BenchmarkError(f"a threshold would be chosen on split {split}; thresholds are chosen on {DEV} only")
    if not len(scores):
        raise BenchmarkError(f"split {DEV} has no clips of a known class to choose a threshold on")
    return float(np.quantile(scores, 1 - kept, method="lower"))


def unit_length(vectors: FloatArray) -> FloatArray:
    """Return the rows scaled to length 1, float64; a row of zeros stays as it is."""
    wide = vectors.astype(np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)


def energy(logits: FloatArray) -> FloatArray:
    """Return log sum exp over the classes, float64: Liu et al., arXiv 2010.03759, positive sign, temperature 1."""
    return np.logaddexp.reduce(logits.astype(np.float64), axis=1)


def reduce_in_blocks(queries: FloatArray, bank: FloatArray, reduce: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Reduce the inner products of every query with the whole bank, computed block by block to bound the memory.

    Args:
        queries: ``[queries, dimensions]``.
        bank: ``[bank, dimensions]``.
        reduce: turns inner products ``[block, bank]`` into values ``[block]``.

    Returns:
        Values ``[queries]``.
    """
    rows = max(1, BLOCK_VALUES // len(bank))
    blocks = [reduce(queries[at : at + rows] @ bank.T) for at in range(0, len(queries), rows)]
    return np.concatenate(blocks) if blocks else np.zeros(0)
