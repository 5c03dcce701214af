"""Model outputs for the clips of one split, which detectors and tables are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from codecfake_builder.errors import BenchmarkError

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]
IntArray = np.ndarray[Any, np.dtype[np.integer[Any]]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

TRAIN = "train"
DEV = "dev"
EVAL_ID = "eval_id"


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

    @cached_property
    def last_layer(self) -> tuple[FloatArray, FloatArray]:
        """The last layer: the checkpoint's own where it is known, else what its inputs and outputs here determine.

        Raises:
            BenchmarkError: the clips are too few, or too much alike, to determine it by least squares.
        """
        if self.layer is not None:
            return self.layer
        inputs = np.column_stack([self.embeddings.astype(np.float64), np.ones(len(self))])
        solution, _, rank, _ = np.linalg.lstsq(inputs, self.logits.astype(np.float64), rcond=None)
        if rank < inputs.shape[1]:
            raise BenchmarkError(
                f"the model's last layer is not in the predictions, and {len(self)} training clips do not determine it "
                f"({rank} of {inputs.shape[1]} directions)"
            )
        return solution[:-1], solution[-1]

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
