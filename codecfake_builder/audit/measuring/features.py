"""Measure the trivial features of a clip: what a detector could learn instead of the sound of a codec.

A *gate* feature is one that no codec has to change: length, edges, level, silence at the ends, quantization, the file.
They must tell nothing of the class. A *signal* feature may tell a class by right (a codec's bandwidth, noise floor,
level of pauses): how much it tells alone is reported.

Edges are measured where sound begins and ends, relative to the clip's level and around its mean; quantization relative
to the mean and on loud samples: so a silent tail shows in ``silence`` only, an offset in ``level`` only.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import soundfile
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft, rfftfreq
from scipy.signal.windows import hann

from codecfake_builder.audio import RATE, Wave, rms
from codecfake_builder.audit.measuring.audio_file import pcm_of

Floats = np.ndarray[Any, np.dtype[np.float64]]

PART = RATE // 100
"""Samples of the parts whose level is looked at: 10 ms."""
NEAR_SILENCE_DB = 50.0
"""A part at an end is near-silent where it is so much below the loudest one."""
SILENCE_STEP = 2.5
"""Near-silence at an end counts in steps of so many parts (25 ms): a codec's attack or a fade is no pause."""
DC_STEP = 2.5e-4
"""Offsets count in steps of this size (8 steps of 16 bits): outputs of official codecs have up to 4e-4."""
LOUD = 64
"""Samples beyond so many 16-bit steps show whether low bits are in use."""
_EDGE_FLOOR = 0.01
"""Edges are looked at down to 40 dB under the clip's level: below, low bits and dither are what one would see."""
_DENSE = 0.1
"""Within so many standard deviations of the mean, each 16-bit value occurs dozens of times in a second of speech."""
_MOST_EXCESS = 10.0
_FLOOR = 1e-10
_WINDOW = 512
"""Samples of a frame of the spectrum."""
_BANDS = 40
"""Of the spectrum whose tilt is measured."""


class Group(StrEnum):
    """Groups of gate features, in the order in which one explains the next."""

    LENGTH = "length"
    SILENCE = "silence"
    LEVEL = "level"
    QUANTIZATION = "quantization"
    EDGES = "edges"
    FILE = "file"
    SIGNAL = "signal"
    """No gate: what a codec may change."""


@dataclass(frozen=True)
class Feature:
    """A number that is measured of every clip."""

    name: str
    group: Group
    meaning: str


FEATURES = (
    Feature("seconds", Group.LENGTH, "length, s"),
    *(Feature(f"length_mod_{hop}", Group.LENGTH, f"samples modulo {hop}") for hop in (256, 300, 320, 512, 640, 1000)),
    Feature("leading_silence", Group.SILENCE, "near-silence before the first sound, in steps of 25 ms"),
    Feature("trailing_silence", Group.SILENCE, "near-silence after the last sound, in steps of 25 ms"),
    Feature("leading_zeros", Group.SILENCE, "samples of one value at the start, in steps of 10 ms"),
    Feature("trailing_zeros", Group.SILENCE, "samples of one value at the end, in steps of 10 ms"),
    Feature("inner_zeros", Group.SILENCE, "share of 10 ms parts in between that hold one value"),
    Feature("first_sample", Group.EDGES, "first sample of the sound, in hundredths of its level"),
    Feature("last_sample", Group.EDGES, "last sample of the sound, in hundredths of its level"),
    Feature("first_2ms", Group.EDGES, "peak of the first 2 ms of the sound, dB over its level"),
    Feature("last_2ms", Group.EDGES, "peak of the last 2 ms, dB"),
    Feature("first_20ms", Group.EDGES, "energy of the first 20 ms, dB"),
    Feature("last_20ms", Group.EDGES, "energy of the last 20 ms, dB"),
    Feature("first_100ms", Group.EDGES, "energy of the first 100 ms, dB"),
    Feature("last_100ms", Group.EDGES, "energy of the last 100 ms, dB"),
    Feature("rms", Group.LEVEL, "level around the mean, dB of full scale"),
    Feature("peak", Group.LEVEL, "largest sample, dB of full scale"),
    Feature("dc", Group.LEVEL, "mean, in steps of 2.5e-4 of full scale"),
    Feature("clipped", Group.LEVEL, "share of samples at the largest one, of more than two"),
    Feature("gain", Group.LEVEL, "column gain of a dataset, dB"),
    Feature("even_share", Group.QUANTIZATION, "share of loud samples that are even at 16 bits"),
    Feature("fourth_share", Group.QUANTIZATION, "share of loud samples that are multiples of 4"),
    Feature("sixteenth_share", Group.QUANTIZATION, "share of loud samples that are multiples of 16"),
    Feature(
        "commonest_excess",
        Group.QUANTIZATION,
        "how much more frequent the commonest value is than those around it, halved",
    ),
    Feature("distinct_share", Group.QUANTIZATION, "values that occur, of those near the mean, where all should"),
    Feature("file_overhead", Group.FILE, "bytes of the file over those of its samples encoded again"),
    Feature("header_bytes", Group.FILE, "bytes before the first frame"),
    Feature("header_kind", Group.FILE, "checksum of these bytes without sizes and hashes of samples"),
    Feature("bytes_per_second", Group.SIGNAL, "size of the samples, encoded"),
    Feature("rolloff", Group.SIGNAL, "frequency below which 95 % of the energy lie, Hz"),
    Feature("tilt", Group.SIGNAL, "slope of the long-term spectrum, dB per octave"),
    Feature("noise_floor", Group.SIGNAL, "level of the quietest 5 % of parts, dB under the clip's"),
    Feature("pauses", Group.SIGNAL, "share of parts more than 35 dB under the loudest"),
    Feature("crest", Group.SIGNAL, "peak over level, dB"),
    Feature("asymmetry", Group.SIGNAL, "highest plus lowest sample, times the peak"),
)
"""All features, in the order of :func:`measure`'s result."""
NAMES = tuple(feature.name for feature in FEATURES)


