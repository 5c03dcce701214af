"""Checks of a codec's figures: those that its spec claims, those of its speech, and what it costs.

Each returns what it measured in words, or raises :class:`Failed` or :class:`NotJudged`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from statistics import median

import numpy as np
import torch

from codec_adapters.errors import InputError
from codecfake_builder import audio
from codecfake_builder.audio import Wave
from codecfake_builder.conformance import measure
from codecfake_builder.conformance.memory import BLOCKS, growth_per_call, peak_memory
from codecfake_builder.conformance.subject import Failed, NotJudged, Subject

FIGURE_TOLERANCE = 1e-3
"""Relative: rates and bit rates are computed in floating point, and written down rounded."""


def silence(subject: Subject) -> str:
    """Silence gives something finite that is not as loud as speech."""
    subject.need_waveforms()
    out = _finite(subject, np.zeros(subject.adapter.sample_rate, dtype=np.float32), "silence")
    level = audio.rms(out)
    if level > subject.settings.loudest_silence:
        raise Failed(f"answered with RMS {level:.2f} of full scale")
    return f"answered with {_decibel(level)}"


def full_scale(subject: Subject) -> str:
    """Square waves and clipped speech at full scale give something finite."""
    subject.need_waveforms()
    rate = subject.adapter.sample_rate
    square = np.where(np.arange(rate) // max(1, rate // 440) % 2, 1.0, -1.0).astype(np.float32)
    clipped = np.clip(100 * subject.waves[0], -1, 1)
    peaks = [float(np.abs(_finite(subject, wave, "full scale")).max()) for wave in (square, clipped)]
    return f"peak {peaks[0]:.2f} for a square wave, {peaks[1]:.2f} for clipped speech"


def _finite(subject: Subject, wave: Wave, words: str) -> Wave:
    length = subject.rule.padded(len(wave))
    out: Wave = subject.adapter.resynthesize(torch.from_numpy(audio.fit(wave, length))[None], [1])[0].cpu().numpy()
    if wrong := int((~np.isfinite(out)).sum()):
        raise Failed(f"{words}: {wrong} of {len(out)} samples are NaN or infinite")
    return out


def spec(subject: Subject) -> str:
    """Rate, hop, codebooks and bit rate: of the spec, of the network that is loaded, and of real codes."""
    adapter = subject.adapter
    claims = adapter.spec
    compared: list[tuple[str, float, float]]
    compared = [("sample rate", claims.sample_rate, adapter.sample_rate), ("hop", claims.hop, adapter.hop)]
    compared.append(("frames/s", claims.frame_rate, adapter.frame_rate))
    if subject.own_weights:
        compared += [("codebooks", claims.codebooks, adapter.codebooks), ("bit/s", claims.bitrate, adapter.bitrate)]
    _agree("the spec says", "the adapter", compared)
    codes = measure.measure_codes(adapter, subject.waves)
    if codes is None:
        return f"{adapter.sample_rate} Hz, hop {adapter.hop}; gives no codes to hold that against"
    measured = [("hop", adapter.hop, codes.hop), ("codebooks", adapter.codebooks, codes.codebooks)]
    _agree("the adapter says", "its codes", measured)
    official = "" if subject.own_weights else "; codebooks and bit rate are these weights', not the spec's"
    return f"{adapter.sample_rate} Hz, {codes}{official}"


def _agree(one: str, other: str, figures: Iterable[tuple[str, float, float]]) -> None:
    for name, claimed, found in figures:
        if abs(claimed - found) > FIGURE_TOLERANCE * abs(claimed):
            raise Failed(f"{name}: {one} {claimed:g}, {other} {found:g}")


def codes(subject: Subject) -> str:
    """Codes are int64 [batch, codebooks, frames], those of each item alone, and decode to the input's length."""
    adapter, frame = subject.adapter, max(subject.adapter.hop, subject.adapter.length_multiple)
    length = subject.rule.padded(len(subject.waves[0]))
    batch = torch.from_numpy(np.stack([audio.fit(wave, length) for wave in subject.waves[:2]]))
    try:
        found = adapter.encode(batch)
    except InputError:
        raise NotJudged("gives no codes") from None
    for scale in found:
        if scale.dtype != torch.int64 or scale.ndim != 3 or scale.shape[0] != 2 or 0 in scale.shape:
            raise Failed(f"{scale.dtype} {list(scale.shape)} for a batch of two, expected int64 [2, codebooks, frames]")
    if subject.exact_dtype and adapter.device.type == "cpu":
        for item in range(2):
            alone = adapter.encode(batch[item : item + 1])
            if not all(torch.equal(one[0], scale[item]) for one, scale in zip(alone, found, strict=True)):
                raise Failed(f"item {item + 1} of a batch of two has other codes than alone")
    decoded = adapter.decode(found, [1, 2])
    most = 2 * frame + adapter.spec.delay_samples
    if decoded.ndim != 2 or decoded.shape[0] != 2 or abs(decoded.shape[1] - batch.shape[1]) > most:
        raise Failed(f"codes of {batch.shape[1]} samples decode to {list(decoded.shape)}, more than {most} apart")
    shapes = ", ".join(f"{scale.shape[1]} x {scale.shape[2]}" for scale in found)
    return f"{shapes} codes of {batch.shape[1]} samples decode to {decoded.shape[1]}"


