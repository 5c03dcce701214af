"""VALL-E against the codes that upstream's own code wrote with the same random weights, and its phonemes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from codec_adapters import CheckpointError, CodecError, InputError, alm
from codec_adapters.alm import phonemes as phonemes_module
from codec_adapters.alm.base import Prompt
from codec_adapters.alm.phonemes import PhoneTable, phonemes
from codec_adapters.alm.valle import Valle, load_network
from codec_adapters.alm.valle_network import MOST_FRAMES_PER_PHONE
from tests.kit.synthetic import voice


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_the_codes_are_upstreams(shared: Path, tmp_path: Path, name: str) -> None:
    golden = shared / "facts" / "alm" / "tiny" / "valle_golden"
    case = json.loads((golden / "case.json").read_text())
    facts = case["cases"][name]
    model = {**case["model"], "prefix_mode": facts["prefix_mode"]}
    (tmp_path / "args.json").write_text(json.dumps({"model": model}))
    shutil.copy(golden / "pytorch_model.bin", tmp_path)
    network = load_network(tmp_path)
    expected = {key[2:]: value for key, value in load_file(golden / "io.safetensors").items() if key[0] == name}
    phones, prompt = expected["phone_ids"], expected["prompt_codes"]
    with torch.inference_mode():
        first, ended = network.first_codebook(phones, prompt, facts["cap"], lambda logits: logits.argmax(dim=-1))
        codes = network.other_codebooks(phones, facts["enroll_len"], prompt, first)
    assert facts["cap"] == MOST_FRAMES_PER_PHONE * phones.shape[1] + 1
    assert ended == facts["stopped_on_eos"]
    assert torch.equal(codes, expected["codes"])


def loaded(tiny: dict[str, Path], folder: Path, **options: object) -> Valle:
    given = {"max_seconds": 0.5, "text_is_phonemes": True, **options}
    model = alm.load("valle", folder, tiny["encodec_24khz_6kbps"], options=given)  # type: ignore[arg-type]
    assert isinstance(model, Valle)
    return model


def prompt(text: str = "a b _ c", transcript: str = "d e") -> Prompt:
    return Prompt("x/y", text, torch.from_numpy(voice(0.3, 24000, 1)), "en", transcript)


@pytest.fixture
def folder(tiny_alms: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_alms["valle"], tmp_path / "valle"))


def test_the_prompt_is_not_in_the_clip(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    model = loaded(tiny, tiny_alms["valle"])
    made = [model.generate([prompt()], [seed])[0] for seed in range(4)]
    assert max(one.frames for one in made) <= 37  # max_seconds at 75 frames/s
    assert {one.wav.numel() for one in made} == {one.frames * 320 for one in made}
    assert len({tuple(one.wav.tolist()) for one in made}) == 4


def test_the_cap_grows_with_the_phones(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    model = loaded(tiny, tiny_alms["valle"], max_seconds=20.0)
    with torch.no_grad():
        model.network.ar_predict_layer.weight[-1] = 0  # the end stays below the likeliest code
    (made,) = model.generate([prompt("a", "b")], [3])
    assert made.frames <= MOST_FRAMES_PER_PHONE * 4 + 1


def test_phonemes_that_the_model_does_not_know_are_named(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="knows no phoneme ŋ, ʒ"):
        loaded(tiny, tiny_alms["valle"]).generate([prompt("a ʒ ŋ")], [1])


@pytest.mark.slow
def test_checkpoints_that_do_not_fit_are_refused(tiny: dict[str, Path], folder: Path) -> None:
    weights = next(folder.glob("checkpoint/*/pytorch_model.bin"))
    shutil.copy(weights, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="has several checkpoints, keep one: checkpoint/epoch"):
        loaded(tiny, folder)
    weights.unlink()
    assert loaded(tiny, folder).network.config.num_quantizers == 13
    args = folder / "args.json"
    document = json.loads(args.read_text().replace(",}", "}"))
    for change, reason in (
        ({"prefix_mode": 3}, "args.json: prefix_mode: Input should be 0, 1, 2 or 4"),
        ({"add_prenet": True}, "add_prenet: Input should be False"),
        ({"num_decoder_layers": 3}, "lacks ar_decoder.layers.2"),
        ({"num_quantizers": 8}, "has unknown nar_audio_embeddings.8"),
        ({"nhead": "4"}, "nhead: Input should be a valid integer"),
    ):
        args.write_text(json.dumps({"model": {**document["model"], **change}}))
        with pytest.raises(CheckpointError, match=reason):
            loaded(tiny, folder)
    args.write_text("{}")
    with pytest.raises(CheckpointError, match="has no section model"):
        loaded(tiny, folder)


def test_phone_tables_are_read_as_amphion_does(tmp_path: Path) -> None:
    path = tmp_path / "symbols.dict"
    path.write_text("b 7\na 3\n\n")
    table = PhoneTable(path)
    assert table.ids == {"<pad>": 0, "<bos>": 1, "<eos>": 2, "<eps>": 3, "a": 4, "b": 5}
    assert table.sequence(["b", "a"]) == [1, 5, 4, 2]
    path.write_text("a 1\nb\n")
    with pytest.raises(CheckpointError, match="line 2: expected a symbol and its id, found 'b'"):
        PhoneTable(path)


def test_phonemes_words_and_punctuation(monkeypatch: pytest.MonkeyPatch) -> None:
    """With recorded answers of espeak-ng, which need not be installed."""
    answers = {"Please call": " p_l_ˈiː_z k_ˈɔː_l\n", "Stella": " s_t_ˈɛ_l_ə\n", "A hot-dog": " ɐ h_ˈɑː_t_d_ˈɑː_ɡ\n"}
    monkeypatch.setattr(phonemes_module, "_espeak", lambda text, voice: answers[text])
    assert phonemes("Please call Stella.".replace(" Stella", ", Stella")) == [
        *("p", "l", "iː", "z", "_", "k", "ɔː", "l", ",", "_", "s", "t", "ɛ", "l", "ə", ".")
    ]
    assert phonemes("A hot-dog") == ["ɐ", "_", "h", "ɑː", "t", "d", "ɑː", "ɡ"]
    with pytest.raises(InputError, match="no phonemes come of the text ' '"):
        phonemes(" ")


def test_espeak_ng_itself() -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("the program espeak-ng is not installed")
    assert phonemes("Please call Stella, now!") == [
        *("p", "l", "iː", "z", "_", "k", "ɔː", "l", "_", "s", "t", "ɛ", "l", "ə", ",", "_", "n", "aʊ", "!")
    ]
    assert phonemes("-v de --version") != []  # a text is never an option


def test_without_espeak_ng_nothing_is_started(
    tiny: dict[str, Path], tiny_alms: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CodecError, match="espeak-ng is not installed: install it"):
        loaded(tiny, tiny_alms["valle"], text_is_phonemes=False)
