"""Graphs and scripts whose inputs or outputs are odd: each is refused by one line, or does what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from codec_adapters import CheckpointError
from codec_adapters.errors import OutputError
from codec_adapters.external.exported import ExportedBackend
from codec_adapters.external.onnx import OnnxBackend
from codec_adapters.files.pinned import PinnedFile
from tests.kit.external_codecs import loaded, torchscript
from tools.small_networks.graphs import write_exported

WAV = torch.rand(2, 4000, generator=torch.Generator().manual_seed(1)) - 0.5


def one_node(folder: Path, operator: str, outputs: list[tuple[str, Any]], **attributes: Any) -> OnnxBackend:
    """A graph of one node with the input ``wav``, and any outputs."""
    from onnx import TensorProto, helper

    def value(name: str, kind: Any) -> Any:
        if kind == "sequence":
            return helper.make_tensor_sequence_value_info(name, TensorProto.FLOAT, None)
        return helper.make_tensor_value_info(name, getattr(TensorProto, kind), ["b", "n"])

    if "to" in attributes:
        attributes["to"] = getattr(TensorProto, attributes["to"])
    nodes = [helper.make_node(operator, ["wav"], ["out"], **attributes), helper.make_node("Neg", ["wav"], ["more"])]
    graph = helper.make_graph(nodes, "g", [value("wav", "FLOAT")], [value(*output) for output in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "g.onnx").write_bytes(model.SerializeToString())
    return OnnxBackend(round_trip=PinnedFile.at(folder / "g.onnx", folder))


@pytest.mark.parametrize(
    ("operator", "outputs", "attributes", "words"),
    [
        ("Identity", [("out", "FLOAT"), ("more", "FLOAT")], {}, r"gives out tensor\(float\), more tensor\(float\); ex"),
        ("Identity", [], {}, "gives nothing; expected one waveform"),
        ("Cast", [("out", "INT64")], {"to": "INT64"}, "gives whole numbers; expected a float waveform"),
        ("Cast", [("out", "BOOL")], {"to": "BOOL"}, r"gives out tensor\(bool\)"),
        ("Cast", [("out", "STRING")], {"to": "STRING"}, r"gives out tensor\(string\)"),
        ("Cast", [("out", "BFLOAT16")], {"to": "BFLOAT16"}, r"gives out tensor\(bfloat16\)"),
        ("SequenceConstruct", [("out", "sequence")], {}, r"gives out seq\(tensor\(float\)\)"),
    ],
)
def test_onnx_outputs_that_are_refused(
    operator: str, outputs: list[tuple[str, Any]], attributes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnx", reason="extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="extra onnx is not installed")
    with pytest.raises(CheckpointError, match=rf"g\.onnx: {words}") as refused:
        loaded(tmp_path, one_node(tmp_path, operator, outputs, **attributes))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT16"])
def test_onnx_floats_of_other_precisions_are_taken(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="extra onnx is not installed")
    made = loaded(tmp_path, one_node(tmp_path, "Cast", [("out", kind)], to=kind)).resynthesize(WAV)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, WAV, atol=1e-3, rtol=0)


class Two(nn.Module):
    def forward(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        return wav, wav


class Whole(nn.Module):
    def forward(self, wav: Tensor) -> Tensor:
        return wav.long()


class Complex(nn.Module):
    def forward(self, wav: Tensor) -> Tensor:
        return torch.fft.rfft(wav)


class Double(nn.Module):
    def forward(self, wav: Tensor) -> Tensor:
        return wav.double() * 0.5


ODD: list[tuple[type[nn.Module], str]] = [
    (Two, r"gave tuple of 2: float32 \[1, 1, 4000\], float32 \[1, 1, 4000\], expected"),
    (Whole, r"gave int64 \[1, 1, 4000\], expected"),
    (Complex, r"gave complex64 \[1, 1, 2001\], expected"),
]


@pytest.mark.parametrize(("module", "words"), ODD)
def test_torchscript_outputs_that_are_no_waveform(module: type[nn.Module], words: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"^added: {words}"):
        loaded(tmp_path, torchscript(tmp_path, module())).resynthesize(WAV)


@pytest.mark.slow
@pytest.mark.parametrize(("module", "words"), ODD)
def test_exported_outputs_that_are_no_waveform(module: type[nn.Module], words: str, tmp_path: Path) -> None:
    samples = torch.export.Dim("samples", min=160, max=10**6)
    path = write_exported(module(), tmp_path / "g.pt2", torch.zeros(1, 1, 4000), axis2=samples)
    with pytest.raises(OutputError, match=f"^added: {words}"):
        loaded(tmp_path, ExportedBackend(round_trip=PinnedFile.at(path, tmp_path))).resynthesize(WAV)


def test_double_precision_is_taken(tmp_path: Path) -> None:
    made = loaded(tmp_path, torchscript(tmp_path, Double())).resynthesize(WAV)
    assert made.dtype == torch.float32
    assert torch.equal(made, WAV * 0.5)


class Scaled(nn.Module):
    """Gives codes and a scale, and takes both."""

    def forward(self, wav: Tensor) -> Tensor:
        return wav

    @torch.jit.export
    def encode(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        scale = wav.abs().amax(dim=-1, keepdim=True)
        return (wav / scale * 127).round().long(), scale

    @torch.jit.export
    def decode(self, codes: Tensor, scale: Tensor) -> Tensor:
        return codes / 127 * scale


def test_a_script_of_codes_and_scale(tmp_path: Path) -> None:
    made = loaded(tmp_path, torchscript(tmp_path, Scaled())).resynthesize(WAV)
    torch.testing.assert_close(made, WAV, atol=0.003, rtol=0)
