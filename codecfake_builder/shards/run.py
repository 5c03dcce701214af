"""Run shards: keep those that are there, and give the rest to worker processes through joblib."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
import warnings
from asyncio import CancelledError
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from codec_adapters.errors import CodecfakeError
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.integrity.file_hashes import FileHashes
from codecfake_builder.dataset.records import ShardRecord, intact_record
from codecfake_builder.devices import resolve_devices
from codecfake_builder.errors import BuilderError, CheckFailedError
from codecfake_builder.progress import progress
from codecfake_builder.recipe.schema import Execution
from codecfake_builder.recipe.variants import ResolvedAlm
from codecfake_builder.shards import codec_runner
from codecfake_builder.shards.shard import Shard
from codecfake_builder.shards.watch import MainProcess, told_by_the_dead
from codecfake_builder.shards.worker import WorkerSettings, make_shard

SCHEDULER_SECONDS = 20
"""How long a dask scheduler may take to answer."""
LONELY_SECONDS = 60
"""How long a scheduler may be without workers, or silent, before a build gives up."""
POLL_SECONDS = 5
FEW_SECONDS = 180
"""Speech that most codecs are through with, on one CPU core, before worker processes have started."""


def chosen_devices(execution: Execution) -> tuple[str, ...]:
    """Return the devices that a build uses; none where each machine of a cluster chooses its own.

    The devices that are named for a cluster are those of its machines, so that they cannot be checked here.

    Raises:
        BuilderError: a device is asked for that this machine does not have.
    """
    if execution.scheduler is None:
        return resolve_devices(execution.device, "execution.device")
    if execution.device == "auto":
        return ()
    return tuple(name.strip() for name in execution.device.split(","))


@contextmanager
def _workers(execution: Execution, devices: tuple[str, ...]) -> Iterator[int]:
    """Choose where joblib runs its tasks, processes here or the workers of a dask scheduler; yield how many run at a
    time.
    """
    if execution.scheduler is None:
        yield execution.workers or (len(devices) if devices[0] != "cpu" else len(os.sched_getaffinity(0)))
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise BuilderError("execution.scheduler needs dask: pip install 'codecfake-builder[cluster]'") from error
    try:
        client = Client(execution.scheduler, timeout=SCHEDULER_SECONDS)
    except (OSError, ValueError) as error:
        raise BuilderError(f"execution.scheduler: no dask scheduler answers at {execution.scheduler}") from error
    with client, parallel_config("dask"), _present(client):
        yield execution.workers or max(1, sum(client.nthreads().values()))


@contextmanager
def _present(client: Any) -> Iterator[None]:
    """Interrupt what waits in this context where the scheduler is gone, or has had no worker for a while.

    Raises:
        CheckFailedError: so it was.
    """
    ended, lost = threading.Event(), threading.Event()

    def look() -> None:
        since = time.monotonic()
        while not ended.wait(POLL_SECONDS):
            with suppress(Exception):  # however it fails: it does not answer
                known = client.sync(client.scheduler.identity, callback_timeout=SCHEDULER_SECONDS)
                if known["workers"]:
                    since = time.monotonic()
            if time.monotonic() - since > LONELY_SECONDS and not ended.is_set():
                lost.set()
                os.kill(os.getpid(), signal.SIGINT)  # the only thing that ends a wait for results that never come
                return

    threading.Thread(target=look, name="scheduler", daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if not lost.is_set():
            raise
        raise CheckFailedError(
            f"execution.scheduler: it does not answer, or has had no worker for {LONELY_SECONDS} s; what is finished "
            "is kept, and the same command goes on from there"
        ) from None
    finally:
        ended.set()


def split_done(shards: Iterable[Shard], hashes: FileHashes) -> tuple[list[ShardRecord], list[Shard]]:
    """Return the records of the shards that are there with the right content key, and the shards that must be made.

    A shard from which clips are missing for reasons that may be gone (an unreadable disk) is tried again, and so is one
    whose file is not the one that was written.

    Args:
        shards: of the dataset.
        hashes: of the files in the dataset's folder.
    """
    done, missing = [], []
    shards = list(shards)
    hashes.read([shard.file for shard in shards])
    for shard in shards:
        record = intact_record(hashes, shard.file)
        if record and record.key == shard.key and not any(r.reason.of_the_moment for r in record.rejected):
            done.append(record)
        else:
            missing.append(shard)
    return done, missing


def _few(shards: Iterable[Shard]) -> bool:
    """Return whether the shards are so little work that starting processes would take longer. An ALM's never are, since
    how long it speaks is not known before.
    """
    shards = list(shards)
    seconds = sum(utterance.samples / utterance.sample_rate for shard in shards for utterance in shard.utterances)
    return seconds <= FEW_SECONDS and not any(isinstance(shard.made_by, ResolvedAlm) for shard in shards)


def run_shards(
    shards: list[Shard],
    dataset: Path,
    execution: Execution,
    few_here: bool = False,
) -> list[ShardRecord]:
    """Make shards in parallel, with progress.

    Args:
        few_here: make a handful of small shards in this process, since others would take longer to start.

    Raises:
        BuilderError: a device or the scheduler is not there.
        CheckFailedError: a worker process died; what was finished is kept, and the next run goes on from there.
    """
    devices = chosen_devices(execution)
    claims = Path(tempfile.mkdtemp(prefix=layout.CLAIMS_PREFIX, dir=dataset.resolve() / layout.STATE))
    settings = WorkerSettings(
        dataset.resolve(),
        devices,
        claims,
        execution.batch_seconds,
        execution.read_timeout,
        execution.batch_timeout,
        MainProcess.here() if execution.scheduler is None else MainProcess.elsewhere(),
    )
    tasks = (delayed(make_shard)(shard, settings) for shard in shards)
    clips = sum(len(shard.utterances) for shard in shards)
    records = []
    try:
        with (
            _workers(execution, devices) as workers,
            progress("building", clips, "clips") as advance,
            warnings.catch_warnings(),
        ):
            # joblib starts a process anew when its memory has grown, which another codec's network always makes it do
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            jobs = 1 if few_here and _few(shards) and execution.scheduler is None else min(workers, len(shards))
            for record in Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="2*n_jobs")(tasks):
                records.append(record)
                advance(record.clips + len(record.rejected))
    except TerminatedWorkerError as error:
        told = told_by_the_dead(claims)
        raise CheckFailedError(
            f"a worker process died (out of memory?) after {len(records)} of {len(shards)} shards; they are kept"
            f"{f'; {told}' if told else ''}: run the same command again, with --set execution.workers=1 if memory is "
            "short"
        ) from error
    except (Exception, CancelledError) as error:
        if execution.scheduler is None or isinstance(error, CodecfakeError):
            raise
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckFailedError(
            f"execution.scheduler: {execution.scheduler} or its workers failed after {len(records)} of {len(shards)} "
            f"shards ({said}); they are kept, and the same command goes on from there"
        ) from error
    finally:
        codec_runner.release()  # a single worker is this very process, which may live on and build again
        shutil.rmtree(claims, ignore_errors=True)
    return records
