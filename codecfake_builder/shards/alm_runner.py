"""Run an ALM in a worker: turn utterances into prompts, generate speech, and make clips of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from codec_adapters.alm.loading import load_alm
from codecfake_builder import audio
from codecfake_builder.finished_clip import FinishedClip, Reference, content_seed, finish
from codecfake_builder.recipe.variants import ResolvedAlm
from codecfake_builder.rejections import RejectedError, RejectionReason
from codecfake_builder.resynthesis import halving
from codecfake_builder.shards.codec_runner import kept, seed_of
from codecfake_builder.shards.failures import refuse_sick_device, rejection_for
from codecfake_builder.shards.shard import Shard, Utterance, named
from codecfake_builder.shards.source_audio import read_prompt
from codecfake_builder.shards.watch import limited

if TYPE_CHECKING:
    from codec_adapters.alm.base import Alm, Generation, Prompt

PROMPTS_PER_BATCH = 16
"""On a GPU, unless the recipe says how many seconds a batch may hold."""


@dataclass(frozen=True)
class Spoken:
    """A clip that an ALM made."""

    clip: FinishedClip
    text: str | None
    """What it says, where the model wrote that down."""
    stop: str
    cut: int
    """Ids that had to be cut, see :class:`codec_adapters.alm.base.Generation`."""


def loaded_alm(alm: ResolvedAlm, device: str) -> Alm:
    """Return an ALM on a device, with its codec; a process keeps the last one."""
    codec = alm.codec
    return kept(
        (alm.fingerprint(), str(alm.checkpoint), str(codec.checkpoint), device),
        lambda: load_alm(
            alm.entry(),
            codec.entry(),
            alm.checkpoint,
            codec.checkpoint,
            device,
            codec.dtype,
            alm.options,
            codec.options,
        ),
    )


def spoken_clips(
    shard: Shard, alm: Alm, batch_seconds: float | None, read_seconds: float, timeout: float
) -> list[Spoken | RejectedError]:
    """Generate the clip for each prompt of the shard, in the shard's order."""
    size = PROMPTS_PER_BATCH if batch_seconds is None else max(1, int(batch_seconds / alm.max_seconds))
    if alm.device.type == "cpu":
        size = 1
    made: dict[int, Spoken | RejectedError] = {}
    prompts: list[tuple[int, Prompt]] = []
    for position, utterance in enumerate(shard.utterances):
        try:
            prompts.append((position, prompt_of(utterance, alm, read_seconds)))
        except RejectedError as error:
            made[position] = error
        if prompts and (len(prompts) == size or position == len(shard.utterances) - 1):
            for number, generation in _generated(shard, alm, prompts, timeout):
                made[number] = _finished(shard, alm, generation)
            prompts = []
    return [made[position] for position in range(len(shard.utterances))]


def prompt_of(utterance: Utterance, alm: Alm, read_seconds: float) -> Prompt:
    """Return the parts of an utterance that the ALM needs as a prompt.

    Raises:
        RejectedError: ``no_text``, or what reading the audio finds.
    """
    from codec_adapters.alm.base import Prompt

    parts = alm.spec.prompt
    if utterance.text is None and {"text", "transcript"} & set(parts):
        raise RejectedError(RejectionReason.NO_TEXT, f"{utterance.name} has no transcript, which {alm.spec.name} needs")
    wave = read_prompt(utterance, alm.prompt_rate, read_seconds) if "audio" in parts else None
    return Prompt(
        prompt_id=utterance.name,
        text=utterance.text if "text" in parts else None,
        audio=None if wave is None else torch.from_numpy(wave),
        language=utterance.language,
        transcript=utterance.text if "transcript" in parts else None,
    )


def _generated(
    shard: Shard, alm: Alm, prompts: list[tuple[int, Prompt]], timeout: float
) -> Iterator[tuple[int, Generation | RejectedError]]:
    """Yield the clips of a batch of prompts; if it fails as a whole, prompt by prompt, so that a bad one costs only
    itself.
    """
    seeds = [seed_of(shard.utterances[position]) for position, _ in prompts]
    try:
        with limited(timeout, f"{shard.variant}: {named([shard.utterances[position] for position, _ in prompts])}"):
            made = halving(alm.generate, [prompt for _, prompt in prompts], seeds)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a model may raise anything, SystemExit too; the clip is listed
        refuse_sick_device(shard.variant, alm.max_seconds, f"options.{shard.variant}.max_seconds", error)
        if len(prompts) > 1:
            for prompt in prompts:
                yield from _generated(shard, alm, [prompt], timeout)
        else:
            yield prompts[0][0], rejection_for(error, RejectionReason.ALM_ERROR)
        return
    for (position, _), generation in zip(prompts, made, strict=True):
        yield position, generation


def _finished(shard: Shard, alm: Alm, generation: Generation | RejectedError) -> Spoken | RejectedError:
    if isinstance(generation, RejectedError):
        return generation
    limits = (shard.policy.min_seconds, shard.policy.max_seconds)
    try:
        wave = audio.resample_generated(generation.wav.numpy(), alm.sample_rate, *limits)
        reference = Reference.of(wave, content_seed(wave), shard.policy)  # it is its own source
        return Spoken(finish(wave, reference, shard.policy), generation.text, generation.stop, generation.cut)
    except RejectedError as error:
        return error


def endings(outcomes: Iterable[object]) -> dict[str, int]:
    """Count how the clips of an ALM ended, and how many lost ids; empty for a codec."""
    spoken = [outcome for outcome in outcomes if isinstance(outcome, Spoken)]
    counts = Counter(outcome.stop for outcome in spoken)
    cut = sum(1 for outcome in spoken if outcome.cut)
    return {**dict(sorted(counts.items())), **({"cut": cut} if cut else {})}
