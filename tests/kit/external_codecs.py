"""Small codecs for every backend, and codec files that name their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from codec_adapters.base import Adapter
from codec_adapters.entry import Entry
from codec_adapters.external.backend import Backend
from codec_adapters.external.codec_file import codec_file_entry, codec_file_text
from codec_adapters.external.command import CommandBackend
from codec_adapters.external.exported import ExportedBackend
from codec_adapters.external.facts import CodecFacts
from codec_adapters.external.onnx import OnnxBackend
from codec_adapters.external.python import PythonBackend
from codec_adapters.external.torchscript import TorchscriptBackend
from codec_adapters.external.transformers import TransformersBackend
from codec_adapters.files.pinned import PinnedFile
from codec_adapters.loading import load_codec
from tools.small_networks.graphs import FrameMeans, write_exported_halves, write_torchscript

HOP, CODEBOOKS = FrameMeans.HOP, FrameMeans.CODEBOOKS


class RoundTrip(nn.Module):
    """``[batch, 1, samples]`` to the same: a filter with a delay of none."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.filter = nn.Conv1d(1, 1, 9, padding=4)

    def forward(self, wav: Tensor) -> Tensor:
        return torch.tanh(self.filter(wav))


def facts(rate: int = 16000, **changes: Any) -> CodecFacts:
    """What is said of the small codecs."""
    known: dict[str, Any] = {
        "family": "added",
        "label": 12,
        "sample_rate": rate,
        "hop": HOP,
        "codebooks": CODEBOOKS,
        "bitrate": rate / HOP * CODEBOOKS * 5,
        "taxonomy": {"quantizer": "multi"},
    }
    return CodecFacts.model_validate(known | changes)


def adapter_source(value: str) -> str:
    """Return the Python source of an adapter, ``codec``, whose clips are ``value``, an expression of ``wav``."""
    return f"""
import torch
from codec_adapters.base import Adapter

class codec(Adapter):
    sample_rate = property(lambda self: 16000)
    hop = property(lambda self: 160)
    codebooks = property(lambda self: 3)
    bitrate = property(lambda self: 1500.0)
    def _resynthesize(self, wav, seeds):
        return {value}
    def _encode(self, wav): raise NotImplementedError
    def _decode(self, codes, seeds): raise NotImplementedError
"""


def reference(wav: Tensor) -> Tensor:
    """Return what :class:`FrameMeans` gives through every backend for float32 ``[batch, samples]``."""
    whole = torch.nn.functional.pad(wav, (0, -wav.shape[1] % HOP))
    return FrameMeans()(whole[:, None])[:, 0, : wav.shape[1]]


def torchscript(folder: Path, module: nn.Module | None = None) -> TorchscriptBackend:
    """An archive with encode and decode, or of ``module``."""
    path = folder / "codec.pt"
    if module is not None:
        torch.jit.script(module).save(str(path))
    else:
        write_torchscript(FrameMeans(), path)
    return TorchscriptBackend(**PinnedFile.at(path, folder).model_dump())


def exported(folder: Path) -> ExportedBackend:
    """Encoder and decoder."""
    encoder, decoder = write_exported_halves(FrameMeans(), folder)
    return ExportedBackend(encoder=PinnedFile.at(encoder, folder), decoder=PinnedFile.at(decoder, folder))


def onnx_round_trip(
    path: Path,
    gain: float = 0.5,
    shape: Any = ("b", "n"),
    operator: str = "Mul",
    domain: str = "",
    external: str | None = None,
) -> Path:
    """A graph of one node: the waveform times ``gain``."""
    import onnx
    from onnx import TensorProto, helper

    factor = helper.make_tensor("gain", TensorProto.FLOAT, [1], [gain])
    if external:
        factor.ClearField("float_data")
        factor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", external), ("offset", "0"), ("length", "4")):
            entry = factor.external_data.add()
            entry.key, entry.value = key, value
    nodes = [helper.make_node(operator, ["wav", "gain"] if operator == "Mul" else ["wav"], ["out"], domain=domain)]
    graph = helper.make_graph(
        nodes,
        "codec",
        [helper.make_tensor_value_info("wav", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, list(shape))],
        [factor] if operator == "Mul" else [],
    )
    imports = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    path.write_bytes(helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString())
    assert onnx
    return path


