"""Read source utterances in a worker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from codecfake_builder import audio
from codecfake_builder.audio import Wave
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.decoding.reading import read_source_file
from codecfake_builder.finished_clip import Reference, content_seed
from codecfake_builder.rejections import RejectedError, RejectionReason
from codecfake_builder.shards.shard import Utterance


@dataclass(frozen=True)
class Source:
    """A source utterance, made fit for codecs."""

    wave: Wave
    """At the requested rate, with its context."""
    gain: float
    """What it was multiplied by, see :func:`codecfake_builder.audio.make_fit`."""
    context: int
    """Samples at the requested rate that ``wave`` has before and after the source."""
    reference: Reference
    """What the clips of the utterance are held to."""


def read_source(utterance: Utterance, rate: int, seconds: float, policy: AudioPolicy, context: int = 0) -> Source:
    """Read an utterance for a codec within ``seconds``, and check that its file is the one that was indexed.

    Args:
        utterance: which.
        rate: of the codec, Hz.
        seconds: how long reading may take.
        policy: says what clips keep of the source.
        context: samples at ``rate`` that the codec gets before and after it.

    Raises:
        RejectedError: what :func:`read_prompt` and :meth:`Reference.of` find.
    """
    decoded, own_rate = _decoded(utterance, seconds)
    wave, gain = audio.make_fit(decoded, own_rate)
    at_16k = audio.resample(wave, own_rate, audio.RATE)
    at_rate = at_16k if rate == audio.RATE else audio.resample(wave, own_rate, rate)
    reference = Reference.of(at_16k, content_seed(decoded), policy)
    return Source(audio.with_context(at_rate, context), gain, context, reference)


def read_prompt(utterance: Utterance, rate: int, seconds: float) -> Wave:
    """Read an utterance at ``rate`` Hz within ``seconds`` as an audio language model gets it: whole, and by itself.

    Raises:
        RejectedError: ``source_changed``, or what reading, decoding and :func:`codecfake_builder.audio.make_fit` find.
    """
    decoded, own_rate = _decoded(utterance, seconds)
    return audio.resample(audio.make_fit(decoded, own_rate)[0], own_rate, rate)


def _decoded(utterance: Utterance, seconds: float) -> tuple[Wave, int]:
    """Return the samples of an utterance's file and their rate."""
    data, _ = read_source_file(Path(utterance.path), seconds)
    if hashlib.sha256(data).hexdigest() != utterance.sha256:
        raise RejectedError(RejectionReason.SOURCE_CHANGED, "it is not the file that was indexed")
    return audio.decode(data)
