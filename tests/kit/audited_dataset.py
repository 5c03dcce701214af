"""A clean dataset in memory for the audit, and ways to spoil it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy.signal import butter, istft, sosfiltfilt, stft

from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.finished_clip import Reference, content_seed, finish
from tests.kit.audited import Audited, speech

RATE = 16000
POLICY = AudioPolicy(trim_db=25)
Codec = Callable[[Any], Any]


def coarse(decibels: float) -> Codec:
    """A codec that knows magnitudes in steps only: a sound of its own, and no low-pass, delay or edge of its own."""

    def run(wave: Any) -> Any:
        _, _, spectrum = stft(wave, RATE, nperseg=512)
        steps = np.rint(20 * np.log10(np.abs(spectrum) + 1e-6) / decibels) * decibels
        return istft(10 ** (steps / 20) * np.exp(1j * np.angle(spectrum)), RATE, nperseg=512)[1]

    return _as_long(run)


def echoing(milliseconds: float) -> Codec:
    """A codec that adds a faint copy of the sound."""

    def run(wave: Any) -> Any:
        late = round(milliseconds * RATE / 1000)
        return wave + 0.35 * np.concatenate([np.zeros(late), wave[:-late]])

    return _as_long(run)


def _as_long(run: Codec) -> Codec:
    def cut(wave: Any) -> Any:
        made = run(wave)[: len(wave)]
        return np.pad(made, (0, len(wave) - len(made))).astype(np.float32)

    return cut


CODECS: dict[str, Codec] = {"coarse_4": coarse(4), "coarse_8": coarse(8), "echo_2": echoing(2), "echo_5": echoing(5)}


def clip(utterance: str, source: Any, variant: str, policy: AudioPolicy = POLICY) -> Any:
    """A clip as a build would make it, float32 at 16 kHz."""
    reference = Reference.of(source, content_seed(source), policy)
    made = source if variant == "real" else CODECS[variant](source)
    return finish(made, reference, policy).pcm.astype(np.float32) / 32768


def varied(source: Any, seed: int) -> Any:
    """Speech at a level of its own, with a room's noise: what a recording has."""
    generator = np.random.default_rng(seed)
    colour = np.convolve(generator.standard_normal(len(source) + 63), np.exp(-np.arange(64) / 12), "valid")
    noisy = source / np.abs(source).max() + colour * 10 ** (-generator.uniform(46, 52) / 20) / colour.std()
    return (noisy * 10 ** (-generator.uniform(3, 18) / 20) * 0.8).astype(np.float32)


@cache
def clean(seed: int = 0, train: int = 24, evaluation: int = 20) -> tuple[Audited, ...]:
    """Clips of train and eval_id: recorded, and through four codecs; no speaker or text in both.

    Args:
        seed: which utterances, and their levels and noises.
        train: utterances.
        evaluation: utterances of eval_id.
    """
    generator = np.random.default_rng(seed)
    names = list(speech())
    speakers = sorted({name.rpartition("_")[0] for name in names})
    generator.shuffle(speakers)
    learned = set(speakers[: len(speakers) // 2 + 1])
    halves = {
        "train": [name for name in names if name.rpartition("_")[0] in learned][:train],
        "eval_id": [name for name in names if name.rpartition("_")[0] not in learned][:evaluation],
    }
    return tuple(
        Audited(clip(name, source, variant), name, split, variant, name.rpartition("_")[0], f"text of {name}")
        for split, own in halves.items()
        for name in own
        for source in [varied(speech()[name], seed=1000 * seed + names.index(name))]
        for variant in ("real", *CODECS)
    )


def spoiled(
    clips: tuple[Audited, ...], change: Callable[[Any], Any], variant: str | None = None, split: str | None = None
) -> list[Audited]:
    """The clips with those of a class changed (``None``: of all but real), in one split or all."""
    return [
        dataclasses.replace(clip, wave=change(clip.wave))
        if (clip.variant == variant if variant else clip.variant != "real") and split in (None, clip.split)
        else clip
        for clip in clips
    ]


def lowpassed(cutoff: float) -> Codec:
    """What a steep low-pass makes of a wave."""
    filter_ = butter(12, cutoff, fs=RATE, output="sos")
    return lambda wave: sosfiltfilt(filter_, wave).astype(np.float32)
