"""Python codecs in the shapes that they commonly have: what they take, what they return, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from codec_adapters import CheckpointError, InputError
from codec_adapters.base import Adapter
from codec_adapters.errors import DocumentError, OutputError
from codec_adapters.external.adapters.outputs import as_wave
from codec_adapters.external.codec_file import read_codec_file
from codec_adapters.external.python import PythonBackend
from tests.kit.external_codecs import adapter_source, entry_of, loaded, python_file

WAV = torch.rand(3, 4000, generator=torch.Generator().manual_seed(1)) - 0.5
HEAD = """
import dataclasses, torch
import numpy as np
from collections import namedtuple

def coded(wav):  # [batch, samples] -> [batch, 3, frames]
    return (wav[:, ::160] * 100).long()[:, None] + torch.arange(3)[:, None]

def decoded(codes):  # [batch, 3, frames] -> [batch, samples]
    return codes[:, 0].repeat_interleave(160, 1) / 100
"""
EXPECTED = ((WAV[:, ::160] * 100).long() / 100).repeat_interleave(160, 1)


def pair(encode: str, decode: str, arguments: str = "codes", head: str = "", make: str = "pass") -> str:
    return (
        f"{HEAD}{head}\nclass codec:\n    def __init__(self): {make}\n"
        f"    def encode(self, wav): {encode}\n    def decode(self, {arguments}): {decode}\n"
    )


CHANNEL = "assert wav.ndim == 3 and wav.shape[1] == 1, wav.shape; "
OUTPUT = """
@dataclasses.dataclass
class Output:
    audio_codes: torch.Tensor = None
    audio_scales: torch.Tensor = None
    audio_values: torch.Tensor = None
