"""Codes are checked before they reach a codebook: every built-in family takes its own codes and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import codec_adapters
from codec_adapters.base import Adapter, Codes
from tests.kit.on_demand import OnDemand
from tools.small_networks.checkpoints import small_checkpoint

VARIANTS = (
    "academicodec_encodec_16k_320d",
    "academicodec_hifi_16k_320d",
    "audiodec_libritts_v1",
    "audiodec_vctk_c16h320_sym",
    "dac_16khz",
    "encodec_24khz_6kbps",
    "encodec_48khz_6kbps",
    "facodec_v1",
    "facodec_v2",
    "funcodec_libritts_gr8nq32ds320",
    "funcodec_zh_en_nq32ds640",
    "lyra_v2_6kbps",
    "mimi_8codebooks",
    "snac_24khz",
    "snac_32khz",
    "speechtokenizer_hubert_avg",
    "wavtokenizer_small_75tps",
)
"""One of every network that a built-in family has."""


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Adapter]:
    def load(name: str) -> Adapter:
        try:
            return codec_adapters.load(name, checkpoint=small_checkpoint(name, tmp_path_factory.mktemp(name)))
        except FileNotFoundError as error:
            pytest.skip(str(error))

    return OnDemand(load)


def good_codes(adapter: Adapter, batch: int = 2) -> Codes:
    generator = torch.Generator().manual_seed(4)
    return adapter.encode(0.3 * torch.randn(batch, adapter.sample_rate // 4, generator=generator))


def wrong_codes(codes: Codes) -> Iterator[tuple[str, Any]]:
    """Codes with one thing wrong, each with its name."""
    yield "none", None
    yield "no scales", []
    yield "a tensor", codes[0]
    yield "a missing scale", Codes(codes[:-1], codes.side)
    yield "a scale too many", Codes([*codes, codes[-1]], codes.side)
    changes: dict[str, Callable[[Tensor], Any]] = {
        "float": lambda scale: scale.float(),
        "int32": lambda scale: scale.int(),
        "an array": lambda scale: scale.numpy(),
        "a list": lambda scale: scale.tolist(),
        "None": lambda scale: None,
        "two axes": lambda scale: scale[0],
        "four axes": lambda scale: scale[None],
        "no frames": lambda scale: scale[:, :, :0],
        "no items": lambda scale: scale[:0],
        "no codebooks": lambda scale: scale[:, :0],
        "too many codebooks": lambda scale: scale.repeat(1, 99, 1),
        "minus one": lambda scale: scale - scale.max() - 1,
        "one minus one": lambda scale: one_changed(scale, -1),
        "a million": lambda scale: one_changed(scale, 10**6),
        "far too many": lambda scale: one_changed(scale, 2**62),
        "far too few": lambda scale: one_changed(scale, -(2**63)),
        "on no device": lambda scale: scale.to("meta"),
        "sparse": lambda scale: scale.to_sparse(),
    }
    for words, change in changes.items():
        for place in {0, len(codes) - 1}:
            scales: list[Any] = list(codes)
            scales[place] = change(codes[place])
            yield f"{words} at {place}", Codes(scales, codes.side)
    if len(codes) > 1:
        yield "a longer scale", Codes([*codes[:-1], codes[-1].repeat(1, 1, 2)], codes.side)
        yield "a shorter scale", Codes([codes[0], codes[1][:, :, :-1], *codes[2:]], codes.side)
        yield "another batch", Codes([codes[0][:1], *codes[1:]], codes.side)
        yield "reversed", Codes(codes[::-1], codes.side)
    for name, value in codes.side.items():
        changed = (None, value.tolist(), value[:1], value[..., None].repeat(*[1] * value.ndim, 3), value * torch.nan)
        for wrong in changed:
            yield f"side {name}", Codes(codes, {name: wrong})  # type: ignore[dict-item]


def one_changed(scale: Tensor, value: int) -> Tensor:
    changed = scale.clone()
    changed[-1, -1, -1] = value
    return changed


@pytest.mark.parametrize("name", VARIANTS)
def test_codes_that_are_not_the_codecs_are_refused_in_one_line(adapters: dict[str, Adapter], name: str) -> None:
    adapter = adapters[name]
    codes = good_codes(adapter)
    assert adapter.decode(codes).isfinite().all()
    for words, wrong in wrong_codes(codes):
        with pytest.raises(codec_adapters.InputError) as refused:
            adapter.decode(wrong)
        message = str(refused.value)
        assert message.startswith(f"{name}: "), words
        assert "\n" not in message, words
        assert len(message) < 300, words


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("seeds", [1, "ab", [1.5, 2.0], [None, 1], [1], [1, 2, 3]])
def test_seeds_that_are_no_integers_are_refused(adapters: dict[str, Adapter], name: str, seeds: Any) -> None:
    codes = good_codes(adapters[name])
    with pytest.raises(codec_adapters.InputError, match=f"{name}: .*seeds"):
        adapters[name].decode(codes, seeds)


def test_snac_says_the_ratio_of_its_scales(adapters: dict[str, Adapter]) -> None:
    adapter = adapters["snac_24khz"]
    codes = good_codes(adapter)
    with pytest.raises(codec_adapters.InputError, match=r"codes must be 3 tensors, one per scale; got \[2, 1, "):
        adapter.decode(codes[:2])
    with pytest.raises(codec_adapters.InputError, match="codes must be frames as 1:2:4 over the scales; got 5, 5, 5"):
        adapter.decode([torch.zeros(1, 1, 5, dtype=torch.int64)] * 3)
    with pytest.raises(codec_adapters.InputError, match="at least 0 and below 1024; got 0 to 1000000"):
        adapter.decode([*codes[:2], one_changed(codes[2] * 0, 10**6)])


def test_lyra_takes_any_number_of_its_quantizers(adapters: dict[str, Adapter]) -> None:
    adapter = adapters["lyra_v2_6kbps"]
    codes = good_codes(adapter, 1)[0]
    assert adapter.decode([codes[:, :1]]).shape == adapter.decode([codes]).shape
    with pytest.raises(codec_adapters.InputError, match=r"\[batch, 1 to 46 codebooks, frames\]"):
        adapter.decode([codes.repeat(1, 2, 1)])
    with pytest.raises(codec_adapters.InputError, match="at least 0 and below 16; got -1 to"):
        adapter.decode([one_changed(codes, -1)])


@st.composite
def tensors(draw: st.DrawFn) -> Any:
    """Tensors much like codes, and others."""
    shape = draw(st.lists(st.integers(0, 9), min_size=2, max_size=4) | st.tuples(*[st.integers(1, 9)] * 3))
    limit = draw(st.sampled_from([1, 16, 64, 1024, 10**6]))
    least = draw(st.sampled_from([0, 0, 0, -1]))
    values = np.random.default_rng(draw(st.integers(0, 9))).integers(least, limit, shape)
    return torch.from_numpy(values).to(draw(st.sampled_from([torch.int64] * 9 + [torch.int32, torch.float32])))


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(codes=st.lists(tensors(), max_size=4), side=st.booleans())
def test_any_codes_are_decoded_or_refused(
    adapters: dict[str, Adapter], name: str, codes: list[Any], side: bool
) -> None:
    adapter = adapters[name]
    known = good_codes(adapter, 2).side if side else {}
    batch = len(codes[0]) if codes and codes[0].ndim else 0
    given_side = {key: value[:1].repeat(batch, *[1] * (value.ndim - 1)) for key, value in known.items()}
    try:
        wav = adapter.decode(Codes(codes, given_side))
    except codec_adapters.InputError as error:
        message = str(error)
    else:
        message = ""
        assert wav.ndim == 2
        assert len(wav) == batch
        assert wav.isfinite().all()
    assert "\n" not in message


@pytest.mark.parametrize("name", VARIANTS)
def test_few_frames_are_decoded(adapters: dict[str, Adapter], name: str) -> None:
    adapter = adapters[name]
    codes = good_codes(adapter)
    coarsest = min(scale.shape[2] for scale in codes)
    for frames in range(1, 6):
        cut = Codes([scale[:, :, : frames * (scale.shape[2] // coarsest)] for scale in codes], codes.side)
        assert adapter.decode(cut).isfinite().all()
