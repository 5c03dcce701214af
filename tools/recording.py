"""What a recording has and a synthesizer's output lacks: a room, its noise, and a level that nobody set.

Without them every clip has the same peak and ends in digital silence, which each codec fills with a noise of its own:
then a dataset's classes can be told by the ends and levels of clips alone. Waveforms are float32 ``[samples]`` at
24 kHz with full scale at 1.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve, hilbert

RATE = 24000
"""Hz."""
NOISE_DB = (-46.0, -38.0)
"""Level of a room's noise, relative to the speech's."""
TILT_DB = (-6.0, -3.0)
"""By how much the noise falls per octave above ``CORNER``."""
CORNER = 60.0
"""Hz; the noise is level below, down to ``RUMBLE``."""
RUMBLE = 20.0
"""Hz; below it there is nothing, as behind a microphone's high-pass filter."""
DECAY_SECONDS = (0.12, 0.35)
"""Time in which a room's reverberation falls by 60 dB."""
DIRECT_DB = (12.0, 20.0)
"""Level of the direct sound over the reverberation's."""
GAP_SECONDS = 0.004
"""From the direct sound to the first reflection."""
PEAK_DB = (-13.0, -8.0)
"""A session's usual peak, relative to full scale."""
CLIP_DB = 6.5
"""How far a clip's peak may be from its session's usual one, either way; no clip reaches full scale."""
PAUSE_SECONDS = (0.03, 0.15)
"""Length of the room's noise before the speech and after."""
EDGE_DB = -40.0
"""Synthesized speech begins and ends where it is this far below its peak."""


class Session:
    """A speaker's recording session: one room, one microphone, one setting of the gain, all drawn from a seed."""

    def __init__(self, *seed: int) -> None:
        self.seed = seed
        random = np.random.default_rng(seed)
        self.noise_db, self.tilt_db, self.decay_seconds, self.direct_db, self.peak_db = (
            random.uniform(*span) for span in (NOISE_DB, TILT_DB, DECAY_SECONDS, DIRECT_DB, PEAK_DB)
        )
        self.response = room_response(self.decay_seconds, self.direct_db, random)
        self.phase = random.uniform(0, 2 * np.pi)

    def record(self, speech: np.ndarray, number: int) -> np.ndarray:
        """Synthesized speech as a microphone in this room has it.

        Args:
            speech: the synthesizer's output; its silent ends are cut.
            number: of the clip in the session, from 1; noise, pauses and level are drawn from it.

        Returns:
            The clip, with a short pause before and after in which the room is heard.
        """
        random = np.random.default_rng((*self.seed, number))
        loud = np.flatnonzero(np.abs(speech) > 10 ** (EDGE_DB / 20) * np.abs(speech).max())
        speech = turned(speech[loud[0] : loud[-1] + 1].astype(np.float64), self.phase)
        before, after = (round(random.uniform(*PAUSE_SECONDS) * RATE) for _ in range(2))
        in_room = fftconvolve(np.pad(speech, (before, after)), self.response)[: before + len(speech) + after]
        level = np.sqrt(np.mean(np.square(speech))) * 10 ** (self.noise_db / 20)
        clip = in_room + level * room_noise(len(in_room), self.tilt_db, random)
        peak_db = self.peak_db + random.uniform(-CLIP_DB, CLIP_DB)
        return np.asarray(clip * (10 ** (peak_db / 20) / np.abs(clip).max()), dtype=np.float32)


def turned(speech: np.ndarray, phase: float) -> np.ndarray:
    """Speech with all frequencies turned by one phase, as microphones, filters and distances do to recorded speech.

    A synthesizer's pulses all point one way, which networks do not keep, so that the highest and lowest sample alone
    would tell real clips from others.
    """
    analytic = hilbert(speech)
    return np.asarray(analytic.real * np.cos(phase) - analytic.imag * np.sin(phase))


def room_response(decay_seconds: float, direct_db: float, random: np.random.Generator) -> np.ndarray:
    """A room's impulse response: the direct sound, then noise that decays exponentially."""
    response = random.standard_normal(round(decay_seconds * RATE))
    response *= 10.0 ** (-3.0 * np.arange(len(response)) / len(response))
    response[: round(GAP_SECONDS * RATE)] = 0
    response *= 10 ** (-direct_db / 20) / np.sqrt(np.square(response).sum())
    response[0] = 1.0
    return response


def room_noise(samples: int, tilt_db: float, random: np.random.Generator) -> np.ndarray:
    """Noise with a room's spectrum, which falls towards high frequencies, at RMS 1."""
    frequencies = np.fft.rfftfreq(samples, 1 / RATE)
    amplitudes = (np.maximum(frequencies, CORNER) / CORNER) ** (tilt_db / (20 * np.log10(2)))
    spectrum = np.fft.rfft(random.standard_normal(samples)) * amplitudes * (frequencies >= RUMBLE)
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / np.sqrt(np.mean(np.square(noise))))
