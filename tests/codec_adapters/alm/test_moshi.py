"""Moshi's full-duplex loop against the tokens that upstream's own streaming inference drew from the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import MoshiForConditionalGeneration

from codec_adapters import CheckpointError, alm
from codec_adapters.alm.base import Prompt
from codec_adapters.alm.moshi import DuplexLoop, Moshi, Samplers
from codec_adapters.alm.sampling import Sampler
from codec_adapters.families.pretrained import load_pretrained
from tests.kit.synthetic import voice


def test_the_tokens_are_upstreams(shared: Path) -> None:
    golden = shared / "facts" / "alm" / "tiny" / "moshi_duplex_golden"
    model = load_pretrained(MoshiForConditionalGeneration, golden, spare_parts=("audio_encoder",))
    expected = load_file(golden / "io.safetensors")
    loop = DuplexLoop(model, Samplers(Sampler(0.0), Sampler(0.0)))
    with torch.inference_mode():
        text, audio = loop.run(expected["user_codes"], [torch.Generator()])
    assert torch.equal(audio, expected["audio_codes"])
    assert torch.equal(text, expected["text_tokens"])


@pytest.fixture(scope="module")
def model(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> Moshi:
    loaded = alm.load(
        "moshiko", tiny_alms["moshiko"], tiny["mimi_8codebooks"], options={"silence_seconds": 0.5, "max_seconds": 1.6}
    )
    assert isinstance(loaded, Moshi)
    return loaded


def prompt(seconds: float, seed: int = 1) -> Prompt:
    return Prompt(f"x/{seed}", audio=torch.from_numpy(voice(seconds, 24000, seed)))


@pytest.mark.slow
def test_moshi_is_heard_as_long_as_it_hears(model: Moshi) -> None:
    made = model.generate([prompt(0.4), prompt(0.8), prompt(9.0)], [1, 2, 3])
    assert [one.frames for one in made] == [12, 17, 20]  # prompt and silence in frames of 80 ms, up to max_seconds
    assert [one.wav.numel() for one in made] == [frames * 1920 for frames in (12, 17, 20)]
    assert {one.stop for one in made} == {"length"}
    assert all(one.text for one in made)


@pytest.mark.slow
def test_prompts_of_different_lengths_run_together(model: Moshi) -> None:
    """The path of a GPU, on the CPU."""
    prompts = [prompt(0.4, 1), prompt(0.9, 2), prompt(0.4, 3)]
    with torch.inference_mode():
        together = model._generate(prompts, [4, 5, 6])
    for one, alone in zip(together, model.generate(prompts, [4, 5, 6]), strict=True):
        assert one.text == alone.text
        torch.testing.assert_close(one.wav, alone.wav, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_moshi_hears_the_prompt(model: Moshi) -> None:
    first, second = model.generate([prompt(0.5, 1), prompt(0.5, 2)], [7, 7])
    assert not torch.equal(first.wav, second.wav)


def test_a_codec_of_another_size_is_refused(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="speaks 8 codebooks of 64, mimi_8codebooks has 4 of 64"):
        alm.load("moshiko", tiny_alms["moshiko"], tiny["mimi_8codebooks"], codec_options={"codebooks": 4})
