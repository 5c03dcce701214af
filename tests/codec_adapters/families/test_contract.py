"""The adapter contract, held by every variant for which a small checkpoint can be made.

What any codec must do, somebody else's too, is in the conformance suite, which all variants pass in
tests/codecfake_builder/conformance.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import codec_adapters
from codec_adapters.base import Adapter, Codes
from codec_adapters.builtin import builtin_catalogue
from codec_adapters.classes import LABELS
from tests.conftest import LIBRARY_CODECS

VARIANTS = sorted(LIBRARY_CODECS)


@pytest.fixture(scope="module")
def adapters(tiny: dict[str, Path]) -> dict[str, Adapter]:
    return {name: codec_adapters.load(name, checkpoint=tiny[name]) for name in VARIANTS}


def noise(batch: int, samples: int, seed: int = 0) -> torch.Tensor:
    return 0.3 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_batch_of_one_equals_batch_of_many(
    adapters: dict[str, Adapter], name: str, lengths: list[int], seed: int
) -> None:
    """For any mix of lengths: equal lengths share a batch, and each item comes out as if it were alone."""
    adapter = adapters[name]
    for number, samples in enumerate(lengths):
        batch = noise(3, samples, seed + number)
        seeds = [seed, seed + 1, seed]
        together, codes = adapter.resynthesize(batch, seeds), adapter.encode(batch)
        for item in range(3):
            alone = batch[item : item + 1]
            torch.testing.assert_close(
                adapter.resynthesize(alone, seeds[item : item + 1])[0], together[item], atol=1e-5, rtol=0
            )
            for many, one in zip(codes, adapter.encode(alone), strict=True):
                assert torch.equal(many[item], one[0])


@pytest.mark.parametrize("name", VARIANTS)
def test_decode_of_codes_is_the_resynthesis(adapters: dict[str, Adapter], name: str) -> None:
    adapter = adapters[name]
    wav = noise(2, 60_000)
    out = adapter.resynthesize(wav, [3, 4])
    assert out.dtype == torch.float32
    assert abs(out.shape[1] - wav.shape[1]) < adapter.hop
    decoded = adapter.decode(adapter.encode(wav), [3, 4])[:, : out.shape[1]]
    torch.testing.assert_close(decoded, out, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", VARIANTS)
def test_codes_have_the_contracts_shape(adapters: dict[str, Adapter], name: str) -> None:
    adapter = adapters[name]
    codes = adapter.encode(noise(2, 48_000))
    assert isinstance(codes, Codes)
    assert all(scale.dtype == torch.int64 and scale.ndim == 3 and scale.shape[0] == 2 for scale in codes)
    assert sum(scale.shape[1] for scale in codes) == adapter.codebooks
    assert len(set(codes[-1].flatten().tolist())) > 1, "one code everywhere would prove nothing"


def test_seeds_decide_the_random_step(adapters: dict[str, Adapter]) -> None:
    adapter = adapters["snac_24khz"]
    wav = noise(1, 10_000)
    assert torch.equal(adapter.resynthesize(wav), adapter.resynthesize(wav, [0]))
    assert not torch.equal(adapter.resynthesize(wav, [0]), adapter.resynthesize(wav, [1]))


@pytest.mark.parametrize(
    ("wav", "seeds"),
    [
        (torch.zeros(1, 100, dtype=torch.float64), None),
        (torch.zeros(100), None),
        (torch.zeros(1, 8, 100), None),
        (torch.zeros(1, 0), None),
        (torch.zeros(2, 100), [1]),
        ("noise", None),
    ],
)
def test_wrong_input_is_refused(adapters: dict[str, Adapter], wav: object, seeds: list[int] | None) -> None:
    with pytest.raises(codec_adapters.InputError, match="snac_24khz"):
        adapters["snac_24khz"].resynthesize(wav, seeds)  # type: ignore[arg-type]


def test_wrong_codes_are_refused(adapters: dict[str, Adapter]) -> None:
    for codes in ([], [torch.zeros(1, 3)], [torch.zeros(1, 3, 4)]):
        with pytest.raises(codec_adapters.InputError, match="int64"):
            adapters["dac_16khz"].decode(codes)


@pytest.mark.parametrize("name", ["encodec_24khz_6kbps", "dac_16khz", "mimi_8codebooks"])
def test_codes_that_are_no_entries_are_refused(adapters: dict[str, Adapter], name: str) -> None:
    codes = adapters[name].encode(noise(1, 8000))[0]
    for wrong in ([codes, codes], [codes[:, :, :0]], [codes + 64], [codes - 64], [codes.repeat(1, 40, 1)]):
        with pytest.raises(codec_adapters.InputError, match=f"{name}: codes must be"):
            adapters[name].decode(wrong)


def test_options_override_the_variants_own(tiny: dict[str, Path]) -> None:
    folder = tiny["dac_16khz"]
    few = codec_adapters.load("dac_16khz", checkpoint=folder, options={"codebooks": 3})
    assert few.codebooks == 3
    assert few.encode(noise(1, 3200))[0].shape == (1, 3, 10)
    with pytest.raises(codec_adapters.OptionError, match="unknown option 'bandwidth'; its options: codebooks"):
        codec_adapters.load("dac_16khz", checkpoint=folder, options={"bandwidth": 6.0})
    with pytest.raises(codec_adapters.OptionError, match="must be int"):
        codec_adapters.load("dac_16khz", checkpoint=folder, options={"codebooks": "3"})
    with pytest.raises(codec_adapters.OptionError, match="1 to 12, got 13"):
        codec_adapters.load("dac_16khz", checkpoint=folder, options={"codebooks": 13})
    with pytest.raises(codec_adapters.OptionError, match=r"1\.5, 3\.0, 6\.0"):
        codec_adapters.load("encodec_24khz_6kbps", checkpoint=tiny["encodec_24khz_6kbps"], options={"bandwidth": 7})


def test_a_default_takes_what_a_smaller_checkpoint_has(tiny: dict[str, Path]) -> None:
    assert codec_adapters.load("dac_24khz", checkpoint=tiny["dac_16khz"]).codebooks == 12  # of the variant's 32


def test_device_and_dtype_are_checked(tiny: dict[str, Path]) -> None:
    with pytest.raises(codec_adapters.OptionError, match="dtype 'int8'"):
        codec_adapters.load("dac_16khz", checkpoint=tiny["dac_16khz"], dtype="int8")
    with pytest.raises(codec_adapters.OptionError, match="device 'nonsense'"):
        codec_adapters.load("dac_16khz", checkpoint=tiny["dac_16khz"], device="nonsense")


def test_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(codec_adapters.UnknownVariantError, match="did you mean encodec_24khz_6kbps"):
        codec_adapters.spec("encodec_24khz_6kpbs")


def test_specs_are_consistent() -> None:
    for name in (spec.name for spec in builtin_catalogue().codecs()):
        spec = codec_adapters.spec(name)
        assert spec.name == name
        assert spec.label == LABELS[spec.family]
        assert spec.frame_rate == spec.sample_rate / spec.hop
        assert spec.code_licence
        assert spec.weights_licence
        assert spec.paper
        assert spec.repo
        assert spec.bitrate > 0


def test_official_figures_follow_from_the_networks() -> None:
    """What the variant files say is what the adapters compute from the official configurations."""
    encodec = codec_adapters.spec("encodec_24khz_6kbps")
    assert encodec.bitrate == encodec.frame_rate * encodec.codebooks * 10
    mimi = codec_adapters.spec("mimi_8codebooks")
    assert mimi.bitrate == mimi.frame_rate * mimi.codebooks * 11
    snac = codec_adapters.spec("snac_24khz")
    assert snac.bitrate == snac.frame_rate * (1 + 1 / 2 + 1 / 4) * 12
    lyra = codec_adapters.spec("lyra_v2_9_2kbps")
    assert lyra.bitrate == lyra.frame_rate * lyra.codebooks * 4
