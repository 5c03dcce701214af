"""Detectors that need the logits only: MSP, MaxLogit and Energy, as in the publication's code.

The publication is NCST, arXiv 2501.06514 (Table 5); its code is xieyuankun/ST-Codecfake.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codecfake_builder.benchmark.detectors.base import Detector, energy
from codecfake_builder.benchmark.detectors.outputs import FloatArray


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
    """Energy, the log sum exp of the logits: Liu et al., arXiv 2010.03759."""

    name: ClassVar[str] = "Energy"

    def score(self, logits: FloatArray, embeddings: FloatArray) -> FloatArray:
        return energy(logits)
