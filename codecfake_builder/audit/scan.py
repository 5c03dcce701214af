"""Go once through all clips and measure each: features, fingerprint, and how it differs from its source.

The clips are spread over processes in small batches; what is kept of a clip are some hundred numbers.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import soundfile

from codecfake_builder.audio import RATE, Wave, decode, resample
from codecfake_builder.audit.clips import Clips, Handle
from codecfake_builder.audit.comparison import COMPARISONS, INCOMPARABLE, Comparison, compare
from codecfake_builder.audit.features import measure
from codecfake_builder.audit.fingerprints import Fingerprint, fingerprint
from codecfake_builder.errors import DatasetError
from codecfake_builder.progress import progress
from codecfake_builder.rejections import RejectedError
from codecfake_builder.signals.speech_parts import NO_PARTS, Parts, speech_mask, split_speech

BATCH = 50
"""Clips that a process takes at a time."""
LEAST_FOR_PROCESSES = 300
"""Fewer clips than this are measured in this process: starting others takes seconds."""


@dataclass(frozen=True)
class Container:
    """What the audio file of a clip says of itself."""

    kind: str
    """Format and sample format: ``FLAC PCM_16``."""
    rate: int
    """Hz."""
    channels: int
    samples: int


@dataclass(frozen=True)
class Look:
    """What was measured of one clip."""

    container: Container
    features: Any
    spectrum: Any
    pcm_sha256: bytes
    fingerprint: Fingerprint
    comparison: Comparison
    parts: Parts


@dataclass(frozen=True)
class Scan:
    """What was measured of all clips; rows of unreadable ones are zero."""

    containers: list[Container | None]
    features: Any
    """float64 ``[clips, features]``."""
    spectra: Any
    """float32 ``[clips, bands]``."""
    pcm_sha256: list[bytes]
    fingerprints: list[Fingerprint | None]
    comparisons: Any
    """``[clips]`` of :data:`~codecfake_builder.audit.comparison.COMPARISONS`; NaN where a clip has no source."""
    parts: Parts
    """Of what the pauses and the speech sound like, float64 ``[clips, features]`` each; NaN where a clip has none."""
    unreadable: dict[int, str]
    """Why, by row."""


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
    found: list[Look | str] = []
    with progress("measuring", len(clips), "clips") as advance:
        for looks in _spread(jobs, workers if len(clips) >= LEAST_FOR_PROCESSES else 1):
            found += looks
            advance(len(looks))
    return _collected(found)


def _spread(jobs: Any, workers: int) -> Any:
    if workers == 1:
        yield from map(look_at, jobs)
    else:
        # few batches ahead: what they hold are places of files, and what they return is small
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator", pre_dispatch=4 * workers, batch_size=1)
        yield from parallel(joblib.delayed(look_at)(job) for job in jobs)


def look_at(batch: Sequence[tuple[Handle, float, Handle | None]]) -> list[Look | str]:
    """Measure some clips; of one that cannot be read, return why."""
    return [_look(*item) for item in batch]


def _look(handle: Handle, gain: float, source: Handle | None) -> Look | str:
    try:
        data = handle.read()
        wave, container = decoded(data)
        reference = wave if source is None else decoded(source.read())[0]
    except (DatasetError, RejectedError) as error:
        return " ".join(str(error).split())
    measured = measure(wave, data, container.samples, container.rate, gain)
    pcm = np.clip(np.rint(wave.astype(np.float64) * 32768), -32768, 32767).astype("<i2")
    spectrum, pcm_sha256 = measured.spectrum.astype(np.float32), hashlib.sha256(pcm.tobytes()).digest()
    comparison = INCOMPARABLE if source is None else compare(reference, wave)
    # pauses are where the source has them: where they are says nothing of what made the clip
    parts = split_speech(wave, speech_mask(reference))
    return Look(container, measured.features, spectrum, pcm_sha256, fingerprint(wave), comparison, parts)


def decoded(data: bytes) -> tuple[Wave, Container]:
    """Decode an audio file to 16 kHz, float32, full scale 1.

    Raises:
        RejectedError: it cannot be decoded, or is silent or empty.
    """
    wave, rate = decode(data)
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        container = Container(f"{file.format} {file.subtype}", rate, file.channels, len(wave))
    return resample(wave, rate, RATE), container


def _collected(found: list[Look | str]) -> Scan:
    looks = [look for look in found if isinstance(look, Look)]
    shape = (len(looks[0].features), len(looks[0].spectrum)) if looks else (0, 0)
    features, spectra = np.zeros((len(found), shape[0])), np.zeros((len(found), shape[1]), dtype=np.float32)
    for row, look in enumerate(found):
        if isinstance(look, Look):
            features[row], spectra[row] = look.features, look.spectrum
    parts = [look.parts if isinstance(look, Look) else NO_PARTS for look in found]
    return Scan(
        [look.container if isinstance(look, Look) else None for look in found],
        features,
        spectra,
        [look.pcm_sha256 if isinstance(look, Look) else b"" for look in found],
        [look.fingerprint if isinstance(look, Look) else None for look in found],
        np.array([look.comparison if isinstance(look, Look) else INCOMPARABLE for look in found], dtype=COMPARISONS),
        Parts(*(np.stack(each) for each in zip(*parts, strict=True))) if parts else NO_PARTS,
        {row: look for row, look in enumerate(found) if isinstance(look, str)},
    )
