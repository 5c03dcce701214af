"""Arguments of ``add-codec`` for small codecs that keep speech, of every kind that it takes: mu-law, four samples a
frame."""

from __future__ import annotations

from pathlib import Path

from tools.small_networks.graphs import MuLaw, write_exported_halves, write_torchscript
from tools.small_networks.mulaw_onnx import write_mulaw_onnx

RATE = 16000
FACTS = ["--sample-rate", str(RATE)]
"""All that cannot be measured of them."""


def torchscript(folder: Path) -> list[str]:
    """Arguments of ``add-codec`` for a TorchScript archive."""
    return ["--torchscript", str(write_torchscript(MuLaw(), folder / "codec.pt")), *FACTS]


def exported(folder: Path) -> list[str]:
    """Arguments for two programs of ``torch.export``."""
    return ["--exported", *map(str, write_exported_halves(MuLaw(), folder)), *FACTS]


def onnx(folder: Path) -> list[str]:
    """Arguments for two ONNX graphs."""
    return ["--onnx", *map(str, write_mulaw_onnx(folder)), *FACTS]


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
