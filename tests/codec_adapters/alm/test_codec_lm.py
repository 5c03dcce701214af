"""The codec language model: its token layout, its mask, its cache, its limits."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import codec_adapters
from codec_adapters import alm, registration
from codec_adapters.alm.base import Prompt
from codec_adapters.alm.codec_lm import CodecLm, TokenLayout, _Progress
from codec_adapters.alm.sampling import Sampler
from tests.kit.synthetic import voice
from tools.small_networks.alms.codec_lm import random_codec_lm

NAME = "codec_lm_mimi"


@pytest.fixture
def folders(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> tuple[Path, Path]:
    return tiny_alms[NAME], tiny["mimi_8codebooks"]


def loaded(folders: tuple[Path, Path], **options: Any) -> CodecLm:
    model = alm.load(NAME, *folders, options={"max_seconds": 1.0, **options})
    assert isinstance(model, CodecLm)
    return model


def prompt(seed: int = 0, seconds: float = 0.6) -> Prompt:
    return Prompt(f"vctk/{seed}", audio=torch.from_numpy(voice(seconds, 24000, seed)))


def drawn(model: CodecLm, wavs: torch.Tensor, seeds: list[int]) -> list[list[int]]:
    all_progress = [_Progress(torch.Generator().manual_seed(seed), []) for seed in seeds]
    with torch.inference_mode():
        model._run(model.layout.tokens(model.codec.encode(wavs)[0]), all_progress)
    return [progress.tokens for progress in all_progress]


def test_frames_stand_one_after_the_other() -> None:
    layout = TokenLayout(codebooks=2, codebook_size=10, first_code=5, bos=0, eos=1)
    codes = torch.tensor([[[1, 2, 3], [4, 5, 6]]])
    assert layout.tokens(codes).tolist() == [[6, 19, 7, 20, 8, 21]]


def test_the_cached_loop_draws_what_whole_passes_would(folders: tuple[Path, Path]) -> None:
    """Greedy: every token is the likeliest allowed one given all before it, computed without a cache."""
    model = loaded(folders, temperature=0.0)
    layout = model.layout
    wavs = torch.from_numpy(voice(0.5, 24000, 3))[None]
    (tokens,) = drawn(model, wavs, [0])
    ids = [layout.bos, *layout.tokens(model.codec.encode(wavs)[0])[0].tolist()]
    for position, code in enumerate(tokens):
        with torch.inference_mode():
            logits = model.model(torch.tensor([ids])).logits[0, -1]
        first = layout.level(position % layout.codebooks)
        assert code == logits[first : first + layout.codebook_size].argmax()
        ids.append(first + code)
    assert len(tokens) == 12 * layout.codebooks


@pytest.mark.slow
def test_a_batch_draws_what_each_prompt_draws_alone(folders: tuple[Path, Path]) -> None:
    """The path of a GPU, on the CPU: the networks' rounding is the one thing that a batch can change."""
    model = loaded(folders, top_k=20)
    wavs = torch.stack([torch.from_numpy(voice(0.5, 24000, seed)) for seed in range(4)])
    together = drawn(model, wavs, [5, 6, 7, 8])
    assert together == [drawn(model, wav[None], [seed])[0] for wav, seed in zip(wavs, [5, 6, 7, 8], strict=True)]
    assert len({tuple(tokens) for tokens in together}) == 4


