"""The axes of somebody else's tensors, by letters."""

from __future__ import annotations

from typing import Literal

WaveLayout = Literal["BS", "BCS"]
"""Axes of a waveform: batch, (one) channel, samples."""
CodeOrder = Literal["BKT", "KBT", "BTK", "TBK", "KTB", "TKB", "BT", "TB"]
"""Axes of codes: batch, codebooks (one, where there is no K), frames."""
