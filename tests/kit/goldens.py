"""Recorded outputs of the upstreams ("goldens"): finding the cases, running adapters on them, spoiling checkpoints."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from safetensors.torch import load_file
from torch import Tensor

from codec_adapters.base import Adapter
from tests.conftest import REPOSITORY

GOLDENS = Path(os.environ.get("CODECFAKE_SHARED") or REPOSITORY.parent / "shared") / "goldens"
BATCH_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Golden:
    """One case: a checkpoint in the official layout, an input, and what the upstream made of it."""

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.folder / "case.json").read_text(encoding="utf-8"))
        return facts

    @cached_property
    def arrays(self) -> dict[str, Tensor]:
        return load_file(self.folder / "io.safetensors")

    @property
    def wav(self) -> Tensor:
        """The input, as a batch of one."""
        return self.arrays["input"][None]

    @property
    def is_full_size(self) -> bool:
        """Whether the weights are a recipe, not files."""
        return (self.folder / "weights_recipe.json").is_file()

    def checkpoint(self, scratch: Path) -> Path:
        """The checkpoint folder; a full-size one is made in ``scratch``, once."""
        stored = self.folder / "checkpoint"
        if not self.is_full_size:
            return stored
        made = scratch / self.folder.name
        if not made.is_dir():
            shutil.copytree(stored, made, copy_function=shutil.copyfile)
            _make_weights(json.loads((self.folder / "weights_recipe.json").read_text(encoding="utf-8")), made)
        return made

    def assert_reproduced(self, adapter: Adapter, suffix: str = "") -> None:
        """Codes exactly, output within the case's tolerance and of the same length, by all three calls."""
        codes = adapter.encode(self.wav)
        assert [level.dtype for level in codes] == [torch.int64]
        assert torch.equal(codes[0][0], self.arrays[f"codes{suffix}"])
        expected = self.arrays.get(f"output{suffix}")
        if expected is None:
            return
        output = adapter.resynthesize(self.wav)
        assert output.shape == (1, len(expected))
        assert largest_difference(output[0], expected) <= self.facts["tolerance"]["output_max_abs"]
        assert largest_difference(adapter.decode(codes)[:, : len(expected)], output) <= BATCH_TOLERANCE


def goldens(codec: str, full_size: bool = True) -> list[ParameterSet]:
    """Every case of a codec, for ``parametrize``; full-size ones marked slow, one skipped case where there are none.

    Args:
        full_size: whether the full-size ones are wanted.
    """
    cases = [Golden(path.parent) for path in sorted((GOLDENS / codec).glob("*/case.json"))]
    if not cases:
        reason = f"{GOLDENS / codec} is absent: goldens are kept beside the checkout"
        return [pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(case, id=case.folder.name, marks=[pytest.mark.slow] if case.is_full_size else [])
        for case in cases
        if full_size or not case.is_full_size
    ]


def largest_difference(ours: Tensor, theirs: Tensor) -> float:
    return (ours - theirs).abs().max().item()


def assert_batch_invariant(adapter: Adapter, wav: Tensor) -> None:
    """A batch of different contents gives each item what it gets alone; so do a second call and a second thread."""
    noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(3)) * 0.3
    batch = torch.cat([wav, noise, torch.zeros_like(wav), wav.flip(1) * 2.0, noise.sign()])
    codes, output = adapter.encode(batch)[0], adapter.resynthesize(batch)
    for item in range(len(batch)):
        alone = batch[item : item + 1]
        assert torch.equal(adapter.encode(alone)[0][0], codes[item])
        assert largest_difference(adapter.resynthesize(alone)[0], output[item]) <= BATCH_TOLERANCE
    with ThreadPoolExecutor(2) as threads:
        again = list(threads.map(adapter.resynthesize, [batch, batch]))
    assert all(torch.equal(output, other) for other in again)


def last_change(adapter: Adapter, wav: Tensor, silence: int) -> int:
    """How many samples before the end of ``wav``'s own output appended silence changes something (0: tail-local)."""
    before = adapter.resynthesize(wav)[0]
    after = adapter.resynthesize(torch.nn.functional.pad(wav, (0, silence)))[0, : len(before)]
    changed = ((before - after).abs() > BATCH_TOLERANCE).nonzero()
    return len(before) - int(changed[0]) if len(changed) else 0


