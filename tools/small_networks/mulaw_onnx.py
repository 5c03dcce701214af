"""The mu-law codec of :mod:`tools.small_networks.graphs` as two ONNX graphs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tools.small_networks.graphs import MuLaw

HOP, LEVELS = MuLaw.HOP, MuLaw.LEVELS
ENCODER = """
clipped = Max(wav, minus)
inside = Min(clipped, one)
size = Abs(inside)
wide = Mul(size, scale)
more = Add(wide, one)
logarithm = Log(more)
unit = Div(logarithm, whole)
sign = Sign(inside)
companded = Mul(sign, unit)
shifted = Add(companded, one)
levels = Mul(shifted, half)
rounded = Round(levels)
framed = Reshape(rounded, frames)
turned = Transpose(framed)
codes0 = Cast(turned)
codes = Identity(codes0)
"""
DECODER = """
turned = Transpose(codes)
flat = Reshape(turned, shape)
numbers = Cast(flat)
levels = Div(numbers, half)
companded = Sub(levels, one)
size = Abs(companded)
power = Mul(size, whole)
wide = Exp(power)
more = Sub(wide, one)
small = Div(more, scale)
sign = Sign(companded)
out = Mul(sign, small)
"""
"""One operator a line: ``output = Operator(input, input)``."""


def write_mulaw_onnx(folder: Path) -> tuple[Path, Path]:
    """Write ``encoder.onnx`` and ``decoder.onnx``."""
    from onnx import TensorProto, helper

    wav = helper.make_tensor_value_info("wav", TensorProto.FLOAT, ["b", 1, "n"])
    codes = helper.make_tensor_value_info("codes", TensorProto.INT64, ["b", HOP, "t"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["b", 1, "m"])
    numbers = {"one": 1.0, "scale": 255.0, "whole": math.log(256), "half": (LEVELS - 1) / 2}
    encoder, decoder = folder / "encoder.onnx", folder / "decoder.onnx"
    encoder.write_bytes(_graph(ENCODER, wav, codes, {"minus": -1.0, **numbers}, {"frames": (0, -1, HOP)}))
    decoder.write_bytes(_graph(DECODER, codes, out, numbers, {"shape": (0, 1, -1)}))
    return encoder, decoder


def _graph(steps: str, given: Any, made: Any, numbers: dict[str, float], shapes: dict[str, tuple[int, ...]]) -> bytes:
    """Return a model of ``steps`` whose constants are ``numbers`` (float32) and ``shapes`` (int64)."""
    from onnx import TensorProto, helper

    nodes = []
    for line in steps.strip().splitlines():
        out, call = (part.strip() for part in line.split("="))
        operator, inputs = call.rstrip(")").split("(")
        extra: dict[str, Any] = {}
        if operator == "Transpose":
            extra["perm"] = [0, 2, 1]
        elif operator == "Cast":
            extra["to"] = TensorProto.INT64 if out == "codes0" else TensorProto.FLOAT
        nodes.append(helper.make_node(operator, inputs.split(", "), [out], **extra))
    constants = [helper.make_tensor(name, TensorProto.FLOAT, [1], [value]) for name, value in numbers.items()]
    constants += [helper.make_tensor(name, TensorProto.INT64, [len(value)], value) for name, value in shapes.items()]
    graph = helper.make_graph(nodes, "codec", [given], [made], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())
