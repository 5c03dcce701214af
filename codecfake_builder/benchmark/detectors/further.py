"""Well-established detectors that the publication does not use."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codecfake_builder.benchmark.detectors.base import Detector, energy, unit
from codecfake_builder.benchmark.detectors.published import nearest_centre
from codecfake_builder.benchmark.outputs import FloatArray, Outputs

REACT_PERCENTILE = 90
"""Of all training activations; the value of the ReAct paper."""


class React(Detector):
    """Energy after cutting activations at their 90th percentile: Sun et al., arXiv 2111.12797."""

    name: ClassVar[str] = "ReAct"

    def _fit(self, train: Outputs) -> None:
        self.ceiling = np.percentile(train.embeddings, REACT_PERCENTILE)
        self.weight, self.bias = output_layer(train)

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return energy(np.minimum(embeddings.astype(np.float64), self.ceiling) @ self.weight + self.bias)


class Vim(Detector):
    """Energy less a virtual logit, the length of the part outside the principal space: Wang et al., arXiv 2203.10807.

    The principal space has half the embedding's dimensions, as the paper takes for small embeddings.
    """

    name: ClassVar[str] = "ViM"

    def _fit(self, train: Outputs) -> None:
        weight, bias = output_layer(train)
        self.origin = -bias @ np.linalg.pinv(weight)
        centred = train.embeddings.astype(np.float64) - self.origin
        _, directions = np.linalg.eigh(centred.T @ centred / len(centred))
        self.residual = directions[:, : (centred.shape[1] + 1) // 2]
        lengths = self._lengths(train.embeddings)
        mean_length = float(lengths.mean())
        self.scale = float(train.logits.max(axis=1).mean()) / mean_length if mean_length > 0 else 0.0

    def _lengths(self, embeddings: FloatArray) -> FloatArray:
        return np.linalg.norm((embeddings.astype(np.float64) - self.origin) @ self.residual, axis=1)

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return energy(logits) - self.scale * self._lengths(embeddings)


class MahalanobisPlusPlus(Detector):
    """Mahalanobis distance of embeddings of unit length: Mueller and Hein, arXiv 2505.18032."""

    name: ClassVar[str] = "Mahalanobis++"

    def _fit(self, train: Outputs) -> None:
        points = unit(train.embeddings)
        classes, own = np.unique(train.labels, return_inverse=True)
        self.centres = np.stack([points[train.labels == label].mean(axis=0) for label in classes])
        offsets = points - self.centres[own]
        self.precision = np.linalg.pinv(offsets.T @ offsets / len(points))

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return -nearest_centre(unit(embeddings), self.centres, self.precision)


def output_layer(train: Outputs) -> tuple[FloatArray, FloatArray]:
    """Weight ``[dimensions, classes]`` and bias ``[classes]`` of the linear layer between embedding and logits.

    All models of the benchmark end in one, so that it is determined by its inputs and outputs (least squares; of the
    solutions that explain the training clips, the smallest).
    """
    inputs = np.column_stack([train.embeddings.astype(np.float64), np.ones(len(train))])
    solution, *_ = np.linalg.lstsq(inputs, train.logits.astype(np.float64), rcond=None)
    return solution[:-1], solution[-1]
