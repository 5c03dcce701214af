"""Model outputs for the clips of one split, which detectors and tables are computed from."""

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
    """Logits and embeddings of clips, a row per clip.

    Raises:
        BenchmarkError: lengths differ, or a value is NaN or infinite.
    """

    split: str
    """Where the clips come from. Detectors are fitted on ``train`` only, thresholds are chosen on ``dev`` only."""
    ids: tuple[str, ...]
    labels: IntArray
    """``[clips]``: the column of ``logits`` of each clip's class, or -1 for a class that the model does not know."""
    logits: FloatArray
    """``[clips, classes]``, a column per known class."""
    embeddings: FloatArray
    """``[clips, dimensions]``."""
    layer: tuple[FloatArray, FloatArray] | None = None
    """Weight ``[dimensions, classes]`` and bias ``[classes]`` of the model's last layer, where they are known."""

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
