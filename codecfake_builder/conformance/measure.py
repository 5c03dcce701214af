"""What can be measured of a codec without knowing anything of it but its rate.

Nothing here reads a spec: these are the functions that fill one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from statistics import median
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from scipy.signal import correlate
from torch import Tensor

from codec_adapters.errors import InputError
from codecfake_builder.audio import Wave, rms
from codecfake_builder.conformance.speech import lasting

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

LONGEST_DELAY_SECONDS = 0.1
SEGMENT_SECONDS = 0.6
"""Each clip's delay is measured in parts of this length, which must agree."""
AGREEING = 0.75
"""Share of the parts that must say the same delay for it to be one."""
LAST_PART_SECONDS = 0.5
"""What may change before a clip's end when silence is appended. Convolutional codecs look ahead (DAC at 16 kHz 0.26 s);
what norms, attention and recurrent layers over the whole clip change begins at its beginning."""
TAIL_SECONDS = {1.5: (0.02, 1.0), 1.9: (1.0,)}
"""Length of a clip -> what silence is appended to it: less and more than the engine pads by (``audio.tail_seconds``).
Two lengths, since a codec that works in chunks of a second changes its last chunk, however long that is."""
SAME = 2**-15
"""Two outputs are the same up to this difference, full scale being 1: a step of the 16-bit clips that become of them.
Rounding stays far below it (7e-7 measured), another code does not."""
LENGTHS = (0, 1, 7, 64, 160, 320, 501, 1000, 1999, 2000, 4111)
"""Samples beyond half a second at which the length rule is looked for."""


class Codec(Protocol):
    """The part of the adapter contract that every codec has."""

    @property
    def sample_rate(self) -> int: ...
    def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor: ...


def through(codec: Codec, wave: Wave, seed: int = 1) -> Wave:
    """One clip through a codec, as it is: float32 ``[samples]`` to float32 ``[samples_out]``."""
    out: Wave = codec.resynthesize(torch.from_numpy(np.ascontiguousarray(wave))[None], [seed])[0].cpu().numpy()
    return out


@dataclass(frozen=True)
class Delay:
    """By how many samples the output lags its input, and how far that can be relied on."""

    samples: int
    """Median of the parts."""
    within: int | None
    """0: measured to the sample; 1: to one sample; ``None``: the codec does not code the waveform, and it cannot be."""
    correlation: float
    """Median height of the normalized cross-correlation's peak, 0 to 1."""
    agreeing: float
    """Share of the parts within one sample of the median."""

    def __str__(self) -> str:
        sharpness = f"correlation {self.correlation:.2f}, {self.agreeing:.0%} of the parts agree"
        if self.within is None:
            return f"cannot be measured: the codec does not keep the waveform ({sharpness})"
        return f"{self.samples} samples{' +-1' if self.within else ''} ({sharpness})"


def measure_delay(codec: Codec, waves: Sequence[Wave], outputs: Sequence[Wave] | None = None) -> Delay:
    """The delay in samples at the codec's rate, up to 0.1 s either way, by cross-correlation.

    Args:
        waves: speech at the codec's rate, at least four parts of :data:`SEGMENT_SECONDS` in all.
        outputs: what the codec made of them, if that is known already.
    """
    reach = round(LONGEST_DELAY_SECONDS * codec.sample_rate)
    length = round(SEGMENT_SECONDS * codec.sample_rate)
    found = [
        _lag(wave[start : start + length], out, start, reach)
        for wave, out in zip(waves, outputs or [through(codec, wave) for wave in waves], strict=True)
        for start in range(0, len(wave) - length + 1, length)
    ]
    if not found:
        raise ValueError(f"no clip is {SEGMENT_SECONDS} s long")
    samples = round(median(lag for lag, _ in found))
    shares = [sum(abs(lag - samples) <= within for lag, _ in found) / len(found) for within in (0, 1)]
    within = next((within for within, share in enumerate(shares) if share >= AGREEING), None)
    return Delay(samples, within, median(height for _, height in found), shares[1])


def _lag(part: Wave, out: Wave, start: int, reach: int) -> tuple[int, float]:
    """Lag of ``part``, which begins at ``start`` of the input, in the output, and the height of the peak.

    A codec may turn the polarity round, so the height's sign does not count.
    """
    window = np.pad(out, (reach, len(part) + reach))[start : start + len(part) + 2 * reach].astype(np.float64)
    part = part.astype(np.float64) - part.mean()
    products = np.abs(correlate(window, part, mode="valid", method="fft"))
    energies = np.cumsum(np.concatenate([[0.0], window**2]))
    norms = np.sqrt(np.maximum(energies[len(part) :] - energies[: -len(part)], 0) * float((part**2).sum()))
    heights = np.divide(products, norms, out=np.zeros_like(products), where=norms > 1e-9)
    best = int(np.argmax(heights))
    return best - reach, float(heights[best])


def measure_gain(waves: Sequence[Wave], outputs: Sequence[Wave]) -> float:
    """Level of the outputs over that of the inputs, dB: the median clip's. ``-inf`` for silence."""
    ratios = [rms(out) / rms(wave) for wave, out in zip(waves, outputs, strict=True)]
    return median(20 * math.log10(ratio) if ratio else -math.inf for ratio in ratios)