def onnx_pair(folder: Path, order: str = "BKT", batch: Any = "b") -> OnnxBackend:
    """Encoder and decoder of one codebook and a sign per frame's mean, with the codes' axes in some order."""
    from onnx import TensorProto, helper

    def model(nodes: list[Any], given: Any, made: Any, constants: list[Any]) -> bytes:
        graph = helper.make_graph(nodes, "g", [given], [made], constants)
        opsets = [helper.make_opsetid("", 18)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())

    forward = ["BKT".index(axis) for axis in order]
    sizes = {"B": batch, "K": CODEBOOKS, "T": "t"}
    wav = helper.make_tensor_value_info("wav", TensorProto.FLOAT, [batch, 1, "n"])
    codes = helper.make_tensor_value_info("codes", TensorProto.INT64, [sizes[axis] for axis in order])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 1, "m"])
    offsets = helper.make_tensor("offsets", TensorProto.FLOAT, [1, CODEBOOKS, 1], [0.0, 0.3, 0.6])
    levels = helper.make_tensor("levels", TensorProto.FLOAT, [1], [16.0])
    encoder = [
        helper.make_node("AveragePool", ["wav"], ["means"], kernel_shape=[HOP], strides=[HOP]),
        helper.make_node("Mul", ["means", "levels"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offsets"], ["shifted"]),
        helper.make_node("Floor", ["shifted"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["integers"], to=TensorProto.INT64),
        helper.make_node("Transpose", ["integers"], ["codes"], perm=forward),
    ]
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [CODEBOOKS, 1, HOP], [1 / 48] * CODEBOOKS * HOP)
    decoder = [
        helper.make_node("Transpose", ["codes"], ["ordered"], perm=[order.index(axis) for axis in "BKT"]),
        helper.make_node("Cast", ["ordered"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ConvTranspose", ["floats", "weights"], ["out"], strides=[HOP]),
    ]
    (folder / "encoder.onnx").write_bytes(model(encoder, wav, codes, [offsets, levels]))
    (folder / "decoder.onnx").write_bytes(model(decoder, codes, out, [weights]))
    return OnnxBackend(
        encoder=PinnedFile.at(folder / "encoder.onnx", folder), decoder=PinnedFile.at(folder / "decoder.onnx", folder)
    )


def transformers_part(folder: Path, inner: str) -> TransformersBackend:
    """The model folder ``inner`` below ``folder``, every file listed."""
    place = folder / inner
    files = tuple(PinnedFile.at(path, place) for path in sorted(place.iterdir()))
    return TransformersBackend(folder=inner, files=files)


COMMAND = CommandBackend(steps=[["{python}", "-c", "import shutil, sys; shutil.copy(*sys.argv[1:])", "{in}", "{out}"]])
"""Gives its input back, and needs nothing but Python."""


def python_file(folder: Path, code: str, name: str = "codec", **settings: Any) -> PythonBackend:
    """A Python file beside the codec file."""
    (folder / "mine.py").write_text(code)
    return PythonBackend(name=name, file=PinnedFile.at(folder / "mine.py", folder), **settings)


def codec_file(
    folder: Path, name: str, backend: Backend, facts: CodecFacts, options: dict[str, Any] | None = None
) -> Path:
    """A codec file in ``folder``."""
    path = folder / f"{name}.yaml"
    path.write_text(codec_file_text(str(path), name, backend, facts, options), encoding="utf-8")
    return path


def entry_of(folder: Path, backend: Backend, options: dict[str, Any] | None = None, **known: Any) -> Entry:
    """The entry of a codec file ``added`` in ``folder``."""
    return codec_file_entry(codec_file(folder, "added", backend, facts(**known), options))


def loaded(folder: Path, backend: Backend, options: dict[str, Any] | None = None, **known: Any) -> Adapter:
    """The adapter of a codec file in ``folder``."""
    return load_codec(entry_of(folder, backend, options, **known))
