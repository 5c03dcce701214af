"""Make one shard: read ahead, run the codec, encode in the background, write the file and its record.

The shards of ALMs have a way of their own from prompt to clip (``alm_runner.py``); the rest is the same.
"""

from __future__ import annotations

import os
import platform
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from codecfake_builder import audio
from codecfake_builder.dataset.records import Rejection, ShardRecord
from codecfake_builder.decoding.decode import Wave
from codecfake_builder.devices import local_devices, settle_numerics
from codecfake_builder.finished_clip import FinishedClip, finish
from codecfake_builder.recipe.variants import ResolvedAlm, ResolvedCodec
from codecfake_builder.rejections import RejectedError, RejectionReason
from codecfake_builder.resynthesis import PaddingRule, resynthesize
from codecfake_builder.shards import alm_runner, codec_runner
from codecfake_builder.shards.alm_runner import Spoken
from codecfake_builder.shards.batching import batch_limit, equal_length_batches
from codecfake_builder.shards.failures import no_exit, refuse_sick_device, rejection_for
from codecfake_builder.shards.shard import Shard, Utterance, named
from codecfake_builder.shards.shard_file import clip_row, write_shard
from codecfake_builder.shards.source_audio import Source, read_source
from codecfake_builder.shards.watch import MainProcess, doing, limited, watched

if TYPE_CHECKING:
    from codec_adapters.base import Adapter
    from codec_adapters.spec import CodecSpec

READ_AHEAD = 4
"""Batches whose audio is read and resampled before the codec asks for them."""
IO_THREADS = 2
"""Threads that decode, resample and encode beside the codec; the libraries release the interpreter lock."""


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of a worker; none of them changes a clip."""

    dataset: Path
    devices: tuple[str, ...]
    """Empty: whatever the machine has that the work comes to."""
    claims: Path
    """An empty folder of this run, in which the processes of each machine claim their device."""
    batch_seconds: float | None
    read_seconds: float
    """How long the read of a source may take."""
    batch_timeout: float
    """How long a codec or model may take for a batch, or to be loaded, in seconds."""
    main: MainProcess

    def device(self) -> str:
        """Return this process's device: the same for all its shards; processes are spread evenly over the devices."""
        devices = self.devices or local_devices()
        if len(devices) == 1:
            return devices[0]
        for number in count():
            owner = self.claims / f"{platform.node()}-{number}"
            try:
                owner.touch(exist_ok=False)
            except FileExistsError:
                if owner.read_text(encoding="utf-8") != str(os.getpid()):
                    continue
            owner.write_text(str(os.getpid()), encoding="utf-8")
            return devices[number % len(devices)]
        raise AssertionError("count() does not end")


_Outcome = FinishedClip | Spoken | RejectedError
_Result = TypeVar("_Result", FinishedClip, Source)


def make_shard(shard: Shard, settings: WorkerSettings) -> ShardRecord:
    """Make one shard file and its record.

    Raises:
        codec_adapters.CodecError: the variant cannot be loaded; clips that fail one by one are rejections instead.
    """
    started = time.monotonic()
    settle_numerics()
    watched(settings.main, settings.claims)
    with no_exit(shard.variant):  # around all that asks the codec, and nothing that writes
        with doing(settings.claims, f"{shard.variant} ({shard.file})"):
            codec, device, outcomes = _made(shard, settings)
        rows, rejected = [], []
        for utterance, outcome in zip(shard.utterances, outcomes, strict=True):
            if isinstance(outcome, RejectedError):
                source = (utterance.corpus, utterance.utterance_id)
                rejected.append(Rejection(shard.split, shard.variant, *source, outcome.reason, outcome.detail))
            else:
                rows.append(clip_row(shard, utterance, outcome, codec))
    sha256, size = write_shard(settings.dataset / shard.file, rows)
    record = ShardRecord(
        file=shard.file,
        key=shard.key,
        sha256=sha256,
        bytes=size,
        clips=len(rows),
        seconds=sum(row["duration"] for row in rows),
        rejected=tuple(rejected),
        endings=alm_runner.endings(outcomes),
        device=device,
        wall_seconds=round(time.monotonic() - started, 3),
    )
    record.save(settings.dataset)
    return record


def _made(shard: Shard, settings: WorkerSettings) -> tuple[Adapter | CodecSpec | None, str | None, Sequence[_Outcome]]:
    """Return what made the clips (see ``clip_row``), the kind of device, and the outcome of each utterance."""
    if isinstance(shard.made_by, ResolvedAlm):
        with limited(settings.batch_timeout, f"{shard.variant}: to be loaded"):
            alm = alm_runner.loaded_alm(shard.made_by, settings.device())
        codec = shard.made_by.codec.spec if alm.spec.decodes_itself else alm.codec
        return (
            codec,
            alm.device.type,
            alm_runner.spoken_clips(shard, alm, settings.batch_seconds, settings.read_seconds, settings.batch_timeout),
        )
    with limited(settings.batch_timeout, f"{shard.variant}: to be loaded"):
        adapter = codec_runner.loaded_adapter(shard.made_by, settings.device()) if shard.made_by else None
    return adapter, adapter.device.type if adapter else None, _outcomes(shard, adapter, settings)


