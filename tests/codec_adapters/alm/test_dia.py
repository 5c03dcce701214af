"""Dia: its delays against the library's processor, its end, its limits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DiaProcessor

from codec_adapters import CheckpointError, InputError, OptionError, alm
from codec_adapters.alm.base import Prompt
from codec_adapters.alm.codebooks import undelayed
from codec_adapters.alm.dia import Dia
from tools.small_networks.alms.tokenizer import CODES

DELAYS = [0, 8, 9, 10, 11, 12, 13, 14, 15]


def loaded(tiny: dict[str, Path], tiny_alms: dict[str, Path], **options: Any) -> Dia:
    model = alm.load("dia", tiny_alms["dia"], tiny["dac_44khz"], options={"max_seconds": 0.3, **options})
    assert isinstance(model, Dia)
    return model


def delayed(table: torch.Tensor, revert: bool) -> torch.Tensor:
    """``table`` ``[1, steps, channels]`` through the library's own delays."""
    indices = DiaProcessor.build_indices(1, table.shape[1], 9, DELAYS, revert=revert)
    shifted: torch.Tensor = DiaProcessor.apply_audio_delay(table, CODES + 1, CODES + 2, indices)
    return shifted


def test_delays_are_the_librarys(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    start = torch.full((1, 16, 9), CODES + 1)
    start[:, 0] = CODES + 2
    assert torch.equal(loaded(tiny, tiny_alms)._start(), delayed(start, revert=False))
    written = torch.randint(0, CODES, (1, 40, 9), generator=torch.Generator().manual_seed(1))
    assert torch.equal(undelayed(written[0].T, DELAYS), delayed(written, revert=True)[0, : 40 - 15].T)


def test_the_clip_ends_where_the_first_channel_does(
    tiny: dict[str, Path], tiny_alms: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(tiny, tiny_alms)
    written = torch.randint(0, CODES, (1, 1 + 30 + 15, 9), generator=torch.Generator().manual_seed(2))
    written[0, 1 + 20 :, 0] = CODES
    monkeypatch.setattr(model.model, "generate", lambda *args, **options: written)
    (made,) = model.generate([Prompt("x/y", "Hi")], [1])
    assert (made.frames, made.stop, made.cut) == (20, "eos", 0)
    assert abs(made.wav.numel() - 20 * model.codec.hop) < model.codec.hop
    written[0, 1 + 5 + 8, 1] = CODES + 1  # frame 5 of the second channel is no code
    (made,) = model.generate([Prompt("x/y", "Hi")], [1])
    assert (made.frames, made.cut) == (5, 1)


def test_text_is_bytes_behind_the_speakers_tag(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    model = loaded(tiny, tiny_alms)
    assert model._text(Prompt("x/y", "Hé")) == [1, 32, 72, 0xC3, 0xA9]
    with pytest.raises(InputError, match="prompt x/y: has 66 bytes of text, Dia reads 64"):
        model.generate([Prompt("x/y", "a" * 64)], [1])


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"temperature": 0.7}, "temperature must be at least 1"), ({"max_seconds": 20.0}, "needs .* positions")],
)
def test_options_that_cannot_be_met_are_refused(
    tiny: dict[str, Path], tiny_alms: dict[str, Path], options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(OptionError, match=reason):
        loaded(tiny, tiny_alms, **options)


def test_a_codec_of_another_size_is_refused(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="speaks 9 codebooks of 64, dac_44khz has 4 of 64"):
        alm.load("dia", tiny_alms["dia"], tiny["dac_44khz"], codec_options={"codebooks": 4})


def test_delays_of_another_number_than_codebooks_are_refused(
    tiny: dict[str, Path], tiny_alms: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_alms["dia"], tmp_path / "dia")
    config = json.loads((folder / "config.json").read_text())
    config["delay_pattern"] = DELAYS[:8]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"cannot be loaded as dia|has 8 delays for 9 codebooks"):
        alm.load("dia", folder, tiny["dac_44khz"])
