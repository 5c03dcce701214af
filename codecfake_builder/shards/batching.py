"""Choose how much audio goes into one batch: one clip on a CPU, a measured amount on a GPU."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from codecfake_builder.dataset import layout
from codecfake_builder.files import sha256_text, write_text
from codecfake_builder.recipe.variants import ResolvedCodec

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

CALIBRATION_SECONDS = 4.0
"""Length of the clips that a batch size is measured with; about the mean of VCTK and AISHELL-3."""
LARGEST_BATCH = 256
LEAST_GAIN = 1.1
"""Doubling the batch must raise the throughput by this factor to be worth its memory."""


def equal_length_batches(lengths: list[int], limit: int) -> list[list[int]]:
    """Group the positions of clips into batches of equal padded length, shortest first.

    Args:
        lengths: padded length per clip, samples.
        limit: samples that a batch may hold; one clip is always allowed.
    """
    by_length: dict[int, list[int]] = {}
    for position, length in enumerate(lengths):
        by_length.setdefault(length, []).append(position)
    batches = []
    for length, positions in sorted(by_length.items()):
        size = max(1, limit // length)
        batches += [positions[start : start + size] for start in range(0, len(positions), size)]
    return batches


def batch_limit(adapter: Adapter, codec: ResolvedCodec, batch_seconds: float | None, dataset: Path) -> int:
    """Return how many samples a batch may have for an adapter on its device.

    On a CPU a batch of one is the fastest, and makes clips bit-equal whatever stands beside them. On a GPU the size is
    measured once per dataset, variant and kind of device and kept in the dataset's state, so that a resumed build
    batches as the interrupted one did.
    """
    if batch_seconds is not None:
        return round(batch_seconds * adapter.sample_rate)
    if adapter.device.type != "cuda":
        return 1
    device = torch.cuda.get_device_name(adapter.device)
    path = dataset / layout.batching(codec.spec.name, sha256_text(codec.fingerprint(), device)[:16])
    seconds = _measured_before(path)
    if seconds is None:
        clips = fastest_batch(lambda size: _timed_run(adapter, size))
        seconds = clips * CALIBRATION_SECONDS
        write_text(path, json.dumps({"device": device, "seconds": seconds}) + "\n")
    return round(seconds * adapter.sample_rate)


def _measured_before(path: Path) -> float | None:
    """Return the size of a batch in seconds that was measured before; ``None``: it was not, or the file is damaged."""
    try:
        seconds = float(json.loads(path.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return seconds if 0 < seconds <= LARGEST_BATCH * CALIBRATION_SECONDS else None


def fastest_batch(run_seconds: Callable[[int], float]) -> int:
    """Find the batch size after which doubling no longer pays, or no longer fits.

    Args:
        run_seconds: runs a batch of that many equal clips and says how long it took; raises
            :class:`torch.OutOfMemoryError` where it does not fit.
    """
    best, throughput = 1, 0.0
    size = 1
    while size <= LARGEST_BATCH:
        try:
            now = size / run_seconds(size)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        if now < throughput * LEAST_GAIN:
            break
        best, throughput = size, now
        size *= 2
    return best


def _timed_run(adapter: Adapter, size: int) -> float:
    samples = round(CALIBRATION_SECONDS * adapter.sample_rate)
    samples += -samples % adapter.length_multiple
    noise = 0.1 * torch.randn(size, samples, generator=torch.Generator().manual_seed(0))
    elapsed = 0.0
    for _ in range(2):  # the first run of a shape pays for allocation and kernel choice
        start = time.perf_counter()
        adapter.resynthesize(noise, list(range(size))).cpu()
        elapsed = time.perf_counter() - start
    return elapsed