Coded = namedtuple("Coded", "codes scale")
"""
FORMS: dict[str, tuple[str, dict[str, Any], tuple[str | None, str | None, str | None]]] = {
    "[B, T]": (pair("return coded(wav)", "return decoded(codes)"), {}, ("BS", "BKT", "whole")),
    "[B, 1, T]": (
        pair(f"{CHANNEL}return coded(wav[:, 0])", "return decoded(codes)[:, None]"),
        {},
        ("BCS", "BKT", "whole"),
    ),
    "[B, 1, T] in batches": (
        pair(f"{CHANNEL}return coded(wav[:, 0])", "return decoded(codes)[:, None]"),
        {"batched": True},
        ("BCS", "BKT", "whole"),
    ),
    "[T]": (
        pair("assert wav.ndim == 1; return coded(wav[None])[0]", "return decoded(codes[None])[0]"),
        {},
        ("S", None, "whole"),
    ),
    "numpy [T]": (
        pair(
            "assert wav.ndim == 1; return coded(torch.from_numpy(wav)[None]).numpy()",
            "return decoded(torch.from_numpy(codes))[0].numpy().astype('float64')",
        ),
        {"numpy": True},
        ("S", None, "whole"),
    ),
    "codes and scale as two arguments": (
        pair(f"{CHANNEL}return coded(wav[:, 0]), wav.new_ones(1, 1)", "return decoded(codes) * scale", "codes, scale"),
        {},
        ("BCS", None, "parts"),
    ),
    "codes and scale as one": (
        pair(f"{CHANNEL}return coded(wav[:, 0]), wav.new_ones(1, 1)", "return decoded(codes[0]) * codes[1]"),
        {},
        ("BCS", None, "whole"),
    ),
    "codes and scale of which codes are taken": (
        pair("return coded(wav), None", "assert torch.is_tensor(codes); return decoded(codes)"),
        {},
        ("BS", None, "first"),
    ),
    "a dictionary taken by name": (
        pair("return {'s': wav.new_ones(1, 1), 'c': coded(wav)}", "return {'audio': decoded(c) * s}", "c, s"),
        {},
        ("BS", None, "parts"),
    ),
    "a named tuple": (
        pair("return Coded(coded(wav), 1.0)", "return decoded(codes) * scale", "codes, scale", OUTPUT),
        {},
        ("BS", None, "parts"),
    ),
    "an output class": (
        pair(
            "return Output(coded(wav), wav.new_ones(1, 1))",
            "return Output(audio_values=decoded(audio_codes)[:, None] * audio_scales)",
            "audio_codes, audio_scales, audio_values=None",
            OUTPUT,
        ),
        {},
        ("BS", None, "parts"),
    ),
    "a list of scales": (
        pair("return [coded(wav), coded(wav)[:, :, ::2]]", "return [decoded(codes[0])]"),
        {},
        ("BS", None, "whole"),
    ),
    "codebooks first": (
        pair("return coded(wav).transpose(0, 1)", "return decoded(codes.transpose(0, 1))"),
        {},
        ("BS", "KBT", "whole"),
    ),
}


@pytest.mark.parametrize("kind", FORMS)
def test_the_form_is_found_and_every_clip_is_made_in_it(kind: str, tmp_path: Path) -> None:
    code, settings, form = FORMS[kind]
    backend = python_file(tmp_path, code, **settings)
    adapter = loaded(tmp_path, backend)
    assert torch.equal(adapter.resynthesize(WAV), EXPECTED)
    settled = backend.settled(adapter)
    assert (settled.layout, settled.codes, settled.decoder_takes) == form
    again = loaded(tmp_path, settled)
    assert torch.equal(again.resynthesize(WAV), EXPECTED)
    if form[1] is None:
        with pytest.raises(InputError, match=r"added: .*(only resynthesize|python\.codes must say)"):
            again.encode(WAV)
    else:
        assert again.encode(WAV)[0].shape == (3, 3, 25)
        assert torch.equal(again.decode(again.encode(WAV)), EXPECTED)


@pytest.mark.parametrize(
    ("code", "layout"),
    [
        ("def codec(wav):\n    assert wav.ndim == 2\n    return wav / 2\n", "BS"),
        ("def codec(wav):\n    assert wav.shape[:2] == (1, 1)\n    return wav / 2\n", "BCS"),
        ("def codec(wav):\n    assert wav.ndim == 1\n    return wav / 2\n", "S"),
        ("def codec(wav, seed):\n    assert wav.ndim == 3\n    return {'waveform': wav / 2, 'loss': seed}\n", "BCS"),
        ("def codec(wav):\n    return wav[0, :4000] / 2\n", "BS"),
        ("def codec(wav):\n    return [wav[0] / 2]\n", "BS"),
        ("def codec(wav):\n    return (wav.double().numpy() / 2,)\n", "BS"),
        ("import torch\ncodec = torch.nn.Conv1d(1, 1, 1, bias=False)\ncodec.weight.data.fill_(0.5)\n", "BS"),
        ("def codec(wav):\n    assert wav.shape == (1, 1, 4000)\n    return wav / 2\n", None),
    ],
)
def test_functions(code: str, layout: str | None, tmp_path: Path) -> None:
    backend = python_file(tmp_path, code)
    adapter = loaded(tmp_path, backend)
    settled = backend.settled(adapter)
    if layout is None:  # it cannot be tried, since it takes one length
        stated = settled.model_copy(update={"layout": "BCS"})
        assert torch.equal(loaded(tmp_path, stated).resynthesize(WAV), WAV / 2)
        return
    assert (settled.layout, settled.decoder_takes) == (layout, None)
    assert torch.equal(adapter.resynthesize(WAV), WAV / 2)


def test_the_codec_that_makes_clips_has_seen_none(tmp_path: Path) -> None:
    code = (
        "class codec:\n    seen = 0\n    def __call__(self, wav):\n"
        "        self.seen += 1\n        return wav / self.seen\n"
    )
    adapter = loaded(tmp_path, python_file(tmp_path, code))
    assert torch.equal(adapter.resynthesize(WAV[:1]), WAV[:1])


def test_what_is_stated_is_not_tried_and_only_what_is_stated_is_in_the_key(tmp_path: Path) -> None:
    backend = python_file(tmp_path, "def codec(wav): return wav / 2\n")
    assert "layout" not in backend.settings()
    assert '"layout": "BCS"' in backend.model_copy(update={"layout": "BCS"}).settings()
    one = "calls = []\ndef codec(wav):\n    calls.append(wav)\n    assert len(calls) == 1\n    return wav / 2\n"
    adapter = loaded(tmp_path, python_file(tmp_path, one, layout="BS"))
    assert torch.equal(adapter.resynthesize(WAV[:1]), WAV[:1] / 2)


def test_a_layout_without_batch_takes_no_batches(tmp_path: Path) -> None:
    entry_of(tmp_path, python_file(tmp_path, "def codec(wav): return wav\n", layout="BS", batched=True))
    path = tmp_path / "added.yaml"
    path.write_text(path.read_text().replace("layout: BS", "layout: S"))
    with pytest.raises(DocumentError, match="layout: S has no axis for a batch"):
        read_codec_file(path)
    with pytest.raises(CheckpointError, match="--layout TS: is none of BS, BCS, S"):
        PythonBackend.from_user(tmp_path, "mine:codec", layout="TS")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("(wav, wav)", r"gave tuple of 2: float32 \[1, 4000\], float32 \[1, 4000\], expected a float waveform"),
        ("(wav, 16000)", r"gave tuple of 2: float32 \[1, 4000\], int, expected"),
        ("wav.to(torch.complex64)", r"gave complex64 \[1, 4000\], expected"),
        ("(wav * 30000).short()", r"gave int16 \[1, 4000\], expected"),
        ("wav > 0", r"gave bool \[1, 4000\], expected"),
        ("wav.repeat(2, 1)", r"gave float32 \[2, 4000\], expected a float waveform \[1, samples\]"),
        ("wav.tolist()", r"gave list of 1: list of 4000, expected"),
        ("wav[0].tolist()", r"gave list of 4000: float, float, float, \.\.\., expected"),
        ("[]", "gave list of 0, expected"),
        ("None", "gave None, expected"),
        ("{}", "gave dict, expected"),
        ("{'a': wav, 'b': wav}", "gave dict, expected"),
        ("0.5", "gave float, expected"),
        ("wav.sum()", r"gave float32 \[\], expected"),
        ("wav.reshape(-1, 1)", r"gave float32 \[4000, 1\], expected"),
        ("wav.numpy().astype(object)", r"gave ndarray object \[1, 4000\], expected"),
        ("np.array(['a'])", r"gave ndarray <U1 \[1\], expected"),
        ("wav.to_sparse()", "gave float32 .*sparse_coo, expected"),
        ("wav.to('meta')", "gave float32 .*on no device, expected"),
        ("codec", "gave function, expected"),
        ("[][1]", r"failed \(IndexError: list index out of range\)"),
        ("int('x\\ny')", r"failed \(ValueError: invalid literal"),
        ("[].no_such", r"failed \(AttributeError: "),
        ("exec('raise KeyError')", r"failed \(KeyError\)$"),
        ("exec('raise ValueError(chr(10))')", r"failed \(ValueError\)$"),
        ("exec('import sys; sys.exit(0)')", r"failed \(SystemExit: 0\)$"),
    ],
)
def test_what_is_no_waveform_is_named_in_one_line(value: str, words: str, tmp_path: Path) -> None:
    adapter = loaded(tmp_path, python_file(tmp_path, f"{HEAD}\ndef codec(wav):\n    return {value}\n"))
    with pytest.raises(OutputError, match=rf"^added: {words}") as refused:
        adapter.resynthesize(WAV)
    assert "\n" not in str(refused.value)
    # of decode, too
    adapter = loaded(tmp_path, python_file(tmp_path, pair("return wav", f"return {value}", "wav")))
    with pytest.raises(OutputError, match=r"^added: (gave|failed)") as refused:
        adapter.resynthesize(WAV)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("raise ValueError", r"cannot be made \(ValueError\)$"),
        ("raise ValueError('')", r"cannot be made \(ValueError\)$"),
        ("raise ValueError('no\\nweights')", r"cannot be made \(ValueError: weights\)$"),
        ("exit(0)", r"cannot be made \(SystemExit: 0\)$"),
        ("import sys; sys.exit()", r"cannot be made \(SystemExit\)$"),
        ("self.encode = 5", "neither encode and decode nor a function"),
        ("raise MemoryError", r"cannot be made \(MemoryError\)$"),
    ],
)
def test_a_codec_that_cannot_be_made_is_one_line(make: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"^python: mine\.py:codec: .*{words}") as refused:
        loaded(tmp_path, python_file(tmp_path, pair("return wav", "return wav", "wav", make=make)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("(wav, wav)", r"gave tuple of 2: float32 \[3, 4000\]"),
        ("wav.to(torch.complex64)", "gave complex64"),
        ("wav.long()", "gave int64"),
        ("wav[:1]", r"gave float32 \[1, 4000\], expected float32 \[3, samples\]"),
        ("wav.tolist()", "gave list of 3"),
        ("wav[:, None]", r"gave float32 \[3, 1, 4000\]"),
        ("None", "gave None"),
    ],
)
def test_adapters_are_held_to_waveforms_too(value: str, words: str, tmp_path: Path) -> None:
    adapter = loaded(tmp_path, python_file(tmp_path, adapter_source(value)))
    assert isinstance(adapter, Adapter)
    with pytest.raises(OutputError, match=rf"^added: {words}"):
        adapter.resynthesize(WAV)


def test_a_layout_that_was_not_found_is_in_the_message(tmp_path: Path) -> None:
    code = "def codec(wav):\n    raise ValueError(f'{wav.ndim} axes')\n"
    adapter = loaded(tmp_path, python_file(tmp_path, code))
    with pytest.raises(OutputError, match=r"failed \(ValueError: 2 axes\); called as BS, since .*python\.layout"):
        adapter.resynthesize(WAV)


def test_items_of_a_batch_with_unequal_frames_are_refused(tmp_path: Path) -> None:
    count = "int(wav.abs().sum() * 1000) % 9"
    code = pair(f"return coded(wav[:, : 160 * (16 + {count})])", "return decoded(codes)")
    adapter = loaded(tmp_path, python_file(tmp_path, code, layout="BS", codes="BKT", decoder_takes="whole"))
    with pytest.raises(OutputError, match=r"added: codes of \[.*\] frames for inputs of equal length"):
        adapter.encode(WAV)
    code = pair("return coded(wav)", "return decoded(codes)[:, : 3000 + int(codes.abs().sum()) % 97]")
    adapter = loaded(tmp_path, python_file(tmp_path, code, layout="BS", codes="BKT", decoder_takes="whole"))
    with pytest.raises(OutputError, match=r"added: outputs of \[.*\] samples for codes of equal length"):
        adapter.decode(adapter.encode(WAV))


def test_items_of_a_batch_may_come_as_a_list() -> None:
    expected = WAV[:2]
    for made in ([WAV[0], WAV[1]], [WAV[:1], WAV[1:2]], [WAV[0].numpy(), WAV[1].numpy()], expected[:, None]):
        assert torch.equal(as_wave("x", made, 2), expected)
    with pytest.raises(OutputError, match=r"x: gave list of 2: float32 \[4000\], float32 \[3999\]"):
        as_wave("x", [WAV[0], WAV[1, 1:]], 2)
