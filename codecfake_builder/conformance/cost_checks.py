"""Checks of what running the codec costs: time and memory.

Each check returns what it measured in words, or raises :class:`FailVerdict` or :class:`SkipVerdict`.
"""

from __future__ import annotations

import time

from codecfake_builder.conformance.memory import BLOCKS, growth_per_call, peak_memory
from codecfake_builder.conformance.under_test import CodecUnderTest, FailVerdict, SkipVerdict


def speed(codec: CodecUnderTest) -> str:
    """Measure the real-time factor of one clip at a time; no value fails."""
    wave = codec.speech(max(codec.settings.clip_seconds, 1.0))
    codec.run([wave])  # the first run of a shape pays for allocation and kernel choice
    start = time.perf_counter()
    codec.run([wave])
    elapsed = time.perf_counter() - start
    factor = max(elapsed, 1e-9) * codec.adapter.sample_rate / len(wave)
    return f"{factor:.3f} ({1 / factor:.1f} times as fast as real time) on {codec.adapter.device}"


def memory(codec: CodecUnderTest) -> str:
    """Measure the peak memory for the longest clip; no value fails."""
    seconds = max(codec.settings.seconds)
    wave = codec.speech(seconds)
    with peak_memory(codec.adapter.device) as peak:
        codec.run([wave])
    more = (peak.highest - peak.before) / 2**20
    return f"{peak.highest / 2**20:.0f} MiB at its highest, {more:.0f} more for a clip of {seconds:g} s"


def leak(codec: CodecUnderTest) -> str:
    """Check that repeated calls on equal input do not make memory grow."""
    repeats = codec.settings.repeats
    if not repeats:
        raise SkipVerdict("not asked for")
    wave = codec.speech(1.0)
    for _ in range(max(2, repeats // 2)):
        codec.run([wave])
    growth = growth_per_call(lambda: codec.run([wave]), repeats)
    if growth.leaks:
        raise FailVerdict(f"{growth}, over {BLOCKS * repeats} calls on equal input")
    return f"nothing stays after any of {BLOCKS * repeats} calls"
