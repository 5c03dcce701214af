"""Open-set detectors: does a clip come from a class that the model knows?"""

from __future__ import annotations

from codecfake_builder.benchmark.detectors.base import Detector, check_no_overlap, dev_threshold
from codecfake_builder.benchmark.detectors.combined import NnGuide, Nsd, React, Vim
from codecfake_builder.benchmark.detectors.distances import Knn, Mahalanobis, MahalanobisPlusPlus
from codecfake_builder.benchmark.detectors.logits import Energy, MaxLogit, Msp

__all__ = ["ALL", "FROM_LOGITS", "Detector", "check_no_overlap", "dev_threshold"]

FROM_LOGITS: tuple[type[Detector], ...] = (Msp, MaxLogit, Energy)
"""Detectors that need the logits only: no training outputs, no embeddings."""
ALL: tuple[type[Detector], ...] = (*FROM_LOGITS, Knn, Mahalanobis, Nsd, NnGuide, React, Vim, MahalanobisPlusPlus)
"""Every detector, in the order of the tables."""
