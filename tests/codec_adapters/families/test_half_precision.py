"""bfloat16 and float16 in every adapter: what stays in float32, and that a clip's codes are its own there too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import codec_adapters
from benchmarks.half_precision import GOLDENS
from codec_adapters.base import Adapter
from tests.conftest import LIBRARY_CODECS

VARIANTS = sorted({*GOLDENS, *LIBRARY_CODECS})
SEARCHES = ("argmin", "argmax", "max", "min", "topk")
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "_cdist_forward")
STEP = 2**-7
"""Relative rounding of bfloat16."""

Load = Callable[..., Adapter]


@pytest.fixture(params=VARIANTS)
def load(request: pytest.FixtureRequest, tiny: dict[str, Path]) -> Load:
    """Loads one variant's small checkpoint in the precision asked for."""
    variant = request.param
    folder = tiny.get(variant)
    if folder is None:
        shared: Path = request.getfixturevalue("shared")
        folder = shared / "goldens" / GOLDENS[variant] / "checkpoint"
    return lambda **kinds: codec_adapters.load(variant, folder, **kinds)


def clips(samples: int = 6_007) -> Tensor:
    """Three of different levels, one silent."""
    levels = torch.tensor([0.2, 0.0, 0.6])[:, None]
    return levels * torch.randn(3, samples, generator=torch.Generator().manual_seed(0))


class SearchDtypes(TorchDispatchMode):
    """Notes the precision of each search for a codeword: of what is searched, and of the product that made it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[torch.dtype] = set()
        self._product: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        output = func(*args, **(kwargs or {}))
        dtypes = {value.dtype for value in args if isinstance(value, Tensor)}
        if name in PRODUCTS:
            self._product = dtypes
        indices = output if isinstance(output, Tensor) else output[-1] if isinstance(output, tuple | list) else None
        if name in SEARCHES and isinstance(indices, Tensor) and indices.dtype == torch.int64:
            self.seen |= dtypes | self._product
        return output


def test_an_observer_sees_a_search_in_half_precision() -> None:
    with SearchDtypes() as observed:
        (torch.ones(3, 4, dtype=torch.bfloat16) @ torch.ones(4, 5, dtype=torch.bfloat16)).float().argmin(dim=1)
    assert observed.seen == {torch.float32, torch.bfloat16}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_codewords_are_searched_in_float32(load: Load, dtype: str) -> None:
    adapter = load(dtype=dtype)
    with SearchDtypes() as observed:
        adapter.encode(clips()[:1])
    assert observed.seen == {torch.float32}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_output_stays_near_and_a_batch_is_its_items(load: Load, dtype: str) -> None:
    adapter, exact, batch = load(dtype=dtype), load(), clips()
    codes, output = adapter.encode(batch), adapter.resynthesize(batch)
    expected = exact.resynthesize(batch)
    assert output.dtype == torch.float32
    assert output.shape == expected.shape
    assert output.isfinite().all()
    assert not torch.equal(output, expected), "the networks ran in float32"
    assert 0.5 < output.std() / expected.std() < 2
    for item in range(len(batch)):
        alone = batch[item : item + 1]
        assert all(torch.equal(one[0], many[item]) for one, many in zip(adapter.encode(alone), codes, strict=True))
        torch.testing.assert_close(adapter.resynthesize(alone)[0], output[item], atol=STEP, rtol=STEP)
