"""How a codec's output waveform relates to its input: delay and gain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.signal import correlate

from codecfake_builder.audio import Wave, rms
from codecfake_builder.conformance.measure.codec import Codec, run_codec

LONGEST_DELAY_SECONDS = 0.1
SEGMENT_SECONDS = 0.6
"""Each clip's delay is measured in segments of this length, which must agree."""
AGREEING_SHARE = 0.75
"""Share of the segments that must show the same delay."""


@dataclass(frozen=True)
class Delay:
    """By how many samples the output lags its input, and how reliable that is."""

    samples: int
    """Median of the segments."""
    tolerance: int | None
    """0: measured to the sample; 1: to one sample; ``None``: not measurable, since the codec does not keep the
    waveform."""
    correlation: float
    """Median height of the normalized cross-correlation's peak, 0 to 1."""
    agreeing: float
    """Share of the segments within one sample of the median."""

    def __str__(self) -> str:
        sharpness = f"correlation {self.correlation:.2f}, {self.agreeing:.0%} of the parts agree"
        if self.tolerance is None:
            return f"cannot be measured: the codec does not keep the waveform ({sharpness})"
        return f"{self.samples} samples{' +-1' if self.tolerance else ''} ({sharpness})"


def measure_delay(codec: Codec, waves: Sequence[Wave], outputs: Sequence[Wave] | None = None) -> Delay:
    """Measure the delay in samples at the codec's rate, up to 0.1 s either way, by cross-correlation.

    Args:
        waves: speech at the codec's rate, at least four segments of :data:`SEGMENT_SECONDS` in all.
        outputs: the codec's outputs for them, if they are known already.

    Raises:
        ValueError: no clip is as long as a segment.

    >>> from codecfake_builder.conformance.speech import bundled_speech
    >>> class Late:
    ...     sample_rate = 16000
    ...     def resynthesize(self, wav, seeds=None):
    ...         return wav.roll(40, dims=1)
    >>> print(measure_delay(Late(), bundled_speech(16000, count=2)))
    40 samples (correlation 1.00, 100% of the parts agree)
    """
    reach = round(LONGEST_DELAY_SECONDS * codec.sample_rate)
    length = round(SEGMENT_SECONDS * codec.sample_rate)
    found = [
        _lag(wave[start : start + length], out, start, reach)
        for wave, out in zip(waves, outputs or [run_codec(codec, wave) for wave in waves], strict=True)
        for start in range(0, len(wave) - length + 1, length)
    ]
    if not found:
        raise ValueError(f"no clip is {SEGMENT_SECONDS} s long")
    samples = round(median(lag for lag, _ in found))
    shares = [sum(abs(lag - samples) <= tolerance for lag, _ in found) / len(found) for tolerance in (0, 1)]
    tolerance = next((tolerance for tolerance, share in enumerate(shares) if share >= AGREEING_SHARE), None)
    return Delay(samples, tolerance, median(height for _, height in found), shares[1])


def _lag(segment: Wave, out: Wave, start: int, reach: int) -> tuple[int, float]:
    """Return the lag of ``segment``, which begins at ``start`` of the input, in the output, and the peak's height.

    A codec may invert the polarity, so that the sign of the height does not count.
    """
    window = np.pad(out, (reach, len(segment) + reach))[start : start + len(segment) + 2 * reach].astype(np.float64)
    segment = segment.astype(np.float64) - segment.mean()
    products = np.abs(correlate(window, segment, mode="valid", method="fft"))
    energies = np.cumsum(np.concatenate([[0.0], window**2]))
    norms = np.sqrt(np.maximum(energies[len(segment) :] - energies[: -len(segment)], 0) * float((segment**2).sum()))
    heights = np.divide(products, norms, out=np.zeros_like(products), where=norms > 1e-9)
    best = int(np.argmax(heights))
    return best - reach, float(heights[best])


def measure_gain(waves: Sequence[Wave], outputs: Sequence[Wave]) -> float:
    """Return the level of the outputs over that of the inputs, dB: the median clip's; ``-inf`` for silent outputs.

    >>> import numpy as np
    >>> wave = np.sin(np.arange(1600, dtype=np.float32))
    >>> round(measure_gain([wave], [wave / 2]), 2)
    -6.02
    """
    ratios = [rms(out) / rms(wave) for wave, out in zip(waves, outputs, strict=True)]
    return median(20 * math.log10(ratio) if ratio else -math.inf for ratio in ratios)
