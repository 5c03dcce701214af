"""How thoroughly the conformance suite checks a codec."""

from __future__ import annotations

from dataclasses import dataclass, field

from codecfake_builder.audio_policy import AudioPolicy


@dataclass(frozen=True)
class Settings:
    """Amount of speech, repetitions and limits of the conformance suite."""

    clips: int = 4
    """Clips of the bundled speech."""
    clip_seconds: float = 2.0
    """At most so much of each clip is used."""
    seconds: tuple[float, ...] = (0.1, 0.101, 0.3, 0.737, 1.999, 5.0, 11.3, 30.0)
    """Lengths that the codec must take."""
    threads: int = 3
    """Threads that use the codec at once."""
    calls: int = 260
    """Calls on one short clip, all of which must give the same; 0 skips that check."""
    calls_seconds: float = 10.0
    """Those calls end after so long, with a word on how many there were."""
    repeats: int = 8
    """Calls in each of the blocks after which memory is read; 0 skips the check for leaks."""
    least_stoi: float = 0.6
    """Median STOI (0 to 1) below which an output is no longer speech. White noise reaches 0.48, networks with random
    weights 0.57; the weakest codec of the embedded edition, trained for minutes, 0.68."""
    least_gain: float = -20.0
    """Level of the output over that of the speech, dB, below which too little is left in 16 bits."""
    most_gain: float = 15.0
    """The same above which speech of ordinary level exceeds full scale."""
    loudest_silence: float = 0.1
    """RMS (full scale is 1) above which the answer to silence is as loud as speech."""
    policy: AudioPolicy = field(default_factory=AudioPolicy)
    """Limits of the build that the codec is to serve."""


THOROUGH = Settings()
"""The default: all lengths up to 30 s, and repetitions enough to see a slow leak."""

QUICK = Settings(clips=2, clip_seconds=0.65, seconds=(0.1, 0.101, 1.0, 11.3), threads=2, repeats=2)
"""Seconds instead of tens: enough to see what a change of code has broken."""