def columns_of(group: Group) -> list[int]:
    """Return the places of a group's features in :func:`measure`'s result."""
    return [column for column, feature in enumerate(FEATURES) if feature.group is group]


def measure(wave: Wave, data: bytes, samples: int, rate: int, gain: float = 1.0) -> Floats:
    """Return the trivial features of a clip, ``[features]`` in the order of :data:`FEATURES`.

    Args:
        wave: its samples at 16 kHz, float32.
        data: the audio file.
        samples: its length in the file.
        rate: of the file, Hz.
        gain: column of the dataset, 1 where there is none.
    """
    values = pcm_of(wave).astype(np.int64)
    mean = float(wave.mean(dtype=np.float64))
    centred = wave.astype(np.float64) - mean
    level = max(rms(centred.astype(np.float32)), _FLOOR)
    peak = float(np.abs(wave).max())
    levels = _decibels(_parts(centred) ** 2)
    heard = np.flatnonzero(levels > levels.max() - NEAR_SILENCE_DB)
    before, after = int(heard[0]), len(levels) - 1 - int(heard[-1])
    head, tail = before * PART, (len(levels) - after) * PART if after else len(wave)
    bands, frequencies, power = _spectrum(centred)
    overhead, header, kind, encoded = _file(data, values)
    found = {
        "seconds": samples / rate,
        **{f"length_mod_{hop}": samples % hop for hop in (256, 300, 320, 512, 640, 1000)},
        **_silence(before, after, values),
        **_edges(centred[head:tail] / level),
        "rms": 20 * np.log10(level),
        "peak": 20 * np.log10(peak + _FLOOR),
        "dc": np.rint(mean / DC_STEP),
        "clipped": _clipped(values),
        "gain": 20 * np.log10(max(gain, _FLOOR)),
        **_quantization(values, head, tail, level),
        "file_overhead": overhead,
        "header_bytes": header,
        "header_kind": kind,
        "bytes_per_second": encoded * RATE / len(wave),
        "rolloff": float(frequencies[np.searchsorted(np.cumsum(power), 0.95 * power.sum())]),
        "tilt": float(np.polyfit(np.linspace(0, 1, _BANDS), bands, 1)[0]) / 7,
        "noise_floor": float(np.percentile(levels, 5)) - 20 * np.log10(level),
        "pauses": float((levels < levels.max() - 35).mean()),
        "crest": 20 * np.log10((np.abs(centred).max() + _FLOOR) / level),
        "asymmetry": float(centred.max() + centred.min()) / (np.abs(centred).max() + _FLOOR),
    }
    return np.array([found[name] for name in NAMES])


