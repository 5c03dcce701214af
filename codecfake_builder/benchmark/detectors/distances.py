"""Detectors that measure distances between embeddings: kNN and Mahalanobis as in the publication's code, Mahalanobis++.

The publication is NCST, arXiv 2501.06514 (Table 5); its code is xieyuankun/ST-Codecfake.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codecfake_builder.benchmark.detectors.base import NEIGHBOURS, Detector, reduce_in_blocks, unit_length
from codecfake_builder.benchmark.detectors.outputs import FloatArray, Outputs


class Knn(Detector):
    """Cosine similarity to the k-th nearest training embedding: Sun et al., arXiv 2204.06507; ``k`` is 7."""

    name: ClassVar[str] = "kNN"

    def _fit(self, train: Outputs) -> None:
        self.bank = unit_length(train.embeddings)
        self.k = min(NEIGHBOURS, len(train))

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return reduce_in_blocks(
            unit_length(embeddings), self.bank, lambda block: np.partition(block, -self.k, axis=1)[:, -self.k]
        )


class Mahalanobis(Detector):
    """Mahalanobis distance to the nearest class centre, one covariance for all classes: Lee et al., arXiv 1807.03888.

    Computed as in the published code: embeddings of unit length are standardised with the mean and the deviation of the
    raw embeddings, the covariances of the classes are averaged without weights, and the score is exp(-d / 4096).
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
        return (unit_length(embeddings) - self.mean) / (self.deviation + 1e-8)

    def distance(self, embeddings: FloatArray) -> FloatArray:
        """Return the squared distance ``[clips]`` of embeddings ``[clips, dimensions]`` to the nearest class centre."""
        return nearest_centre_distance(self._prepare(embeddings), self.centres, self.precision)

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return np.exp(-self.distance(embeddings) / 4096)


class MahalanobisPlusPlus(Detector):
    """Mahalanobis distance of embeddings of unit length: Mueller and Hein, arXiv 2505.18032. Not in the publication."""

    name: ClassVar[str] = "Mahalanobis++"

    def _fit(self, train: Outputs) -> None:
        points = unit_length(train.embeddings)
        classes, own = np.unique(train.labels, return_inverse=True)
        self.centres = np.stack([points[train.labels == label].mean(axis=0) for label in classes])
        offsets = points - self.centres[own]
        self.precision = np.linalg.pinv(offsets.T @ offsets / len(points))

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return -nearest_centre_distance(unit_length(embeddings), self.centres, self.precision)


def nearest_centre_distance(points: FloatArray, centres: FloatArray, precision: FloatArray) -> FloatArray:
    """Return the squared Mahalanobis distance ``[points]`` of each point to its nearest centre.

    Args:
        points: ``[points, dimensions]``.
        centres: ``[centres, dimensions]``.
        precision: inverse covariance ``[dimensions, dimensions]``.
    """
    distances = []
    for centre in centres:
        offset = points - centre
        distances.append(np.einsum("ij,ij->i", offset @ precision, offset))
    return np.min(distances, axis=0)
