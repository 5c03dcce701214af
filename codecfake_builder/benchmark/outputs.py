"""What a model said about the clips of one split: the input of detectors and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from codecfake_builder.errors import BenchmarkError

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]
IntArray = np.ndarray[Any, np.dtype[np.integer[Any]]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

TRAIN = "train"
DEV = "dev"


@dataclass(frozen=True)
class Outputs:
    """Embeddings and logits of clips, in rows.

    Raises:
        BenchmarkError: lengths differ, or a value is NaN or infinite.
    """

    split: str
    """Where the clips come from; detectors are fitted on ``train``, thresholds are chosen on ``dev``, nothing else."""
    ids: tuple[str, ...]
    labels: IntArray
    """``[clips]``; the class of each clip: a column of ``logits``, or -1 for a class that the model does not know."""
    logits: FloatArray
    """``[clips, classes]``."""
    embeddings: FloatArray
    """``[clips, dimensions]``."""

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.labels), len(self.logits), len(self.embeddings)}
        if len(lengths) != 1:
            raise BenchmarkError(f"{self.split}: ids, labels, logits and embeddings have {sorted(lengths)} rows")
        for name, values in (("logits", self.logits), ("embeddings", self.embeddings)):
            wrong = ~np.isfinite(values).all(axis=1)
            if wrong.any():
                first = self.ids[int(wrong.argmax())]
                raise BenchmarkError(f"{self.split}: {name} of {int(wrong.sum())} clips are not finite, first {first}")

    def __len__(self) -> int:
        return len(self.ids)