def official_state(codec: str) -> dict[str, Any]:
    """Names and shapes of the official checkpoints; skips the test where they are absent."""
    path = GOLDENS / codec / "official_state.json"
    if not path.is_file():
        pytest.skip(f"{path} is absent: goldens are kept beside the checkout")
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return state


def meta_document(nested: Mapping[str, Mapping[str, Sequence[int]]]) -> dict[str, Any]:
    """What a checkpoint file of these names and shapes holds (``a.b`` is a dict in a dict), without memory."""
    return _nested(
        {
            path: {name: torch.empty(*shape, device="meta") for name, shape in shapes.items()}
            for path, shapes in nested.items()
        }
    )


def writable_copy(checkpoint: Path, into: Path) -> Path:
    """A copy of a checkpoint folder that a test may spoil."""
    shutil.copytree(checkpoint, into, copy_function=shutil.copyfile)
    return into


def edit_torch_file(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Changes what a torch file holds."""
    document = torch.load(path, weights_only=True)
    edit(document)
    torch.save(document, path)


class _Malicious:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return (os.mkdir, ("written_by_a_checkpoint",))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": _truncate,
    "empty": lambda path: path.write_bytes(b""),
    "malicious": lambda path: path.write_bytes(pickle.dumps(_Malicious(), protocol=2)),
    "malicious in a torch file": lambda path: torch.save({"model": _Malicious()}, path),
    "of another codec": lambda path: torch.save({"encoder.model.0.conv.conv.weight": torch.zeros(2, 2)}, path),
    "of numbers": lambda path: torch.save({"model": {"generator": {"conv": 1.0}}, "generator": {"conv": 1.0}}, path),
    "a list": lambda path: torch.save([torch.zeros(2)], path),
}
"""Ways to spoil a torch file; each must end in a CheckpointError that names the file."""


def _make_weights(recipe: Mapping[str, Any], folder: Path) -> None:
    for file, parts in recipe["files"].items():
        document: dict[str, dict[str, Tensor]] = {}
        for part, tensors in parts.items():
            prefix = f"{part}." if len(parts) > 1 else ""
            state: dict[str, Tensor] = {}
            for key, tensor in tensors.items():
                source = tensor["kind"].removeprefix("copy:")
                state[key] = state[source].clone() if source in state else _drawn(prefix + key, tensor, recipe["seed"])
            if "mean_scale" in recipe and "vocoder" in file:
                state.update(_statistics(folder))
            document[part] = state
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        torch.save(_nested(document), folder / file)


def _drawn(key: str, tensor: Mapping[str, Any], seed: int) -> Tensor:
    random = np.random.RandomState((zlib.crc32(key.encode()) ^ seed) & 0xFFFFFFFF)
    count, scale = math.prod(tensor["shape"]), tensor["scale"]
    match tensor["kind"]:
        case "normal":
            values = random.standard_normal(count) * scale
        case "gain":
            values = scale * (0.7 + 0.6 * random.random_sample(count))
        case "affine":
            values = 1 + scale * random.standard_normal(count)
        case "const":
            values = np.full(count, scale)
        case unknown:
            raise ValueError(f"unknown kind of tensor in a recipe: {unknown}")
    return torch.from_numpy(values.astype(np.float32).reshape(tensor["shape"]))


def _statistics(folder: Path) -> dict[str, Tensor]:
    (path,) = (folder / "stats").glob("*.npy")
    mean, scale = np.load(path)
    return {"mean": torch.from_numpy(mean), "scale": torch.from_numpy(scale)}


def _nested(parts: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": x}`` as ``{"a": {"b": x}}``, and ``{"": x}`` as ``x``."""
    document: dict[str, Any] = {}
    for path, value in parts.items():
        if not path:
            return dict(value)
        *outer, last = path.split(".")
        inside = document
        for key in outer:
            inside = inside.setdefault(key, {})
        inside[last] = value
    return document
