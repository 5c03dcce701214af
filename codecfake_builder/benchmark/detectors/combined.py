"""Detectors that combine the energy of the logits with the embedding: NSD, NNGuide, ReAct and ViM.

NSD and NNGuide are computed as in the publication's code (NCST, arXiv 2501.06514, Table 5; xieyuankun/ST-Codecfake);
ReAct and ViM are not in the publication.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codecfake_builder.benchmark.detectors.base import NEIGHBOURS, Detector, energy, reduce_in_blocks, unit_length
from codecfake_builder.benchmark.detectors.outputs import FloatArray, Outputs

REACT_PERCENTILE = 90
"""Of all training activations; the value of the ReAct paper."""


class Nsd(Detector):
    """Energy times the mean cosine similarity to all training embeddings, each weighted by its own energy."""

    name: ClassVar[str] = "NSD"

    def _fit(self, train: Outputs) -> None:
        self.guide = (energy(train.logits)[:, None] * unit_length(train.embeddings)).mean(axis=0)

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return energy(logits) * (unit_length(embeddings) @ self.guide)


class NnGuide(Detector):
    """Energy times the mean of the k largest energy-weighted similarities: Park et al., arXiv 2309.14888.

    In the published code with ``k`` 7, but not in the publication's Table 5.
    """

    name: ClassVar[str] = "NNGuide"

    def _fit(self, train: Outputs) -> None:
        self.bank = energy(train.logits)[:, None] * unit_length(train.embeddings)
        self.k = min(NEIGHBOURS, len(train))

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        def mean_of_largest(block: FloatArray) -> FloatArray:
            return np.partition(block, -self.k, axis=1)[:, -self.k :].mean(axis=1)

        return energy(logits) * reduce_in_blocks(unit_length(embeddings), self.bank, mean_of_largest)


class React(Detector):
    """Energy of the logits of clipped embeddings: Sun et al., arXiv 2111.12797.

    Embeddings are clipped at the 90th percentile of all training activations.
    """

    name: ClassVar[str] = "ReAct"
    needs_last_layer: ClassVar[bool] = True

    def _fit(self, train: Outputs) -> None:
        self.ceiling = np.percentile(train.embeddings, REACT_PERCENTILE)
        self.weight, self.bias = train.last_layer

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return energy(np.minimum(embeddings.astype(np.float64), self.ceiling) @ self.weight + self.bias)


class Vim(Detector):
    """Energy minus a virtual logit: Wang et al., arXiv 2203.10807.

    The virtual logit is the scaled length of the embedding's part outside the principal space, which has half of the
    embedding's dimensions, as the paper takes for small embeddings.
    """

    name: ClassVar[str] = "ViM"
    needs_last_layer: ClassVar[bool] = True

    def _fit(self, train: Outputs) -> None:
        weight, bias = train.last_layer
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
