"""Read source utterances in a worker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from codecfake_builder import audio
from codecfake_builder.audio import Wave
from codecfake_builder.decoding.reading import read_source_file
from codecfake_builder.rejections import RejectedError, RejectionReason
from codecfake_builder.shards.shard import Utterance


@dataclass(frozen=True)
class Source:
    """A source utterance, made fit for codecs and resampled to the requested rate."""

    wave: Wave
    gain: float
    """What it was multiplied by, see :func:`codecfake_builder.audio.make_fit`."""


def read_source(utterance: Utterance, rate: int, seconds: float) -> Source:
    """Read the utterance at ``rate`` Hz within ``seconds``, and check that its file is the one that was indexed.

    Raises:
        RejectedError: ``source_changed``, or what reading, decoding and :func:`codecfake_builder.audio.make_fit` find.
    """
    data, _ = read_source_file(Path(utterance.path), seconds)
    if hashlib.sha256(data).hexdigest() != utterance.sha256:
        raise RejectedError(RejectionReason.SOURCE_CHANGED, "it is not the file that was indexed")
    decoded, own_rate = audio.decode(data)
    wave, gain = audio.make_fit(decoded, own_rate)
    return Source(audio.resample(wave, own_rate, rate), gain)
