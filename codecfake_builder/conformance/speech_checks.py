"""Checks of what the codec does to speech and to unusual input.

Each check returns what it measured in words, or raises :class:`FailVerdict` or :class:`SkipVerdict`.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from codecfake_builder import audio
from codecfake_builder.audio import Wave
from codecfake_builder.conformance import measure
from codecfake_builder.conformance.under_test import CodecUnderTest, FailVerdict, SkipVerdict
from codecfake_builder.signals import fidelity


def silence(codec: CodecUnderTest) -> str:
    """Check that silence gives finite output that is quieter than speech."""
    codec.skip_without_waveforms()
    out = _finite(codec, np.zeros(codec.adapter.sample_rate, dtype=np.float32), "silence")
    level = audio.rms(out)
    if level > codec.settings.loudest_silence:
        raise FailVerdict(f"answered with RMS {level:.2f} of full scale")
    return f"answered with {_decibel(level)}"


def full_scale(codec: CodecUnderTest) -> str:
    """Check that square waves and clipped speech at full scale give finite output."""
    codec.skip_without_waveforms()
    rate = codec.adapter.sample_rate
    square = np.where(np.arange(rate) // max(1, rate // 440) % 2, 1.0, -1.0).astype(np.float32)
    clipped = np.clip(100 * codec.waves[0], -1, 1)
    peaks = [float(np.abs(_finite(codec, wave, "full scale")).max()) for wave in (square, clipped)]
    return f"peak {peaks[0]:.2f} for a square wave, {peaks[1]:.2f} for clipped speech"


def _finite(codec: CodecUnderTest, wave: Wave, words: str) -> Wave:
    """Return the output for ``wave``; ``words`` name it where the output is not finite."""
    length = codec.padding.padded(len(wave))
    out: Wave = codec.adapter.resynthesize(torch.from_numpy(audio.fit(wave, length))[None], [1])[0].cpu().numpy()
    if wrong := int((~np.isfinite(out)).sum()):
        raise FailVerdict(f"{words}: {wrong} of {len(out)} samples are NaN or infinite")
    return out


def stoi(codec: CodecUnderTest) -> str:
    """Check that the output is still speech, by its median STOI against the source."""
    scores = _scores(codec, fidelity.stoi)
    words = f"median {median(scores):.2f}, lowest {min(scores):.2f} of {len(scores)} clips"
    if median(scores) < codec.settings.least_stoi:
        raise FailVerdict(f"{words}; below {codec.settings.least_stoi:g} it is no speech")
    return words


def pesq(codec: CodecUnderTest) -> str:
    """Measure wide-band PESQ against the source; no value fails."""
    if not fidelity.has_pesq():
        raise SkipVerdict("the package pesq is not installed (extra quality; it is compiled on installation)")
    scores = _scores(codec, fidelity.pesq)
    if not np.isfinite(scores).all():
        raise SkipVerdict("PESQ finds no speech in the output")
    return f"median {median(scores):.2f}, lowest {min(scores):.2f} of {len(scores)} clips"


def _scores(codec: CodecUnderTest, score: Callable[[Wave, Wave], float]) -> list[float]:
    """Return the score of each clip's output against its source, both at 16 kHz."""
    scores = []
    for wave, out in zip(codec.waves, codec.outputs, strict=True):
        source = audio.resample(wave, codec.adapter.sample_rate, audio.RATE)
        try:
            restored = codec.restored(wave, out)
        except FailVerdict:
            raise SkipVerdict("the output does not cover the clip, see any length") from None
        scores.append(score(source, restored))
    return scores


def gain(codec: CodecUnderTest) -> str:
    """Check that the output is neither far quieter nor far louder than the input."""
    found = measure.measure_gain(codec.waves, codec.outputs)
    if found < codec.settings.least_gain and codec.settings.least_stoi:
        raise FailVerdict(f"{found:+.1f} dB, less than {codec.settings.least_gain:+g} dB")
    if found > codec.settings.most_gain and codec.settings.least_stoi and codec.output_passed:
        raise FailVerdict(f"{found:+.1f} dB, more than {codec.settings.most_gain:+g} dB")
    return f"{found:+.1f} dB"


def _decibel(level: float) -> str:
    return f"{20 * np.log10(level):.0f} dB of full scale" if level > audio.SILENCE_RMS else "silence"