def test_only_ids_of_the_level_in_turn_and_the_end_between_frames(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that always wants the end gets it, but only where a frame is whole."""
    model = loaded(folders, temperature=0.0)
    head = model.model.lm_head.weight
    with torch.no_grad():
        head.zero_()
    calls: list[tuple[int, ...]] = []
    original = Sampler.draw

    def watched(self: Sampler, logits: torch.Tensor, generators: Any) -> torch.Tensor:
        calls.append(tuple(logits.shape))
        if len(calls) == 17:  # the end wins at the third frame's start
            logits = logits.clone()
            logits[:, -1] = 1e9
        return original(self, logits, generators)

    monkeypatch.setattr(Sampler, "draw", watched)
    (made,) = model.generate([prompt()], [1])
    size = model.layout.codebook_size
    assert calls == [(1, size + 1 if step % 8 == 0 else size) for step in range(17)]
    assert (made.frames, made.stop, made.cut) == (2, "eos", 0)
    assert made.wav.numel() == 2 * model.codec.hop


def test_a_model_that_ends_at_once_gives_an_empty_clip(folders: tuple[Path, Path], tmp_path: Path) -> None:
    model = loaded(folders)
    with torch.no_grad():
        model.model.lm_head.weight.zero_()
        model.model.lm_head.weight[model.layout.eos] = 1e4 * model.model.model.norm.weight
    made = model.generate([prompt(seed) for seed in range(4)], [1, 2, 3, 4])
    assert {(m.frames, m.stop) for m in made} <= {(0, "eos"), (12, "length")}
    assert any(m.frames == 0 and m.wav.numel() == 0 for m in made)
    model.min_frames = 3
    longer = model.generate([prompt(seed) for seed in range(4)], [1, 2, 3, 4])
    assert min(m.frames for m in longer) >= 3


@pytest.mark.slow
def test_the_prompt_is_cut_and_comes_back_where_it_is_wanted(folders: tuple[Path, Path]) -> None:
    whole = prompt(seconds=1.2)
    cut = dataclasses.replace(whole, audio=whole.audio[: round(0.5 * 24000)] if whole.audio is not None else None)
    model = loaded(folders, prompt_seconds=0.5)
    (first,), (second,) = model.generate([whole], [1]), model.generate([cut], [1])
    assert torch.equal(first.wav, second.wav)
    (with_prompt,) = loaded(folders, prompt_seconds=0.5, with_prompt=True).generate([whole], [1])
    assert with_prompt.frames == first.frames == 12
    assert with_prompt.wav.numel() == first.wav.numel() + 7 * model.codec.hop


def test_it_runs_over_another_codec(tiny: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration._session, "entries", {})
    spec = dataclasses.replace(alm.spec(NAME), name="codec_lm_dac", codec_variant="dac_16khz")
    alm.register(spec, CodecLm)
    folder = random_codec_lm(tmp_path / "lm", codebooks=4)
    options = {"max_seconds": 0.2, "prompt_seconds": 0.2}
    model = alm.load("codec_lm_dac", folder, tiny["dac_16khz"], options=options, codec_options={"codebooks": 4})
    (made,) = model.generate([prompt()], [1])
    assert made.frames == 10
    with pytest.raises(codec_adapters.CheckpointError, match="made for 4 codebooks of 64, dac_16khz has 12 of 64"):
        alm.load("codec_lm_dac", folder, tiny["dac_16khz"])


def test_codecs_with_several_scales_are_refused(tiny: dict[str, Path], tmp_path: Path) -> None:
    model = loaded((random_codec_lm(tmp_path / "lm"), tiny["mimi_8codebooks"]))
    model._codec = codec_adapters.load("snac_24khz", tiny["snac_24khz"])
    with pytest.raises(codec_adapters.OptionError, match="snac_24khz has 3 scales of codes"):
        model.generate([prompt()], [1])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"codebooks": "8"}, "codebooks: Input should be a valid integer"),
        ({"bos": 70}, "bos and eos must be two ids outside"),
        ({"eos": 0}, "bos and eos must be two ids outside"),
        ({"eos": 9000}, "names id 9000, the model has 514 ids"),
        ({"codebook_size": 32}, "made for 8 codebooks of 32, mimi_8codebooks has 8 of 64"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(
    folders: tuple[Path, Path], tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    folder = tmp_path / "lm"
    shutil.copytree(folders[0], folder)
    path = folder / "token_layout.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(codec_adapters.CheckpointError, match=reason):
        loaded((folder, folders[1]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_seconds": 60.0}, "need .* positions, the checkpoint has 2048"),
        ({"temperature": -1.0}, "codec_lm_mimi: temperature must be 0 or above"),
        ({"top_k": -1}, "top_k must be 0"),
        ({"prompt_seconds": 0.0}, "prompt_seconds must be above 0"),
        ({"min_seconds": 11.0}, "min_seconds must be 0 to max_seconds"),
    ],
)
def test_options_that_cannot_be_met_are_refused(
    folders: tuple[Path, Path], options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(codec_adapters.OptionError, match=reason):
        loaded(folders, **options)


def test_sampling_follows_the_probabilities() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -torch.inf]]).expand(4000, 4)
    generators = [torch.Generator().manual_seed(seed) for seed in range(4000)]
    counts = torch.bincount(Sampler(1.0).draw(logits, generators), minlength=4) / 4000
    torch.testing.assert_close(counts, logits[0].softmax(0), atol=0.03, rtol=0)
    sharp = torch.bincount(Sampler(0.5).draw(logits, generators), minlength=4) / 4000
    torch.testing.assert_close(sharp, (2 * logits[0]).softmax(0), atol=0.03, rtol=0)
    assert set(Sampler(1.0, top_k=2).draw(logits, generators).tolist()) == {1, 2}
    assert set(Sampler(1.0, top_p=0.6).draw(logits, generators).tolist()) == {2}
    assert set(Sampler(1.0, top_p=0.7).draw(logits, generators).tolist()) == {1, 2}
    assert set(Sampler(0.0).draw(logits, generators).tolist()) == {2}
