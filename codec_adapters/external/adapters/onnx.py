"""Adapter of backend ``onnx``: ONNX graphs, run by onnxruntime (extra ``onnx``); a round trip, or encoder and decoder.

Graphs run on one item at a time, whether their batch is one or any. Libraries of custom operators are code and are
never loaded; tensors beside a graph are read from pinned files of the codec file, and from no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codec_adapters.base import Setup
from codec_adapters.errors import CheckpointError, OutputError
from codec_adapters.external.adapters.code_order import code_form, from_order, to_order
from codec_adapters.external.adapters.functions import Functions, FunctionsAdapter
from codec_adapters.external.axes import CodeOrder
from codec_adapters.files.pinned import refuse_escape

_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
_FLOATS = tuple(f"tensor({kind})" for kind in ("float", "double", "float16"))
_OUTPUT_TYPES = (*_FLOATS, *(f"tensor({kind})" for kind in ("int64", "int32", "int16", "int8", "uint8")))
_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


def make_adapter(
    setup: Setup, graphs: Sequence[Path], codes: CodeOrder | None, data: frozenset[Path]
) -> FunctionsAdapter:
    """Make the adapter of one or two ONNX graphs.

    Args:
        graphs: a round trip, or encoder and decoder.
        codes: order of the codes' axes; ``None`` finds it.
        data: pinned files beside the graphs, which may hold their tensors.

    Raises:
        CheckpointError: onnxruntime is not installed; a graph cannot be loaded, takes one length only, draws random
            numbers, reads files that are not pinned, has several outputs or none, or takes or gives something that is
            no waveform and no codes.
    """
    name = setup.spec.name
    if len(graphs) == 1:
        whole = _Graph(graphs[0], data, setup)
        takes = whole.wave_layout()
        whole.refuse_codes()
        return FunctionsAdapter(setup, Functions(round_trip=lambda wav, _: whole(_laid_out(wav, takes))))
    encoder, decoder = (_Graph(graph, data, setup) for graph in graphs)
    layout = encoder.wave_layout()
    decoder.refuse_codes()

    def raw(wav: Tensor) -> Tensor:
        return encoder(_laid_out(wav, layout))

    order, codebooks = code_form(setup, raw, codes, torch.device("cpu"))
    if order and len(order) != len(decoder.shape):
        raise CheckpointError(
            f"{decoder.path}: takes {len(decoder.shape)} axes {decoder.shape}, its encoder gives codes as {order}"
        )

    def encode(wav: Tensor) -> Tensor:
        codes = raw(wav)
        return from_order(name, codes, order) if order else codes

    def decode(codes: Tensor) -> Tensor:
        return decoder(to_order(codes, order) if order else codes)

    return FunctionsAdapter(setup, Functions(encode=encode, decode=decode, codebooks=codebooks))


class _Graph:
    """A graph with one input: its onnxruntime session, and the input's type and shape."""

    def __init__(self, path: Path, data: frozenset[Path], setup: Setup) -> None:
        onnxruntime = _runtime()
        self.path = path
        _refuse_unpinned_or_random(path, data)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # what goes wrong comes as an exception
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=_providers(onnxruntime, setup))
        except Exception as error:  # of onnxruntime's own classes
            reason = str(error).strip().splitlines()[0][:200]
            raise CheckpointError(
                f"{path}: onnxruntime cannot load it ({reason}); operators of libraries are not taken"
            ) from error
        self._name = setup.spec.name
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            found = ", ".join(f"{value.name} {value.type}" for value in inputs)
            raise CheckpointError(f"{path}: takes {found or 'nothing'}; expected one waveform or one tensor of codes")
        outputs = self._session.get_outputs()
        if len(outputs) != 1 or outputs[0].type not in _OUTPUT_TYPES:
            found = ", ".join(f"{value.name} {value.type}" for value in outputs)
            raise CheckpointError(f"{path}: gives {found or 'nothing'}; expected one waveform or one tensor of codes")
        self.gives_floats = outputs[0].type in _FLOATS
        self._input, self._type = inputs[0].name, _TYPES[inputs[0].type]
        self.shape = list(inputs[0].shape)

    def wave_layout(self) -> str:
        """Return ``BS`` or ``BCS``, by the number of the input's axes.

        Raises:
            CheckpointError: the input is no waveform, has several channels or items, or is of one length only.
        """
        shape = self.shape
        if (
            self._type is not np.float32
            or len(shape) not in (2, 3)
            or (len(shape) == 3 and shape[1] not in (1,) and isinstance(shape[1], int))
        ):
            raise CheckpointError(
                f"{self.path}: takes {np.dtype(self._type).name} {shape}; expected float32 [batch, samples] or "
                "[batch, 1, samples]"
            )
        if isinstance(shape[0], int) and shape[0] != 1:
            raise CheckpointError(f"{self.path}: takes {shape[0]} items at once; export it for a batch of one, or any")
        if isinstance(shape[-1], int):
            raise CheckpointError(
                f"{self.path}: takes {shape[-1]} samples and no other length; export it with a dynamic length"
            )
        return "BS" if len(shape) == 2 else "BCS"

    def __call__(self, given: Tensor) -> Tensor:
        array = np.ascontiguousarray(given.cpu().numpy().astype(self._type, copy=False))
        try:
            made = self._session.run(None, {self._input: array})
        except Exception as error:  # of onnxruntime's own classes
            reason = str(error).strip().splitlines()[0][:200]
            if "CUDA" in reason:  # the device's failure, not the clip's
                raise RuntimeError(f"CUDA error in {self.path.name}: {reason}") from error
            raise OutputError(f"{self._name}: {self.path.name}: {reason}") from error
        return torch.from_numpy(np.asarray(made[0]))

    def refuse_codes(self) -> None:
        """Raise :class:`CheckpointError` for a graph that has to give a waveform and gives whole numbers."""
        if not self.gives_floats:
            raise CheckpointError(f"{self.path}: gives whole numbers; expected a float waveform")


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise CheckpointError("onnxruntime is not installed: pip install 'codecfake-builder[onnx]'") from error
    return onnxruntime


