"""Mini-Omni against the tokens that upstream's own code drew from the same random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from codec_adapters import CheckpointError, alm
from codec_adapters.alm.base import Prompt
from codec_adapters.alm.codebooks import before_bad_frames, snac_levels, undelayed
from codec_adapters.alm.mini_omni import DELAYS, AnswerLoop, MiniOmni, Specials
from codec_adapters.alm.mini_omni_network import AUDIO_ROWS, MiniOmniNetwork
from codec_adapters.alm.sampling import Sampler
from tests.kit.synthetic import voice


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "facts" / "alm" / "tiny" / "mini_omni_golden"


@pytest.fixture(scope="module")
def case(golden: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((golden / "case.json").read_text())
    return document


@pytest.fixture(scope="module")
def loop(golden: Path, case: dict[str, Any]) -> AnswerLoop:
    network = MiniOmniNetwork(golden, torch.device("cpu"), torch.float32)
    ids = case["ids"]
    return AnswerLoop(network, Specials(ids["eoa"]), Specials(ids["eot"]), Sampler(0.9, top_k=1))


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_the_tokens_are_upstreams(golden: Path, case: dict[str, Any], loop: AnswerLoop, name: str) -> None:
    expected = {key[2:]: value for key, value in load_file(golden / "io.safetensors").items() if key[0] == name}
    heard, facts = expected["whisper_feature"], case["cases"][name]
    assert torch.equal(loop.prompt_rows(heard.shape[1]) + loop.network.shift, expected["prompt_ids"])
    limit = facts["max_returned_tokens"] - heard.shape[1] - 3
    with torch.inference_mode():
        rows, stop = loop.run(heard, limit, torch.Generator())
    assert torch.equal(rows[:AUDIO_ROWS], expected["tokens"])
    assert torch.equal(rows[AUDIO_ROWS], expected["text_tokens"])
    assert stop == ("eos" if facts["stopped_on_eoa"] else "length")
    for level, stream in enumerate(snac_levels(undelayed(rows[:AUDIO_ROWS], DELAYS))):
        assert torch.equal(stream[:, 0], expected[f"snac_{level}"])


def test_frames_that_are_no_codes_are_never_decoded() -> None:
    table = torch.arange(35).view(7, 5) % 60
    assert before_bad_frames(table, 64)[1] == 0
    table[3, 2] = 64
    table[5, 4] = -1
    kept, cut = before_bad_frames(table, 64)
    assert torch.equal(kept, table[:, :2])
    assert cut == 2
    frames = [[int(kept[row, frame]) for row in (2, 3, 5, 6)] for frame in range(2)]
    assert snac_levels(kept)[2].flatten().tolist() == [*frames[0], *frames[1]]


@pytest.fixture
def folder(tiny_alms: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_alms["mini_omni"], tmp_path / "mini_omni"))


@pytest.mark.slow
def test_it_says_what_it_writes_and_hears_what_it_is_told(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    model = alm.load("mini_omni", tiny_alms["mini_omni"], tiny["snac_24khz"], options={"max_seconds": 2.0})
    wavs = [torch.from_numpy(voice(seconds, 16000, seed)) for seed, seconds in ((1, 0.5), (2, 0.5))]
    made = [model.generate([Prompt("x/y", audio=wav)], [seed])[0] for wav in wavs for seed in (1, 2)]
    assert all(isinstance(one.text, str) for one in made)
    assert [made[0].text, made[2].text] == [made[1].text, made[3].text]  # greedy: the seed reaches SNAC's noise only
    assert made[0].wav.shape == made[1].wav.shape
    assert not torch.equal(made[0].wav, made[1].wav)
    assert not torch.equal(made[0].wav, made[2].wav)
    assert made[0].wav.numel() == made[0].frames * 2048


def test_only_the_spoken_part_of_the_prompt_is_heard(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    model = alm.load("mini_omni", tiny_alms["mini_omni"], tiny["snac_24khz"])
    assert isinstance(model, MiniOmni)
    with torch.inference_mode():
        frames = [model.heard(torch.zeros(samples)).shape[1] for samples in (16000, 16319, 16320, 16000 * 40)]
    assert frames == [51, 51, 52, 1500]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n_layer": "2"}, "model_config.yaml: n_layer: Input should be a valid integer"),
        ({"post_adapter": True}, "post_adapter: Input should be False"),
        ({"n_query_groups": 4}, "wrongly shaped transformer.h.0.attn.attn.weight"),
        ({"padded_vocab_size": 200}, "cannot be loaded as qwen2|does not fit its config|padded_vocab_size is smaller"),
        ({"n_layer": 3}, "lacks model.layers.2"),
        ({"whisper_adapter_dim": 30}, "wrongly shaped fc_1.weight"),
        ({"audio_vocab_size": 60}, "60 audio ids, fewer than the codec's 64"),
    ],
)
def test_checkpoints_that_do_not_fit_are_refused(
    folder: Path, tiny: dict[str, Path], change: dict[str, Any], reason: str
) -> None:
    path = folder / "model_config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=reason):
        alm.load("mini_omni", folder, tiny["snac_24khz"])


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("whisper-small", "has no folder whisper-small"),
        ("tokenizer.json", "expected tokenizer.json"),
        ("lit_model.pth", "expected lit_model.pth"),
    ],
)
def test_missing_parts_are_named(folder: Path, tiny: dict[str, Path], missing: str, reason: str) -> None:
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(CheckpointError, match=reason):
        alm.load("mini_omni", folder, tiny["snac_24khz"])
