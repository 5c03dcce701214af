"""Orders of the axes of an external codec's tensors, one letter per axis."""

from __future__ import annotations

from typing import Literal

WaveLayout = Literal["BS", "BCS"]
"""Axes of a waveform: batch (B), one channel (C), samples (S)."""
CodeOrder = Literal["BKT", "KBT", "BTK", "TBK", "KTB", "TKB", "BT", "TB"]
"""Axes of codes: batch (B), codebooks (K; without it there is one codebook), frames (T)."""