@dataclass(frozen=True)
class LengthRule:
    """The output's length as a function of the input's, as far as a simple rule describes it."""

    rounding: Literal["none", "up", "down", "unknown"]
    multiple: int
    """The input's length is rounded to a multiple of this first."""
    offset: int
    """And the output has so many samples more."""
    lengths: tuple[tuple[int, int], ...]
    """What was measured: samples in, samples out."""

    def __str__(self) -> str:
        more = f" {self.offset:+d}" if self.offset else ""
        if self.rounding == "unknown":
            low, high = (edge(out - given for given, out in self.lengths) for edge in (min, max))
            return f"output {low:+d} to {high:+d} samples against the input, by no simple rule"
        if self.rounding == "none":
            return f"output as long as the input{more}"
        return f"output is the input {self.rounding} to whole {self.multiple} samples{more}"


def measure_length_rule(codec: Codec, waves: Sequence[Wave], lengths: Sequence[int] | None = None) -> LengthRule:
    """The length rule, from inputs of half a second and somewhat more, or of ``lengths`` samples."""
    given = lengths or [codec.sample_rate // 2 + more for more in LENGTHS]
    pairs = tuple((samples, len(through(codec, lasting(list(waves), samples)))) for samples in given)
    return fitted_length_rule(pairs)


def fitted_length_rule(pairs: tuple[tuple[int, int], ...]) -> LengthRule:
    """The rule that all ``pairs`` (samples in, samples out) follow."""
    offsets = {out - given for given, out in pairs}
    if len(offsets) == 1:
        return LengthRule("none", 1, offsets.pop(), pairs)
    multiple = reduce(math.gcd, [out - pairs[0][1] for _, out in pairs])
    roundings: dict[Literal["up", "down"], Callable[[int], int]] = {
        "up": lambda samples: -(-samples // multiple) * multiple,
        "down": lambda samples: samples // multiple * multiple,
    }
    for rounding, rounded in roundings.items() if multiple > 1 else ():
        offsets = {out - rounded(given) for given, out in pairs}
        if len(offsets) == 1:
            return LengthRule(rounding, multiple, offsets.pop(), pairs)
    return LengthRule("unknown", 1, 0, pairs)


@dataclass(frozen=True)
class CodeFigures:
    """What real codes say of a codec, and the bit rate, which they do not say, from the adapter."""

    hop: float
    """Samples per frame of the finest codebook."""
    frame_rate: float
    codebooks: int
    bitrate: float

    def __str__(self) -> str:
        return f"hop {self.hop:g}, {self.frame_rate:g} frames/s, {self.codebooks} codebooks, {self.bitrate:g} bit/s"


def measure_codes(adapter: Adapter, waves: Sequence[Wave]) -> CodeFigures | None:
    """Hop, frame rate and codebooks from the codes of speech; ``None`` where the codec gives no codes.

    The hop is the distance between input lengths at which another frame begins, found by bisection: it needs no
    knowledge of how a codec rounds, pads, or chunks what is longer.
    """
    rate = adapter.sample_rate

    @cache
    def frames(samples: int) -> int:
        codes = adapter.encode(torch.from_numpy(lasting(list(waves), samples))[None])
        return max(scale.shape[-1] for scale in codes)

    def next_frame(samples: int) -> int:
        """The smallest length above ``samples`` that gives more frames."""
        low, high = samples, samples + 64
        while frames(high) == frames(low):
            if high > 2 * rate + samples:
                raise ValueError("the number of frames does not depend on the input's length")
            low, high = high, high + 2 * (high - samples)
        few = frames(samples)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if frames(middle) == few else (low, middle)
        return high

    try:
        codes = adapter.encode(torch.from_numpy(lasting(list(waves), rate // 8))[None])
    except InputError:
        return None
    first = next_frame(rate // 8)
    last = next_frame(first + rate // 8)
    hop = (last - first) / (frames(last) - frames(first))
    return CodeFigures(hop, rate / hop, sum(scale.shape[1] for scale in codes), adapter.bitrate)


def measure_tail_reach(codec: Codec, waves: Sequence[Wave], delay: int = 0, same: float = SAME) -> float:
    """How many seconds before a clip's end its output begins to change when silence is appended; 0: not at all.

    The engine pads clips of a tail-local codec up to common lengths (``engine.codec_runner.PaddingRule``): what it
    relies on is that the silence it appends changes nothing before the clip's last part.

    Args:
        waves: speech at the codec's rate.
        delay: samples by which the output lags: the clip ends so much later in it.
        same: difference up to which two outputs are the same.
    """
    reach = 0
    for seconds, appended in TAIL_SECONDS.items():
        wave = lasting(list(waves), round(seconds * codec.sample_rate))
        alone = through(codec, wave)
        for silence in appended:
            longer = through(codec, np.pad(wave, (0, round(silence * codec.sample_rate))))
            end = min(len(alone), len(longer), len(wave) + delay)
            changed = np.flatnonzero(~(np.abs(alone[:end] - longer[:end]) <= same))
            reach = max(reach, len(wave) + delay - int(changed[0])) if len(changed) else reach
    return reach / codec.sample_rate


def is_tail_local(reach: float) -> bool:
    """Whether a measured reach (seconds) is that of a codec that looks at no more than what is near."""
    return reach <= LAST_PART_SECONDS