def _providers(onnxruntime: Any, setup: Setup) -> list[Any]:
    if setup.device.type != "cuda":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise CheckpointError(
            f"{setup.spec.name}: this onnxruntime has no CUDA; install onnxruntime-gpu, or set execution.device to cpu"
        )
    cuda = {"device_id": setup.device.index or 0, "use_tf32": 0, "cudnn_conv_algo_search": "DEFAULT"}
    return [("CUDAExecutionProvider", cuda), "CPUExecutionProvider"]


def external_files(path: Path) -> set[str]:
    """Return the names of the files beside ``path`` that hold tensors of its graph.

    Raises:
        CheckpointError: it is no ONNX file, or such a file lies outside of the graph's folder.
    """
    model = _model(path)
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    names = {ExternalDataInfo(tensor).location for tensor in _tensors(model) if uses_external_data(tensor)}
    for name in names:
        refuse_escape(name)
    return names


def _model(path: Path) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise CheckpointError("onnx is not installed: pip install 'codecfake-builder[onnx]'") from error
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as error:  # of protobuf's own classes
        raise CheckpointError(f"{path}: no ONNX graph ({str(error).splitlines()[0][:200]})") from error


def _graphs(model: Any) -> Iterator[Any]:
    """Iterate over the graph, its functions, and the graphs within nodes."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _tensors(model: Any) -> Iterator[Any]:
    """Iterate over every tensor of a model."""
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from ([attribute.t] if attribute.HasField("t") else [])
                yield from attribute.tensors


def _refuse_unpinned_or_random(path: Path, data: frozenset[Path]) -> None:
    model = _model(path)
    drawn = sorted({node.op_type for graph in _graphs(model) for node in graph.node if node.op_type in _RANDOM})
    if drawn:
        raise CheckpointError(f"{path}: draws random numbers ({', '.join(drawn)}), which no clip's seed decides")
    for name in sorted(external_files(path)):
        if path.parent / name not in data:
            raise CheckpointError(f"{path}: reads {name}, which the codec file does not list under onnx.data")


def _laid_out(wav: Tensor, layout: str) -> Tensor:
    return wav[:, None] if layout == "BCS" else wav
