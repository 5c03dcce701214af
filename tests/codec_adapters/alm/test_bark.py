"""Bark's three stages against the library's own ``generate``, and its presets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BarkModel

from codec_adapters import CheckpointError, InputError, OptionError, alm
from codec_adapters.alm.bark import Bark
from codec_adapters.alm.base import Prompt


def loaded(tiny: dict[str, Path], folder: Path, **options: Any) -> Bark:
    model = alm.load("bark_small", folder, tiny["encodec_24khz_6kbps"], options={"max_seconds": 0.6, **options})
    assert isinstance(model, Bark)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("voice", ["", "v2/en_speaker_6"])
def test_codes_are_those_of_the_library(
    tiny: dict[str, Path], tiny_alms: dict[str, Path], monkeypatch: pytest.MonkeyPatch, voice: str
) -> None:
    model = loaded(tiny, tiny_alms["bark_small"], voice=voice)
    decoded: list[torch.Tensor] = []
    original = model.codec.decode

    def watched(codes: list[torch.Tensor], seeds: list[int]) -> torch.Tensor:
        decoded.append(codes[0])
        return original(codes, seeds)

    monkeypatch.setattr(model.codec, "decode", watched)
    model.generate([Prompt("x/y", "Hello")], [17])

    library = BarkModel.from_pretrained(tiny_alms["bark_small"]).eval()
    monkeypatch.setattr(library, "codec_decode", lambda fine, lengths=None: fine)
    ids = torch.zeros((1, 32), dtype=torch.int64)
    ids[0, :5] = torch.tensor(model.tokenizer.ids("Hello"))
    with torch.random.fork_rng():
        torch.manual_seed(17)
        expected = library.generate(
            input_ids=ids,
            attention_mask=(torch.arange(32) < 5).long()[None],
            history_prompt=model.voice,
            do_sample=True,
            semantic_max_new_tokens=29,
            semantic_min_eos_p=0.2,
            semantic_temperature=0.7,
            coarse_temperature=0.7,
            fine_temperature=0.5,
        )
    assert torch.equal(decoded[0], expected.long())


@pytest.mark.slow
def test_text_that_does_not_fit_is_refused_instead_of_cut(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    model = loaded(tiny, tiny_alms["bark_small"])
    for text, count in (("a" * 33, 33), ("", 0)):
        with pytest.raises(InputError, match=f"prompt x/y: has {count} tokens of text, Bark reads 1 to 32"):
            model.generate([Prompt("x/y", text)], [1])


@pytest.mark.slow
def test_presets_are_checked(tiny: dict[str, Path], tiny_alms: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_alms["bark_small"], tmp_path / "bark"))
    with pytest.raises(CheckpointError, match="option voice needs a preset of this checkpoint"):
        loaded(tiny, folder, voice="v2/en_speaker_7")
    for outside in ("../../elsewhere", "/etc/passwd"):
        with pytest.raises(OptionError, match="leads out of the checkpoint's speaker_embeddings"):
            loaded(tiny, folder, voice=outside)
    with pytest.raises(OptionError, match="fine_temperature must be above 0"):
        loaded(tiny, folder, fine_temperature=0.0)
    preset = folder / "speaker_embeddings" / "v2" / "en_speaker_6_fine_prompt.npy"
    np.save(preset, np.array([{"code": "runs"}], dtype=object), allow_pickle=True)
    with pytest.raises(CheckpointError, match="cannot be read as an array"):
        loaded(tiny, folder)
    np.save(preset, np.zeros(3))
    with pytest.raises(CheckpointError, match="has 1 axes, expected 2"):
        loaded(tiny, folder)


@pytest.mark.slow
def test_a_model_that_ends_at_once_says_nothing(
    tiny: dict[str, Path], tiny_alms: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(tiny, tiny_alms["bark_small"])
    monkeypatch.setattr(model, "_semantic", lambda prompt: torch.tensor([[40]]))
    (made,) = model.generate([Prompt("x/y", "Hello")], [1])
    assert (made.frames, made.stop, made.wav.numel()) == (0, "eos", 0)
