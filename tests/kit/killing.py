"""Changes a dataset in processes that are killed at chosen moments, and tells what they left.

    python -m tests.kit.killing JOB.json

Every run is a fork of this process, which only imports: that takes seconds, a run takes less than one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from codecfake_builder.changes.build import build
from codecfake_builder.changes.remove_codec import remove_codec
from codecfake_builder.dataset import versions as staging
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.load import load_recipe
from tests.kit.datasets_for_tests import files

STEPS = ("link", "unlink", "replace", "rename", "mkdir", "rmdir")
"""Functions of ``os`` that change folders."""


def change(job: dict[str, str], dataset: Path) -> dict[str, Any]:
    """The change that the job is about; what it says of itself."""
    if "remove" not in job:
        return {"made": build(load_recipe(job["recipe"]), dataset).shards_made}
    try:
        remove_codec(dataset, job["remove"])
    except RecipeError as error:
        return {"refused": str(error)}
    return {}


def counting(at: int | None, tell: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Count the steps of this process that change folders, and kill it before step number ``at``."""
    done = 0
    exchange_at = 0

    def wrapped(function: Callable[..., Any], exchange: bool) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal done, exchange_at
            done += 1
            if exchange:
                exchange_at = done
            if done == at:
                os.kill(os.getpid(), signal.SIGKILL)
            if tell is not None:
                tell({"steps": done, "exchange": exchange_at})
            return function(*args, **kwargs)

        return step

    for name in STEPS:
        setattr(os, name, wrapped(getattr(os, name), False))
    staging._exchange = wrapped(staging._exchange, True)


def forked(work: Callable[[], None], killed_after: float | None = None) -> None:
    """Run something in a process of its own, and wait for it; kill it after some seconds."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            sys.stderr.flush()
            os._exit(0)
    if killed_after is not None:
        time.sleep(killed_after)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def state(dataset: Path) -> str:
    """One figure for all files of a dataset."""
    digest = hashlib.sha256()
    for name, content in files(dataset).items():
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def main(job: dict[str, Any]) -> None:
    """Run a job: first whole, then killed at each of its moments, and each time again to the end."""
    torch.set_num_threads(1)
    source, work = Path(job["dataset"]), Path(job["work"])
    report, notes = work / "report.jsonl", work / "notes.json"

    def note(found: dict[str, Any]) -> None:
        with report.open("a") as stream:
            stream.write(json.dumps(found) + "\n")

    def tell(found: dict[str, Any]) -> None:
        notes.write_text(json.dumps(found))

    def whole() -> None:
        counting(None, tell)
        started = time.monotonic()
        change(job, work / "whole")
        seconds = time.monotonic() - started
        problems = [*verify(source).problems, *verify(work / "whole").problems]
        note({"old": state(source), "new": state(work / "whole"), "problems": problems, "seconds": seconds})

    shutil.copytree(source, work / "whole")
    forked(whole)
    counted = json.loads(notes.read_text())
    steps, exchange = counted["steps"], counted["exchange"]
    seconds = json.loads(report.read_text().splitlines()[0])["seconds"]
    moments = {1 + (steps - 2) * number // (job["steps"] - 1) for number in range(job["steps"])}
    moments |= {exchange, exchange + 1}
    runs = [(moment, None) for moment in sorted(moments)]
    for number, (at, after) in enumerate([*runs, *((None, share * seconds) for share in job["shares"])]):
        dataset = work / f"d{number}"
        shutil.copytree(source, dataset)

        def killed(dataset: Path = dataset, at: int | None = at) -> None:
            counting(at)
            change(job, dataset)

        def again(dataset: Path = dataset, at: int | None = at) -> None:
            left = state(dataset) if dataset.exists() else "nothing"
            found = change(job, dataset)
            beside = [path.name for path in work.iterdir() if path.name.startswith(f".{dataset.name}.")]
            when = {"at": at, "exchange": exchange, "steps": steps}
            note({**when, "left": left, "after": state(dataset), "beside": beside, **found})

        forked(killed, after)
        forked(again)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