def _parts(wave: Floats) -> Floats:
    """Return the waveform in parts of 10 ms ``[parts, samples]``; an incomplete last one is left out."""
    if len(wave) < PART:
        return wave[None]
    return wave[: len(wave) // PART * PART].reshape(-1, PART)


def _decibels(power: Floats) -> Floats:
    return np.asarray(10 * np.log10(power.mean(axis=-1) + _FLOOR))


def _silence(before: int, after: int, values: Any) -> dict[str, float]:
    """Return the features of silence of 16-bit samples, so many first and last parts of which are near-silent."""
    constant = np.ptp(_parts(values), axis=1) == 0
    inner = constant[before : len(constant) - after]
    changes = np.flatnonzero(values[1:] != values[:-1])
    first, last = (changes[0], len(values) - 2 - changes[-1]) if len(changes) else (len(values), len(values))
    return {
        "leading_silence": before // SILENCE_STEP,
        "trailing_silence": after // SILENCE_STEP,
        "leading_zeros": first // PART,
        "trailing_zeros": last // PART,
        "inner_zeros": float(inner.mean()) if len(inner) else 0.0,
    }


def _edges(sound: Floats) -> dict[str, float]:
    def energy(part: Floats) -> float:
        return float(10 * np.log10(np.mean(part**2) + _EDGE_FLOOR**2))

    def peak(part: Floats) -> float:
        return float(20 * np.log10(np.abs(part).max() + _EDGE_FLOOR))

    return {
        "first_sample": round(float(sound[0]) / _EDGE_FLOOR),
        "last_sample": round(float(sound[-1]) / _EDGE_FLOOR),
        "first_2ms": peak(sound[: RATE // 500]),
        "last_2ms": peak(sound[-RATE // 500 :]),
        "first_20ms": energy(sound[: RATE // 50]),
        "last_20ms": energy(sound[-RATE // 50 :]),
        "first_100ms": energy(sound[: RATE // 10]),
        "last_100ms": energy(sound[-RATE // 10 :]),
    }


def _clipped(values: Any) -> float:
    largest = np.abs(values).max()
    at_peak = int((np.abs(values) >= largest).sum())
    return at_peak / len(values) if at_peak > 2 else 0.0


def _quantization(values: Any, head: int, tail: int, level: float) -> dict[str, float]:
    sound = values[head:tail]
    loud = sound[np.abs(sound) >= LOUD]
    shares = {2: 0.5, 4: 0.25, 16: 0.0625} if not len(loud) else {n: float((loud % n == 0).mean()) for n in (2, 4, 16)}
    counts = np.bincount(sound + 32768, minlength=65536)
    commonest = int(counts.argmax())
    around = np.delete(counts[max(0, commonest - 4) : commonest + 5], min(4, commonest))
    middle, reach = 32768 + round(float(sound.mean())), max(2, int(_DENSE * level * 32768))
    near = counts[max(0, middle - reach) : middle + reach + 1]
    return {
        "even_share": shares[2],
        "fourth_share": shares[4],
        "sixteenth_share": shares[16],
        "commonest_excess": round(min(_MOST_EXCESS, counts[commonest] / max(1.0, around.mean())) / 2),
        "distinct_share": round(float((near > 0).mean()), 2),
    }


def _spectrum(wave: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the levels of the bands in dB under the clip's level, and the long-term power spectrum with its
    frequencies in Hz."""
    half = _WINDOW // 2
    padded = np.pad(wave, (half, half + max(-len(wave) % half, _WINDOW - len(wave))))
    frames = sliding_window_view(padded, _WINDOW)[::half]
    power = np.asarray((np.abs(rfft(frames * hann(_WINDOW, sym=False), axis=1)) ** 2).mean(axis=0))
    frequencies, which = _bands()
    bands = (np.bincount(which, power) / np.bincount(which))[1 : _BANDS + 1]
    return 10 * np.log10(bands / (power.mean() + 1e-20) + _FLOOR), frequencies, power


@cache
def _bands() -> tuple[Floats, Any]:
    """Return the frequencies of the lines of a spectrum, Hz, and the band of each, counted from 1; 0: below all."""
    frequencies = rfftfreq(_WINDOW, 1 / RATE)
    return frequencies, np.digitize(frequencies, _band_edges())


def _band_edges() -> Floats:
    """Return the edges of the bands, Hz; each holds at least one line of the spectrum (31.25 Hz apart)."""
    edges = [62.5]
    for _ in range(_BANDS):
        edges.append(max(edges[-1] + RATE / 512, edges[-1] * (8000 / 62.5) ** (1 / _BANDS)))
    scaled = np.asarray(edges)
    top = (scaled - scaled[0]) / (scaled[-1] - scaled[0])
    return np.asarray(np.maximum(62.5 + top * (8000 - 62.5), 62.5 + np.arange(_BANDS + 1) * RATE / 512))


def _file(data: bytes, values: Any) -> tuple[float, int, int, int]:
    """Return what a file has beside its samples: its size over that of the same samples encoded again (three digits),
    the bytes and the checksum of its header, and the size of the samples, encoded."""
    buffer = io.BytesIO()
    soundfile.write(buffer, values.astype(np.int16), RATE, format="FLAC", subtype="PCM_16")
    encoded = buffer.getbuffer().nbytes
    if data[:4] == b"fLaC":
        header, kind = _flac_header(data)
        own = _flac_header(buffer.getvalue())[0]
        return round((len(data) - header) / max(1, encoded - own), 3), header, kind, encoded
    if data[:4] == b"RIFF":
        at = data.find(b"data")
        return 1.0, at, zlib.crc32(data[8:at]), encoded
    return 0.0, 0, zlib.crc32(data[:4]), encoded


def _flac_header(data: bytes) -> tuple[int, int]:
    """Return the length of a FLAC file's metadata, and a checksum of what in it says nothing of the samples."""
    place, kind = 4, 0
    while place + 4 <= len(data):
        block, size = data[place] & 127, int.from_bytes(data[place + 1 : place + 4], "big")
        body = data[place + 4 : place + 4 + size]
        # of the stream's description only the sizes of blocks: the rest is length and hash of the samples
        kind = zlib.crc32(bytes([block]) + (body[:4] if block == 0 else b"" if block == 3 else body), kind)
        last = data[place] & 128
        place += 4 + size
        if last:
            break
    return min(place, len(data)), kind % 65521
