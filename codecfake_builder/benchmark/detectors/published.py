"""The detectors of the publication (NCST, arXiv 2501.06514, Table 5; code xieyuankun/ST-Codecfake), as published."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codecfake_builder.benchmark.detectors.base import Detector, by_blocks, energy, unit
from codecfake_builder.benchmark.outputs import FloatArray, Outputs

NEIGHBOURS = 7
"""``k`` of kNN and NNGuide in the published code."""


class Msp(Detector):
    """Maximum softmax probability: Hendrycks and Gimpel, arXiv 1610.02136."""

    name: ClassVar[str] = "MSP"

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return np.exp(logits.astype(np.float64).max(axis=1) - energy(logits))


class MaxLogit(Detector):
    """Largest logit: Hendrycks et al., arXiv 1911.11132. In the published code, not in its Table 5."""

    name: ClassVar[str] = "MaxLogit"

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return logits.astype(np.float64).max(axis=1)


class Energy(Detector):
    """log sum exp of the logits."""

    name: ClassVar[str] = "Energy"

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return energy(logits)


class Knn(Detector):
    """Cosine similarity to the k-th nearest training embedding: Sun et al., arXiv 2204.06507."""

    name: ClassVar[str] = "kNN"

    def _fit(self, train: Outputs) -> None:
        self.bank = unit(train.embeddings)
        self.k = min(NEIGHBOURS, len(train))

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return by_blocks(unit(embeddings), self.bank, lambda block: np.partition(block, -self.k, axis=1)[:, -self.k])


class Mahalanobis(Detector):
    """Distance to the nearest class centre under a shared covariance: Lee et al., arXiv 1807.03888.

    As published: the mean and the deviation of raw embeddings are applied to embeddings of unit length, the classes'
    covariances are averaged without weights, and the score is exp(-d / 4096).
    """

    name: ClassVar[str] = "Mahalanobis"

    def _fit(self, train: Outputs) -> None:
        raw = train.embeddings.astype(np.float64)
        self.mean, self.deviation = raw.mean(axis=0), raw.std(axis=0)
        prepared = self._prepare(train.embeddings)
        groups = [prepared[train.labels == label] for label in np.unique(train.labels)]
        self.centres = np.stack([group.mean(axis=0) for group in groups])
        covariance = np.mean([np.cov(group, rowvar=False, bias=True).reshape(raw.shape[1], -1) for group in groups], 0)
        self.precision = np.linalg.pinv(covariance)

    def _prepare(self, embeddings: FloatArray) -> FloatArray:
        return (unit(embeddings) - self.mean) / (self.deviation + 1e-8)

    def distance(self, embeddings: FloatArray) -> FloatArray:
        """Squared distance ``[clips]`` to the nearest centre."""
        return nearest_centre(self._prepare(embeddings), self.centres, self.precision)

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return np.exp(-self.distance(embeddings) / 4096)


class Nsd(Detector):
    """Energy times the mean similarity to all training embeddings, which are weighted by their own energy."""

    name: ClassVar[str] = "NSD"

    def _fit(self, train: Outputs) -> None:
        self.guide = (energy(train.logits)[:, None] * unit(train.embeddings)).mean(axis=0)

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return energy(logits) * (unit(embeddings) @ self.guide)


class NnGuide(Detector):
    """Energy times the mean of the k largest energy-weighted similarities: Park et al., arXiv 2309.14888.

    In the published code with ``k`` 7, not in its Table 5.
    """

    name: ClassVar[str] = "NNGuide"

    def _fit(self, train: Outputs) -> None:
        self.bank = energy(train.logits)[:, None] * unit(train.embeddings)
        self.k = min(NEIGHBOURS, len(train))

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        def mean_of_largest(block: FloatArray) -> FloatArray:
            return np.partition(block, -self.k, axis=1)[:, -self.k :].mean(axis=1)

        return energy(logits) * by_blocks(unit(embeddings), self.bank, mean_of_largest)


def nearest_centre(points: FloatArray, centres: FloatArray, precision: FloatArray) -> FloatArray:
    """Squared Mahalanobis distance ``[points]`` to the nearest of the centres."""
    distances = []
    for centre in centres:
        offset = points - centre
        distances.append(np.einsum("ij,ij->i", offset @ precision, offset))
    return np.min(distances, axis=0)
