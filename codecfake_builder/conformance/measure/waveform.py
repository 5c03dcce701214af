"""How a codec's output relates to its input: delay and gain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from codecfake_builder.audio import Wave, rms
from codecfake_builder.conformance.measure.codec import Codec, run_codec
from codecfake_builder.signals.alignment import PRECISION_SECONDS, Shift, envelopes, measure_shift, waveform_lag

WAVEFORM_REACH_SECONDS = 0.1
"""Delays up to this are found in the waveform at once; longer ones where the envelopes say."""
LONGEST_DELAY_SECONDS = 1.0
LEAST_ENVELOPE_CORRELATION = 0.45
"""From here on the envelopes are evidence. Networks trained for minutes reach 0.67, noise-excited vocoders 0.6 to 0.9,
speech of somebody else 0.11, reversed speech 0.22."""
SEGMENT_SECONDS = 0.6
"""Each clip's delay is measured in segments of this length, which must agree."""
AGREEING_SHARE = 0.75
"""Share of the segments that must show the same delay."""
LEAST_CORRELATION = 0.1
"""Of the waveforms: where they have less in common, agreeing segments say nothing (all of a silent output's do)."""
ESTIMATED = f"estimated, +-{1000 * PRECISION_SECONDS:.0f} ms"


@dataclass(frozen=True)
class Delay:
    """By how many samples the output lags its input, and how reliable that is."""

    samples: int
    """Median of the segments."""
    tolerance: int | None
    """0: measured to the sample; 1: to one sample; more: estimated, so many samples either way; ``None``: not
    measurable, since the codec keeps neither waveform nor envelopes."""
    correlation: float
    """Median height of the normalized cross-correlation's peak, 0 to 1; where it is estimated, the envelopes'."""
    agreeing: float
    """Share of the segments within one sample of the median."""
    estimated: bool = False
    """Whether the envelopes of frequency bands tell it, since the codec does not keep the waveform."""

    def __str__(self) -> str:
        sharpness = f"correlation {self.correlation:.2f}, {self.agreeing:.0%} of the parts agree"
        if self.tolerance is None:
            return f"cannot be measured: the codec keeps neither the waveform nor its envelopes ({sharpness})"
        if self.estimated:
            return f"{self.samples} samples, {ESTIMATED} (envelopes' correlation {self.correlation:.2f})"
        return f"{self.samples} samples{' +-1' if self.tolerance else ''} ({sharpness})"


def measure_delay(codec: Codec, waves: Sequence[Wave], outputs: Sequence[Wave] | None = None) -> Delay:
    """Measure the delay in samples at the codec's rate, up to a second either way.

    Where cross-correlation of the waveforms finds none, the envelopes of frequency bands tell it roughly, and the
    waveforms are tried once more around that.

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
    rate = codec.sample_rate
    pairs = list(zip(waves, outputs or [run_codec(codec, wave) for wave in waves], strict=True))
    exact = _waveform_delay(pairs, rate, 0, round(WAVEFORM_REACH_SECONDS * rate))
    if exact.tolerance is not None:
        return exact
    shift = measure_envelope_shift(pairs, rate)
    if shift.correlation < LEAST_ENVELOPE_CORRELATION:
        return exact
    samples, precision = round(shift.seconds * rate), round(PRECISION_SECONDS * rate)
    again = _waveform_delay(pairs, rate, samples, 2 * precision)
    if again.tolerance is not None:
        return again
    return Delay(samples, precision, shift.correlation, exact.agreeing, estimated=True)


def measure_envelope_shift(pairs: Sequence[tuple[Wave, Wave]], rate: int) -> Shift:
    """Return the shift of outputs against their sources as the envelopes of frequency bands tell, up to a second.

    Args:
        pairs: source and output, float32 ``[samples]`` each.
        rate: Hz, of both.
    """
    return measure_shift([(envelopes(wave, rate), envelopes(out, rate)) for wave, out in pairs], LONGEST_DELAY_SECONDS)


def _waveform_delay(pairs: Sequence[tuple[Wave, Wave]], rate: int, center: int, reach: int) -> Delay:
    """Return the delay that segments of the waveforms agree on, from ``reach`` samples below ``center`` to as many
    above it.
    """
    length = round(SEGMENT_SECONDS * rate)
    found = [
        waveform_lag(wave[start : start + length], out, start, center, reach)
        for wave, out in pairs
        for start in range(0, len(wave) - length + 1, length)
    ]
    if not found:
        raise ValueError(f"no clip is {SEGMENT_SECONDS} s long")
    samples = round(median(lag for lag, _ in found))
    shares = [sum(abs(lag - samples) <= tolerance for lag, _ in found) / len(found) for tolerance in (0, 1)]
    tolerance = next((tolerance for tolerance, share in enumerate(shares) if share >= AGREEING_SHARE), None)
    height = median(height for _, height in found)
    return Delay(samples, tolerance if height >= LEAST_CORRELATION else None, height, shares[1])


def measure_gain(waves: Sequence[Wave], outputs: Sequence[Wave]) -> float:
    """Return the level of the outputs over that of the inputs, dB: the median clip's; ``-inf`` for silent outputs.

    >>> import numpy as np
    >>> wave = np.sin(np.arange(1600, dtype=np.float32))
    >>> round(measure_gain([wave], [wave / 2]), 2)
    -6.02
    """
    ratios = [rms(out) / rms(wave) for wave, out in zip(waves, outputs, strict=True)]
    return median(20 * math.log10(ratio) if ratio else -math.inf for ratio in ratios)