def _outcomes(shard: Shard, adapter: Adapter | None, settings: WorkerSettings) -> list[FinishedClip | RejectedError]:
    """Return the outcome of each utterance, in the shard's order."""
    rate = adapter.sample_rate if adapter else audio.RATE
    context = audio.context_samples(shard.policy.context_seconds, rate) if adapter else 0
    lengths = [audio.samples_at(u.samples, u.sample_rate, rate) + 2 * context for u in shard.utterances]
    limit = 1
    if adapter and isinstance(shard.made_by, ResolvedCodec):
        rule = PaddingRule.of(adapter, shard.policy)
        lengths = [rule.padded(length) for length in lengths]
        with limited(settings.batch_timeout, f"{shard.variant}: batches to be measured"):
            limit = batch_limit(adapter, shard.made_by, settings.batch_seconds, settings.dataset)
    batches = equal_length_batches(lengths, limit)
    outcomes: dict[int, Future[FinishedClip] | RejectedError] = {}
    read = partial(read_source, rate=rate, seconds=settings.read_seconds, policy=shard.policy, context=context)
    with ThreadPoolExecutor(IO_THREADS) as pool:
        unfinished: deque[Future[FinishedClip]] = deque()
        for positions, sources in _read_ahead(pool, shard.utterances, batches, read):
            for position, wave, source in _through_codec(
                shard, adapter, positions, sources, lengths, outcomes, settings.batch_timeout
            ):
                future = pool.submit(_finished, shard, wave, source, adapter)
                outcomes[position] = future
                unfinished.append(future)
            while len(unfinished) > READ_AHEAD * 16:
                unfinished.popleft().exception()  # waits: raw audio must not pile up behind a fast codec
        return [_settled(outcomes[position]) for position in range(len(lengths))]


def _settled(outcome: Future[_Result] | RejectedError) -> _Result | RejectedError:
    """Return a future's result; a rejection, raised or returned, is a result too."""
    if isinstance(outcome, RejectedError):
        return outcome
    try:
        return outcome.result()
    except RejectedError as error:
        return error


def _read_ahead(
    pool: ThreadPoolExecutor,
    utterances: tuple[Utterance, ...],
    batches: list[list[int]],
    read: Callable[[Utterance], Source],
) -> Iterator[tuple[list[int], list[Source | RejectedError]]]:
    """Yield each batch with its sources; a bounded number of batches is read while the codec works."""
    waiting: deque[tuple[list[int], list[Future[Source]]]] = deque()
    upcoming = iter(batches)
    while True:
        while len(waiting) < READ_AHEAD and (positions := next(upcoming, None)) is not None:
            futures = [pool.submit(read, utterances[position]) for position in positions]
            waiting.append((positions, futures))
        if not waiting:
            return
        positions, futures = waiting.popleft()
        yield positions, [_settled(future) for future in futures]


def _through_codec(
    shard: Shard,
    adapter: Adapter | None,
    positions: list[int],
    sources: list[Source | RejectedError],
    lengths: list[int],
    outcomes: dict[int, Any],
    timeout: float,
) -> Iterator[tuple[int, Wave, Source]]:
    """Yield the outputs of one batch by position; unreadable or failing clips go into ``outcomes`` as rejections."""
    good: list[tuple[int, Source]] = []
    for position, source in zip(positions, sources, strict=True):
        if isinstance(source, RejectedError):
            outcomes[position] = source
        else:
            good.append((position, source))
    if adapter is None:
        yield from ((position, source.wave, source) for position, source in good)
        return
    for position, source, wave in _resynthesized(shard, adapter, good, lengths, timeout):
        if isinstance(wave, RejectedError):
            outcomes[position] = wave
        else:
            yield position, wave, source


def _resynthesized(
    shard: Shard, adapter: Adapter, batch: list[tuple[int, Source]], lengths: list[int], timeout: float
) -> Iterator[tuple[int, Source, Wave | RejectedError]]:
    """Resynthesize a batch and yield its clips; when it fails as a whole, clip by clip, so that one bad clip costs only
    itself.
    """
    if not batch:
        return
    waves = [source.wave for _, source in batch]
    seeds = [codec_runner.seed_of(shard.utterances[position]) for position, _ in batch]
    outputs: list[Wave | RejectedError]
    try:
        with limited(timeout, f"{shard.variant}: {named([shard.utterances[position] for position, _ in batch])}"):
            outputs = list(resynthesize(adapter, waves, seeds, lengths[batch[0][0]]))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a codec may raise anything, SystemExit too; the clip is listed
        utterances = [shard.utterances[position] for position, _ in batch]
        longest = max(u.samples / u.sample_rate for u in utterances)
        refuse_sick_device(shard.variant, longest, "audio.max_seconds", error)
        if len(batch) > 1:
            for item in batch:
                yield from _resynthesized(shard, adapter, [item], lengths, timeout)
            return
        outputs = [rejection_for(error, RejectionReason.CODEC_ERROR)]
    for (position, source), output in zip(batch, outputs, strict=True):
        yield position, source, output


def _finished(shard: Shard, wave: Wave, source: Source, adapter: Adapter | None) -> FinishedClip:
    if adapter:
        rate, delay, slack = adapter.sample_rate, adapter.spec.delay_samples, shard.policy.max_missing_seconds
        samples = len(source.reference.wave)
        wave = audio.restore(wave, rate, delay, samples, round(slack * audio.RATE), source.context)
    return finish(wave, source.reference, shard.policy, source.gain)
