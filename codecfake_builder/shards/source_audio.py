"""Read source utterances in a worker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from codecfake_builder import audio
from codecfake_builder.audio import Wave
from codecfake_builder.rejections import RejectedError, RejectionReason
from codecfake_builder.shards.shard import Utterance


@dataclass(frozen=True)
class Source:
    """A source utterance, resampled to the requested rate, with its level at its own rate."""

    wave: Wave
    rms: float


def read_source(utterance: Utterance, rate: int) -> Source:
    """Read the utterance at ``rate`` Hz, and check that its file is the one that was indexed.

    Raises:
        RejectedError: ``missing``, ``source_changed``, or what :func:`codecfake_builder.audio.decode` finds.
    """
    try:
        data = Path(utterance.path).read_bytes()
    except OSError as error:
        raise RejectedError(RejectionReason.MISSING, f"{utterance.path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != utterance.sha256:
        raise RejectedError(RejectionReason.SOURCE_CHANGED, f"{utterance.path} is not the file that was indexed")
    wave, own_rate = audio.decode(data)
    return Source(audio.resample(wave, own_rate, rate), audio.rms(wave))
