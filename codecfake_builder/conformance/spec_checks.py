"""Checks of what the codec's spec claims: rates, codes, delay, and whether its tail is local.

Each check returns what it measured in words, or raises :class:`FailVerdict` or :class:`SkipVerdict`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from codec_adapters.errors import InputError
from codecfake_builder import audio
from codecfake_builder.conformance import measure
from codecfake_builder.conformance.under_test import CodecUnderTest, FailVerdict, SkipVerdict

TOLERANCE = 1e-3
"""Relative: rates and bit rates are computed in floating point, and written down rounded."""

MOST_AHEAD_SECONDS = 0.001
"""By which an output may be ahead of its input where the spec says 0: less than that no spec can say, and resamplers
and decoders that take out a codec's delay do so (opusdec: 2 samples at 48 kHz)."""


def spec(codec: CodecUnderTest) -> str:
    """Compare rate, hop, codebooks and bit rate of the spec, of the loaded network, and of real codes."""
    adapter = codec.adapter
    claims = adapter.spec
    compared: list[tuple[str, float, float]]
    compared = [("sample rate", claims.sample_rate, adapter.sample_rate), ("hop", claims.hop, adapter.hop)]
    compared.append(("frames/s", claims.frame_rate, adapter.frame_rate))
    if codec.own_weights:
        compared += [("codebooks", claims.codebooks, adapter.codebooks), ("bit/s", claims.bitrate, adapter.bitrate)]
    _agree("the spec says", "the adapter", compared)
    found = measure.measure_codes(adapter, codec.waves)
    if found is None:
        return f"{adapter.sample_rate} Hz, hop {adapter.hop}; gives no codes to hold that against"
    measured = [("hop", adapter.hop, found.hop), ("codebooks", adapter.codebooks, found.codebooks)]
    _agree("the adapter says", "its codes", measured)
    official = "" if codec.own_weights else "; codebooks and bit rate are these weights', not the spec's"
    return f"{adapter.sample_rate} Hz, {found}{official}"


def _agree(one: str, other: str, numbers: Iterable[tuple[str, float, float]]) -> None:
    """Raise :class:`FailVerdict` where two of the numbers (name, claimed, found) differ."""
    for name, claimed, found in numbers:
        if abs(claimed - found) > TOLERANCE * abs(claimed):
            raise FailVerdict(f"{name}: {one} {claimed:g}, {other} {found:g}")


def codes(codec: CodecUnderTest) -> str:
    """Check that codes are int64 ``[batch, codebooks, frames]``, the same alone, and decode to the input's length."""
    adapter, frame = codec.adapter, max(codec.adapter.hop, codec.adapter.length_multiple)
    length = codec.padding.padded(len(codec.waves[0]))
    batch = torch.from_numpy(np.stack([audio.fit(wave, length) for wave in codec.waves[:2]]))
    try:
        found = adapter.encode(batch)
    except InputError:
        raise SkipVerdict("gives no codes") from None
    for scale in found:
        if scale.dtype != torch.int64 or scale.ndim != 3 or scale.shape[0] != 2 or 0 in scale.shape:
            raise FailVerdict(
                f"{scale.dtype} {list(scale.shape)} for a batch of two, expected int64 [2, codebooks, frames]"
            )
    if codec.is_float32 and adapter.device.type == "cpu":
        for item in range(2):
            alone = adapter.encode(batch[item : item + 1])
            if not all(torch.equal(one[0], scale[item]) for one, scale in zip(alone, found, strict=True)):
                raise FailVerdict(f"item {item + 1} of a batch of two has other codes than alone")
    decoded = adapter.decode(found, [1, 2])
    most = 2 * frame + adapter.spec.delay_samples
    if decoded.ndim != 2 or decoded.shape[0] != 2 or abs(decoded.shape[1] - batch.shape[1]) > most:
        raise FailVerdict(f"codes of {batch.shape[1]} samples decode to {list(decoded.shape)}, more than {most} apart")
    shapes = ", ".join(f"{scale.shape[1]} x {scale.shape[2]}" for scale in found)
    return f"{shapes} codes of {batch.shape[1]} samples decode to {decoded.shape[1]}"


def delay(codec: CodecUnderTest) -> str:
    """Compare the measured delay with the spec's: to the sample where the codec keeps the waveform, else roughly."""
    found = measure.measure_delay(codec.adapter, codec.waves, codec.outputs)
    if found.tolerance is None:
        raise SkipVerdict(str(found))
    claimed = codec.adapter.spec.delay_samples
    ahead = round(MOST_AHEAD_SECONDS * codec.adapter.sample_rate)
    if not claimed and -ahead <= found.samples < -found.tolerance:
        return f"{found}: ahead of the input by less than {1000 * MOST_AHEAD_SECONDS:g} ms, which is taken for 0"
    if abs(found.samples - claimed) > found.tolerance:
        raise FailVerdict(f"the spec says {claimed}, measured {found}")
    return str(found)


def tail_local(codec: CodecUnderTest) -> str:
    """Check that appended silence changes the last part only, where the spec says so."""
    codec.skip_if_unrepeatable()
    reach = measure.measure_tail_reach(codec.adapter, codec.waves, codec.adapter.spec.delay_samples, codec.tolerance)
    claimed, local = codec.adapter.spec.tail_local, measure.is_tail_local(reach)
    words = f"appended silence changes the last {reach:.2f} s" if reach else "appended silence changes nothing"
    words += f" of clips of up to {max(measure.TAIL_SECONDS):g} s"
    if claimed and not local:
        raise FailVerdict(f"the spec says true, but {words}")
    note = "; the spec says false, which costs speed only" if local and not claimed else ""
    return f"{'local' if local else 'not local'}: {words}{note}"
