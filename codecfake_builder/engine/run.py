"""Running shards: what is there already is kept, the rest goes to worker processes through joblib."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from codecfake_builder.engine.shard import STATE_FOLDER, Shard, ShardRecord, load_record
from codecfake_builder.engine.worker import WorkerSettings, make_shard
from codecfake_builder.errors import BuilderError, CheckFailedError
from codecfake_builder.progress import progress
from codecfake_builder.recipe import Execution


@dataclass(frozen=True)
class Resources:
    """The devices and the number of processes that a build uses."""

    devices: tuple[str, ...]
    workers: int

    @property
    def kind(self) -> str:
        """Kind of device, without numbers: what provenance records."""
        return self.devices[0].partition(":")[0]


def resources(execution: Execution) -> Resources:
    """Resolve ``device: auto`` and the default number of processes.

    Raises:
        BuilderError: a CUDA device is asked for and there is none.
    """
    import torch

    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    devices = cuda or ["cpu"]
    if execution.device != "auto":
        devices = [name.strip() for name in execution.device.split(",")]
        if devices == ["cuda"]:
            devices = cuda or devices
        absent = [name for name in devices if name.startswith("cuda") and name not in cuda]
        if absent:
            raise BuilderError(f"execution.device: {', '.join(absent)} is not there; found: {', '.join(cuda) or 'cpu'}")
    workers = execution.workers or (len(devices) if devices[0] != "cpu" else len(os.sched_getaffinity(0)))
    return Resources(tuple(devices), workers)


def split_done(shards: Iterable[Shard], dataset: Path) -> tuple[list[ShardRecord], list[Shard]]:
    """Records of the shards that are there with the right content key, and the shards that must be made."""
    done, missing = [], []
    for shard in shards:
        record = load_record(dataset, shard.file)
        if record and record.key == shard.key:
            done.append(record)
        else:
            missing.append(shard)
    return done, missing


def run_shards(
    shards: list[Shard], dataset: Path, execution: Execution, found: Resources, plugins: list[str]
) -> list[ShardRecord]:
    """Make shards in parallel, with progress.

    Raises:
        CheckFailedError: a worker process died; what was finished is kept, and the next run goes on from there.
    """
    claims = Path(tempfile.mkdtemp(prefix="claims-", dir=dataset / STATE_FOLDER))
    settings = WorkerSettings(dataset, found.devices, claims, execution.batch_seconds, tuple(plugins))
    tasks = (delayed(make_shard)(shard, settings) for shard in shards)
    parallel = Parallel(
        n_jobs=min(found.workers, len(shards)), return_as="generator_unordered", pre_dispatch="2*n_jobs"
    )
    clips = sum(len(shard.utterances) for shard in shards)
    records = []
    try:
        with progress("building", clips, "clips") as advance:
            for record in parallel(tasks):
                records.append(record)
                advance(record.clips + len(record.rejected))
    except TerminatedWorkerError as error:
        raise CheckFailedError(
            f"a worker process died (out of memory?) after {len(records)} of {len(shards)} shards; they are kept: "
            "run the same command again, with --set execution.workers=1 if memory is short"
        ) from error
    finally:
        shutil.rmtree(claims, ignore_errors=True)
    return records
