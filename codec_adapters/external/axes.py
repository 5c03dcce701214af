"""How external codecs want their tensors: the orders of axes, one letter per axis, and the arguments of a decoder."""

from __future__ import annotations

from typing import Literal

WaveLayout = Literal["BS", "BCS"]
"""Axes of a waveform: batch (B), one channel (C), samples (S)."""
CallLayout = Literal["BS", "BCS", "S"]
"""Axes of the waveforms that a Python object takes: those of :data:`WaveLayout`, or one clip without other axes (S)."""
CodeOrder = Literal["BKT", "KBT", "BTK", "TBK", "KTB", "TKB", "BT", "TB"]
"""Axes of codes: batch (B), codebooks (K; without it there is one codebook), frames (T)."""
DecoderTakes = Literal["whole", "parts", "first"]
"""What ``decode`` gets of what ``encode`` returns: all of it as one argument; its parts, each as an argument of its own
(by name where they have names); or the first part only."""
