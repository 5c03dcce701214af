"""Orpheus: its prompt, its slots, its repetition penalty."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import RepetitionPenaltyLogitsProcessor

from codec_adapters import CheckpointError, OptionError, alm
from codec_adapters.alm.base import Prompt
from codec_adapters.alm.orpheus import Orpheus
from codec_adapters.alm.sampling import penalised
from tools.small_networks.alms.tokenizer import CODES, write_tokenizer


def loaded(tiny: dict[str, Path], folder: Path, **options: float | str) -> Orpheus:
    model = alm.load("orpheus", folder, tiny["snac_24khz"], options={"max_seconds": 1.0, **options})
    assert isinstance(model, Orpheus)
    return model


def test_the_cached_loop_draws_what_whole_passes_would(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    """Greedy, without a cache, in the terms of ``transformers``' own penalty."""
    model = loaded(tiny, tiny_alms["orpheus"], temperature=0.0, max_seconds=0.4)
    ids = torch.tensor([[104, *model.tokenizer.ids("tara: ab"), 100, 105, 106, 102]])
    with torch.inference_mode():
        codes, stop = model._codes(ids, torch.Generator())
    penalty = RepetitionPenaltyLogitsProcessor(1.3)
    for number, code in enumerate(codes):
        with torch.inference_mode():
            scores = penalty(ids, model.model(ids).logits[:, -1])[0]
        first = 111 + (number % 7) * CODES
        assert code == scores[first : first + CODES].argmax()
        ids = torch.cat([ids, torch.tensor([[first + code]])], dim=1)
    assert stop == "length"
    assert len(codes) == 4 * 7


def test_the_prompt_is_upstreams(
    tiny: dict[str, Path], tiny_alms: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(tiny, tiny_alms["orpheus"], voice="leo")
    seen: list[list[int]] = []

    def watched(ids: torch.Tensor, generator: torch.Generator) -> tuple[list[int], str]:
        seen.append(ids[0].tolist())
        return [], "eos"

    monkeypatch.setattr(model, "_codes", watched)
    (made,) = model.generate([Prompt("x/y", "Hi.")], [1])
    assert seen == [[104, *model.tokenizer.ids("leo: Hi."), 100, 105, 106, 102]]
    assert (made.frames, made.wav.numel(), made.stop) == (0, 0, "eos")


@pytest.mark.slow
def test_voice_text_and_seed_matter(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    made = [
        loaded(tiny, tiny_alms["orpheus"], voice=name).generate([Prompt("x/y", text)], [seed])[0]
        for name, text, seed in (("tara", "ab", 1), ("leo", "ab", 1), ("tara", "ba", 1), ("tara", "ab", 2))
    ]
    assert {one.wav.numel() for one in made} == {one.frames * 2048 for one in made}
    assert len({tuple(one.wav.tolist()) for one in made}) == 4


def test_the_penalty_is_the_librarys() -> None:
    logits = torch.tensor([[1.0, -1.0, 2.0, -2.0]])
    seen = torch.tensor([0, 1, 1])
    expected = RepetitionPenaltyLogitsProcessor(1.5)(seen[None], logits)
    assert torch.equal(penalised(logits, seen, 1.5), expected)
    assert torch.equal(penalised(logits, seen, 1.0), logits)


def test_what_does_not_fit_is_refused(tiny: dict[str, Path], tiny_alms: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="repetition_penalty must be above 0"):
        loaded(tiny, tiny_alms["orpheus"], repetition_penalty=0.0)
    with pytest.raises(OptionError, match="top_p must be above 0"):
        loaded(tiny, tiny_alms["orpheus"], top_p=0.0)
    for file in tiny_alms["orpheus"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_tokenizer(tmp_path)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: has no token <custom_token_2>"):
        loaded(tiny, tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: not a tokenizer"):
        loaded(tiny, tmp_path)
