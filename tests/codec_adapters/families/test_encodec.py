"""EnCodec in chunks: what the 48 kHz model makes of every length is made of its chunks, one by one.

The expectations are computed with transformers' own parts and the published fade, and equal what the package
``encodec`` 0.1.1 computes with the same weights, bit for bit. (That package fails at 161 to 320 samples beyond a
multiple of 47,520, where the fade says what is right.)
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import codec_adapters
from codec_adapters.base import Adapter, Codes
from codec_adapters.external.codec_file import codec_file_entry
from codec_adapters.layers.chunks import Chunks
from codec_adapters.loading import load_codec
from tests.kit.external_codecs import codec_file, facts, transformers_part
from tests.kit.goldens import writable_copy
from tools.small_networks.codecs.encodec import random_encodec

CHUNK, STRIDE, HOP = 48000, 47520, 320
LENGTHS = (1, 319, 320, 47519, 47520, 47521, 47680, 47681, 47840, 47841, 48000, 48160, 95041, 95200, 95360, 142720)


@pytest.fixture(scope="module")
def adapter(tiny: dict[str, Path]) -> Adapter:
    return codec_adapters.load("encodec_48khz_6kbps", checkpoint=tiny["encodec_48khz_6kbps"])


def noise(batch: int, samples: int) -> Tensor:
    return 0.05 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(samples))


@torch.inference_mode()
def chunk_by_chunk(adapter: Adapter, wav: Tensor) -> tuple[list[Tensor], Tensor]:
    """The codes of each chunk, and the chunks decoded one by one and joined with triangular weights."""
    model = adapter.model  # type: ignore[attr-defined]
    stereo = wav[:, None].expand(-1, 2, -1)
    coded = [
        model._encode_frame(stereo[..., start : start + CHUNK], 6.0) for start in range(0, stereo.shape[-1], STRIDE)
    ]
    decoded = [model._decode_frame(codes, scale).double() for codes, scale in coded]
    middle = (decoded[0].shape[-1] + 1) / 2
    total, weights = torch.zeros(2, *wav.shape, dtype=torch.float64).unbind()
    for place, chunk in enumerate(decoded):
        span = slice(place * STRIDE, min(place * STRIDE + chunk.shape[-1], wav.shape[1]))
        weight = middle - (torch.arange(1, 1 + span.stop - span.start, dtype=torch.float64) - middle).abs()
        total[:, span] += weight * chunk.mean(dim=1)[:, : len(weight)]
        weights[:, span] += weight
    return [codes for codes, _ in coded], (total / weights).float()


@pytest.mark.parametrize("samples", LENGTHS)
def test_every_length_is_coded_chunk_by_chunk(adapter: Adapter, samples: int) -> None:
    wav = noise(1, samples)
    codes, expected = chunk_by_chunk(adapter, wav)
    found = adapter.encode(wav)
    assert torch.equal(found[0], torch.cat(codes, dim=-1))
    assert found.side["scale"].shape == (1, len(codes))
    torch.testing.assert_close(adapter.resynthesize(wav), expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(adapter.decode(found)[:, :samples], expected, atol=2e-6, rtol=0)


def test_items_of_a_batch_have_chunks_of_their_own(adapter: Adapter) -> None:
    wav = noise(3, 47680)
    together = adapter.resynthesize(wav)
    for item in range(3):
        torch.testing.assert_close(adapter.resynthesize(wav[item : item + 1])[0], together[item], atol=1e-5, rtol=0)


@pytest.mark.parametrize("samples", [47600, 47840, 95200])
def test_a_chunked_model_from_a_codec_file_gives_the_same(adapter: Adapter, tmp_path: Path, samples: int) -> None:
    random_encodec(tmp_path / "model", stereo=True)
    stated = facts(sample_rate=48000, hop=HOP, codebooks=6, bitrate=6 * 150 * 6)
    added = load_codec(
        codec_file_entry(
            codec_file(tmp_path, "added", transformers_part(tmp_path, "model"), stated, {"bandwidth": 6.0})
        )
    )
    wav = noise(2, samples)
    assert torch.equal(added.resynthesize(wav), adapter.resynthesize(wav))


def test_levels_of_another_number_of_chunks_are_refused(adapter: Adapter) -> None:
    found = adapter.encode(noise(2, 50_000))
    with pytest.raises(codec_adapters.InputError, match=r"side 'scale' must be \[2, 2\], one for each chunk"):
        adapter.decode(Codes(found, {"scale": torch.ones(2, 1)}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"overlap": 1.0},
        {"overlap": -0.5},
        {"overlap": None},
        {"chunk_length_s": 0.0},
        {"chunk_length_s": -1.0},
    ],
)
def test_chunks_that_cannot_be_are_refused(tiny: dict[str, Path], tmp_path: Path, wrong: dict[str, float]) -> None:
    folder = writable_copy(tiny["encodec_48khz_6kbps"], tmp_path / "checkpoint")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    with pytest.raises(codec_adapters.CheckpointError, match=r"config\.json: .*overlap"):
        codec_adapters.load("encodec_48khz_6kbps", checkpoint=folder)


def test_the_output_of_the_chunked_model_has_a_version_of_its_own() -> None:
    assert codec_adapters.spec("encodec_48khz_24kbps").version == 2
    assert codec_adapters.spec("encodec_24khz_6kbps").version == 1


@given(
    hop=st.integers(1, 50),
    length=st.integers(1, 400),
    share=st.floats(0.05, 1),
    samples=st.integers(1, 2000),
)
def test_the_number_of_frames_tells_the_chunks(hop: int, length: int, share: float, samples: int) -> None:
    chunks = Chunks(length, max(1, int(share * length)), hop)
    frames = chunks.frames(samples)
    assert chunks.frames_of(sum(frames)) == frames


def test_a_number_of_frames_that_no_clip_has_is_none() -> None:
    assert Chunks(4, 2, 2).frames_of(2) is None  # 2 samples have one frame, 3 have 2 and 1
    assert Chunks(4, 2, 2).frames_of(3) == [2, 1]
