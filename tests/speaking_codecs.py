"""Small codecs that keep speech, as files of every kind that ``add-codec`` takes: mu-law, four samples a frame."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.added_codecs import Codec

RATE, HOP, LEVELS = 16000, 4, 255
FACTS = ["--sample-rate", str(RATE)]
"""All that cannot be measured of them."""


class Encoder(nn.Module):
    """``[batch, 1, samples]`` to codes ``[batch, 4, samples / 4]``."""

    def forward(self, wav: Tensor) -> Tensor:
        wav = wav.clamp(-1, 1)
        companded = wav.sign() * torch.log1p(255 * wav.abs()) / math.log(256)
        codes = ((companded + 1) / 2 * (LEVELS - 1)).round().long()
        return codes.reshape(codes.shape[0], -1, HOP).transpose(1, 2)


class Decoder(nn.Module):
    """Codes ``[batch, 4, frames]`` to ``[batch, 1, samples]``."""

    def forward(self, codes: Tensor) -> Tensor:
        companded = codes.transpose(1, 2).flatten(1) / (LEVELS - 1) * 2 - 1
        return (companded.sign() * torch.expm1(companded.abs() * math.log(256)) / 255)[:, None]


def torchscript(folder: Path) -> list[str]:
    """Arguments of ``add-codec`` for a TorchScript archive."""
    example = torch.zeros(1, 1, 8 * HOP)
    inputs = {"encode": example, "decode": Encoder()(example), "forward": example}
    torch.jit.trace_module(Codec(Encoder(), Decoder()), inputs).save(str(folder / "codec.pt"))
    return ["--torchscript", str(folder / "codec.pt"), *FACTS]


def exported(folder: Path) -> list[str]:
    """Arguments for two programs of ``torch.export``."""
    frames = torch.export.Dim("frames", min=2, max=2**20)
    wav, codes = torch.zeros(1, 1, 8 * HOP), torch.zeros(1, HOP, 8).long()
    encoder = torch.export.export(Encoder(), (wav,), dynamic_shapes=({2: HOP * frames},))
    decoder = torch.export.export(Decoder(), (codes,), dynamic_shapes=({2: frames},))
    for name, program in (("encoder", encoder), ("decoder", decoder)):
        torch.export.save(program, folder / f"{name}.pt2")
    return ["--exported", str(folder / "encoder.pt2"), str(folder / "decoder.pt2"), *FACTS]


def onnx(folder: Path) -> list[str]:
    """Arguments for two ONNX graphs."""
    from onnx import TensorProto, helper

    def constant(name: str, *values: float, integers: bool = False) -> object:
        kind = TensorProto.INT64 if integers else TensorProto.FLOAT
        return helper.make_tensor(name, kind, [len(values)], values)

    def save(name: str, steps: str, given: object, made: object, constants: list[object]) -> None:
        """``steps``: ``out = Operator(in, in)``, one to a line."""
        nodes = []
        for line in steps.strip().splitlines():
            out, call = (part.strip() for part in line.split("="))
            operator, inputs = call.rstrip(")").split("(")
            extra = {"perm": [0, 2, 1]} if operator == "Transpose" else {}
            extra = {"to": TensorProto.INT64 if out == "codes0" else TensorProto.FLOAT} if operator == "Cast" else extra
            nodes.append(helper.make_node(operator, inputs.split(", "), [out], **extra))
        graph = helper.make_graph(nodes, name, [given], [made], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())

    codes = helper.make_tensor_value_info("codes", TensorProto.INT64, ["b", HOP, "t"])
    save(
        "encoder",
        """
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
        codes = Cast(turned)
        """.replace("codes = Cast(turned)", "codes0 = Cast(turned)\n        codes = Identity(codes0)"),
        helper.make_tensor_value_info("wav", TensorProto.FLOAT, ["b", 1, "n"]),
        codes,
        [
            constant("minus", -1.0), constant("one", 1.0), constant("scale", 255.0), constant("whole", math.log(256)),
            constant("half", (LEVELS - 1) / 2), constant("frames", 0, -1, HOP, integers=True),
        ],
    )  # fmt: skip
    save(
        "decoder",
        """
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
        """,
        codes,
        helper.make_tensor_value_info("out", TensorProto.FLOAT, ["b", 1, "m"]),
        [
            constant("one", 1.0), constant("scale", 255.0), constant("whole", math.log(256)),
            constant("half", (LEVELS - 1) / 2), constant("shape", 0, 1, -1, integers=True),
        ],
    )  # fmt: skip
    return ["--onnx", str(folder / "encoder.onnx"), str(folder / "decoder.onnx"), *FACTS]


PYTHON = '''
import torch

class Codec:
    """Mu-law of eight bits a sample."""

    def encode(self, wav):
        companded = wav.clamp(-1, 1).sign() * torch.log1p(255 * wav.clamp(-1, 1).abs()) / 5.545177444479562
        return ((companded + 1) / 2 * 254).round().long()[:, None]

    def decode(self, codes):
        companded = codes[:, 0] / 254 * 2 - 1
        return companded.sign() * torch.expm1(companded.abs() * 5.545177444479562) / 255

class Late(Codec):
    def decode(self, codes):
        return torch.nn.functional.pad(super().decode(codes), (3, 0))[:, :codes.shape[2]]

class Noise(Codec):
    def decode(self, codes):
        return 0.1 * torch.randn(codes.shape[0], codes.shape[2])
'''


def python(folder: Path, name: str = "Codec") -> list[str]:
    """Arguments for a class in a file."""
    (folder / "mine.py").write_text(PYTHON)
    return ["--python", f"{folder}/mine.py:{name}", *FACTS]


def command(folder: Path) -> list[str]:
    """Arguments for a program that needs nothing but Python: it rounds to eight bits."""
    code = (
        "import sys, soundfile; samples, rate = soundfile.read(sys.argv[1], dtype='float32'); "
        "soundfile.write(sys.argv[2], (samples * 127).round() / 127, rate, subtype='FLOAT')"
    )
    (folder / "round.py").write_text(code)
    known = ["--hop", "1", "--codebooks", "1", "--bitrate", "128000", "--quantizer", "scalar"]
    return ["--command", f"{{python}} {folder}/round.py {{in}} {{out}}", *known, *FACTS]


def worker(folder: Path) -> list[str]:
    """Arguments for the packaged driver of G.711."""
    known = ["--hop", "1", "--codebooks", "1", "--bitrate", "64000", "--quantizer", "scalar", "--sample-rate", "8000"]
    return ["--worker", "g711", *known]
