"""Clips in memory, for tests of the audit."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from codecfake_builder.audio import decode, find_audio, resample
from codecfake_builder.audit.clips import COLUMNS, Clips, Loaded

SPEECH = Path(__file__).parents[2] / "recipes" / "mini"


def encoded(wave: Any, kind: str = "FLAC", subtype: str | None = "PCM_16", rate: int = 16000) -> bytes:
    """A waveform as an audio file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


@dataclass
class Audited:
    """A clip: what its row says, and its samples at 16 kHz."""

    wave: Any
    utterance: str
    split: str = "train"
    variant: str = "real"
    speaker: str | None = None
    text: str | None = None
    origin: str | None = None
    gain: float = 1.0

    def row(self) -> dict[str, Any]:
        """Its row of the table."""
        corpus = self.utterance.rpartition("/")[0] or "corpus"
        fake = self.variant != "real"
        return {
            "id": f"{self.split}-{self.variant}-{self.utterance.replace('/', '-')}",
            "split": self.split,
            "variant": self.variant,
            "codec": self.variant.partition("_")[0],
            "origin": self.origin or ("resynthesized" if fake else "recorded"),
            "is_fake": fake,
            "corpus": corpus,
            "utterance": self.utterance,
            "speaker": self.speaker,
            "text": self.text,
            "gain": self.gain,
            "native_sample_rate": np.nan,
        }


class ClipsInMemory(Clips):
    """Clips that are given as waveforms, or as the bytes of audio files."""

    def __init__(self, clips: Sequence[Audited]) -> None:
        self.table = pd.DataFrame([clip.row() for clip in clips], columns=list(COLUMNS))
        self._waves = [clip.wave for clip in clips]

    def handle(self, row: int) -> Loaded:
        """The clip's audio file: FLAC, 16 bit."""
        wave = self._waves[row]
        if not isinstance(wave, bytes):
            wave = self._waves[row] = encoded(wave)
        return Loaded(wave)


@cache
def speech(*folders: Path) -> dict[str, Any]:
    """Speech at 16 kHz, by the name of its file: that below some folders; by default that of the embedded edition."""
    found = {}
    for path in (path for folder in folders or (SPEECH / "recorded",) for path in find_audio(folder)):
        wave, rate = decode(path.read_bytes())
        found[path.stem] = resample(wave, rate, 16000)
    return found


def through(kind: str, subtype: str) -> Callable[[Any], Any]:
    """What encodes a waveform in some format and decodes it again."""

    def both(wave: Any) -> Any:
        return soundfile.read(io.BytesIO(encoded(wave, kind, subtype)), dtype="float32")[0]

    return both


def later(milliseconds: float) -> Callable[[Any], Any]:
    """What puts quiet noise before a waveform."""
    noise = 1e-4 * np.random.default_rng(1).standard_normal(round(16 * milliseconds))
    return lambda wave: np.concatenate([noise.astype(np.float32), wave])


def louder(decibels: float) -> Callable[[Any], Any]:
    """What changes a waveform's level; it is clipped at full scale, as in a file."""
    return lambda wave: np.clip(wave * np.float32(10 ** (decibels / 20)), -1, 1)


def noisy(decibels: float) -> Callable[[Any], Any]:
    """What adds white noise at a level relative to the waveform's."""

    def add(wave: Any) -> Any:
        noise = np.random.default_rng(2).standard_normal(len(wave)).astype(np.float32)
        return wave + noise * np.sqrt(np.mean(wave**2)) * np.float32(10 ** (decibels / 20))

    return add


def chained(*steps: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What does several things to a waveform, one after the other."""

    def run(wave: Any) -> Any:
        for step in steps:
            wave = step(wave)
        return wave

    return run


COPIES: dict[str, Callable[[Any], Any]] = {
    "ogg": through("OGG", "VORBIS"),
    "mp3": through("MP3", "MPEG_LAYER_III"),
    "mulaw": through("WAV", "ULAW"),
    **{f"{milliseconds} ms": later(milliseconds) for milliseconds in (1, 3.9, 7, 133, 400, 500)},
    "+1 dB": louder(1),
    "+6 dB": louder(6),
    "-6 dB": louder(-6),
    "noise -20 dB": noisy(-20),
    "start cut": lambda wave: wave[len(wave) // 5 :],
    "end cut": lambda wave: wave[: -len(wave) // 5],
    "all": chained(through("MP3", "MPEG_LAYER_III"), louder(1), later(133.3), noisy(-25)),
}
"""What makes near-duplicates: copies of speech that differ in every sample."""
