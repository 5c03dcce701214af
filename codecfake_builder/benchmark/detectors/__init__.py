"""Open-set detectors."""

from __future__ import annotations

from codecfake_builder.benchmark.detectors.base import Detector, dev_threshold, refuse_overlap
from codecfake_builder.benchmark.detectors.further import MahalanobisPlusPlus, React, Vim
from codecfake_builder.benchmark.detectors.published import Energy, Knn, Mahalanobis, MaxLogit, Msp, NnGuide, Nsd

__all__ = ["ALL", "FROM_LOGITS", "Detector", "dev_threshold", "refuse_overlap"]

FROM_LOGITS: tuple[type[Detector], ...] = (Msp, MaxLogit, Energy)
"""Detectors that need no training outputs and no embeddings."""
ALL: tuple[type[Detector], ...] = (*FROM_LOGITS, Knn, Mahalanobis, Nsd, NnGuide, React, Vim, MahalanobisPlusPlus)
"""Every detector, in the order of the tables."""
