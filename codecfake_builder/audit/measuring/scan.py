"""Go once through all clips and measure each: features, fingerprint, and how it differs from its source.

The clips are spread over processes in small batches; what is kept of a clip are some hundred numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codecfake_builder.audio import Wave
from codecfake_builder.audit.clips import Clips, Handle
from codecfake_builder.audit.labels.timbre import TIMBRE, timbre
from codecfake_builder.audit.measuring.audio_file import Container, decoded, pcm_of
from codecfake_builder.audit.measuring.comparison import COMPARISONS, INCOMPARABLE, Comparison, compare
from codecfake_builder.audit.measuring.features import FEATURES, measure
from codecfake_builder.audit.measuring.fingerprints import Fingerprint, fingerprint
from codecfake_builder.audit.measuring.processes import spread
from codecfake_builder.errors import DatasetError
from codecfake_builder.progress import progress
from codecfake_builder.rejections import RejectedError
from codecfake_builder.signals.speech_parts import NO_PARTS, Parts, speech_mask, split_speech

BATCH = 50
"""Clips that a process takes at a time."""
LEAST_FOR_PROCESSES = 300
"""Fewer clips than this are measured in this process: starting others takes seconds."""


@dataclass(frozen=True)
class Look:
    """What was measured of one clip."""

    container: Container
    features: Any
    timbre: Any
    pcm_sha256: bytes
    fingerprint: Fingerprint
    comparison: Comparison
    parts: Parts


@dataclass
class Scan:
    """What was measured of all clips; rows of unreadable ones are zero, or NaN. About 1.5 kB are kept of each."""

    containers: list[Container | None]
    features: Any
    """float64 ``[clips, features]``."""
    timbres: Any
    """float32 ``[clips, 120]``, see :func:`~codecfake_builder.audit.labels.timbre.timbre`."""
    pcm_sha256: list[bytes]
    fingerprints: list[Fingerprint | None]
    comparisons: Any
    """``[clips]`` of :data:`.comparison.COMPARISONS`; NaN where a clip has no source."""
    parts: Parts
    """Of what the pauses and the speech sound like, float64 ``[clips, features]`` each; NaN where a clip has none."""
    unreadable: dict[int, str]
    """Why, by row."""

    @classmethod
    def empty(cls, clips: int) -> Scan:
        """Return a scan in which nothing has been measured yet."""
        return cls(
            [None] * clips,
            np.zeros((clips, len(FEATURES))),
            np.zeros((clips, TIMBRE), dtype=np.float32),
            [b""] * clips,
            [None] * clips,
            np.array([INCOMPARABLE], dtype=COMPARISONS).repeat(clips),
            Parts(*(np.tile(none, (clips, 1)) for none in NO_PARTS)),
            {},
        )

    def add(self, row: int, look: Look | str) -> None:
        """Put what was measured of a clip, or why it could not be read, in its row."""
        if isinstance(look, str):
            self.unreadable[row] = look
            return
        self.containers[row] = look.container
        self.features[row], self.timbres[row] = look.features, look.timbre
        self.pcm_sha256[row], self.fingerprints[row] = look.pcm_sha256, look.fingerprint
        self.comparisons[row] = look.comparison
        self.parts.pauses[row], self.parts.speech[row] = look.parts


def scan(clips: Clips, workers: int) -> Scan:
    """Measure all clips.

    Args:
        clips: what to measure.
        workers: processes.
    """
    gains = clips.table["gain"].to_numpy(dtype=np.float64)
    source = clips.source
    jobs = (
        [
            (clips.handle(row), float(gains[row]), clips.handle(int(source[row])) if source[row] >= 0 else None)
            for row in range(start, min(start + BATCH, len(clips)))
        ]
        for start in range(0, len(clips), BATCH)
    )
    found, row = Scan.empty(len(clips)), 0
    with progress("measuring", len(clips), "clips") as advance:
        for looks in spread(look_at, jobs, workers if len(clips) >= LEAST_FOR_PROCESSES else 1):
            for look in looks:
                found.add(row, look)
                row += 1
            advance(len(looks))
    return found


def look_at(batch: Sequence[tuple[Handle, float, Handle | None]]) -> list[Look | str]:
    """Measure some clips; of one that cannot be read, return why."""
    return [_look(*item) for item in batch]


def _look(handle: Handle, gain: float, source: Handle | None) -> Look | str:
    try:
        data = handle.read()
        wave, container = decoded(data)
    except (DatasetError, RejectedError) as error:
        return " ".join(str(error).split())
    reference = None if source is None else _source(source)
    features = measure(wave, data, container.samples, container.rate, gain)
    pcm_sha256 = hashlib.sha256(pcm_of(wave).astype("<i2").tobytes()).digest()
    comparison = INCOMPARABLE if reference is None else compare(reference, wave)
    # pauses are where the source has them: where they are says nothing of what made the clip
    parts = split_speech(wave, speech_mask(wave if reference is None else reference))
    return Look(container, features, timbre(wave), pcm_sha256, fingerprint(wave), comparison, parts)


def _source(handle: Handle) -> Wave | None:
    """Return the source of a clip; one that cannot be read is told of in its own row."""
    try:
        return decoded(handle.read())[0]
    except (DatasetError, RejectedError):
        return None