def delay(subject: Subject) -> str:
    """Where the codec keeps the waveform, its output lags by what its spec says, to the sample."""
    found = measure.measure_delay(subject.adapter, subject.waves, subject.outputs)
    if found.within is None:
        raise NotJudged(str(found))
    claimed = subject.adapter.spec.delay_samples
    if abs(found.samples - claimed) > found.within:
        raise Failed(f"the spec says {claimed}, measured {found}")
    return str(found)


def tail_local(subject: Subject) -> str:
    """A codec that claims to be local at the tail is: appended silence changes nothing before the last part."""
    subject.need_repeatable()
    reach = measure.measure_tail_reach(subject.adapter, subject.waves, subject.adapter.spec.delay_samples, subject.same)
    claimed, local = subject.adapter.spec.tail_local, measure.is_tail_local(reach)
    words = f"appended silence changes the last {reach:.2f} s" if reach else "appended silence changes nothing"
    words += f" of clips of up to {max(measure.TAIL_SECONDS):g} s"
    if claimed and not local:
        raise Failed(f"the spec says true, but {words}")
    note = "; the spec says false, which costs speed only" if local and not claimed else ""
    return f"{'local' if local else 'not local'}: {words}{note}"


def stoi(subject: Subject) -> str:
    """What comes out is still speech: median STOI against the source."""
    from pystoi import stoi as measured

    scores = _scores(subject, lambda source, out: float(measured(source, out, audio.RATE)))
    words = f"median {median(scores):.2f}, lowest {min(scores):.2f} of {len(scores)} clips"
    if median(scores) < subject.settings.least_stoi:
        raise Failed(f"{words}; below {subject.settings.least_stoi:g} it is no speech")
    return words


def pesq(subject: Subject) -> str:
    """Wide-band PESQ against the source, a figure only."""
    try:
        from pesq import NoUtterancesError
        from pesq import pesq as measured
    except ImportError:
        raise NotJudged("the package pesq is not installed (extra quality; it is compiled on installation)") from None
    try:
        scores = _scores(subject, lambda source, out: float(measured(audio.RATE, source, out, "wb")))
    except NoUtterancesError:
        raise NotJudged("PESQ finds no speech in the output") from None
    return f"median {median(scores):.2f}, lowest {min(scores):.2f} of {len(scores)} clips"


def _scores(subject: Subject, score: Callable[[Wave, Wave], float]) -> list[float]:
    scores = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for wave, out in zip(subject.waves, subject.outputs, strict=True):
            source = audio.resample(wave, subject.adapter.sample_rate, audio.RATE)
            try:
                restored = subject.restored(wave, out)
            except Failed:
                raise NotJudged("the output does not cover the clip, see any length") from None
            scores.append(score(source, restored))
    return scores


def gain(subject: Subject) -> str:
    """Level of the output against the input's, a figure only."""
    return f"{measure.measure_gain(subject.waves, subject.outputs):+.1f} dB"


def speed(subject: Subject) -> str:
    """Real-time factor of one clip at a time, a figure only."""
    wave = subject.speech(max(subject.settings.clip_seconds, 1.0))
    subject.run([wave])  # the first run of a shape pays for allocation and kernel choice
    start = time.perf_counter()
    subject.run([wave])
    elapsed = time.perf_counter() - start
    factor = max(elapsed, 1e-9) * subject.adapter.sample_rate / len(wave)
    return f"{factor:.3f} ({1 / factor:.1f} times as fast as real time) on {subject.adapter.device}"


def memory(subject: Subject) -> str:
    """Peak memory of the longest clip, a figure only."""
    seconds = max(subject.settings.seconds)
    wave = subject.speech(seconds)
    with peak_memory(subject.adapter.device) as peak:
        subject.run([wave])
    more = (peak.highest - peak.before) / 2**20
    return f"{peak.highest / 2**20:.0f} MiB at its highest, {more:.0f} more for a clip of {seconds:g} s"


def leak(subject: Subject) -> str:
    """Repeated calls on equal input leave nothing behind."""
    repeats = subject.settings.repeats
    if not repeats:
        raise NotJudged("not asked for")
    wave = subject.speech(1.0)
    for _ in range(max(2, repeats // 2)):
        subject.run([wave])
    growth = growth_per_call(lambda: subject.run([wave]), repeats)
    if growth.leaks:
        raise Failed(f"{growth}, over {BLOCKS * repeats} calls on equal input")
    return f"nothing stays after any of {BLOCKS * repeats} calls"


def _decibel(level: float) -> str:
    return f"{20 * np.log10(level):.0f} dB of full scale" if level > audio.SILENCE_RMS else "silence"
