"""Codecs that raise anything anywhere, or give what is no waveform: verdicts or one line, and never a traceback."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from codec_adapters.base import Codes, Setup
from codec_adapters.errors import CodecfakeError
from codecfake_builder.cli.app import main
from codecfake_builder.conformance.settings import QUICK
from codecfake_builder.conformance.suite import CHECKS, failed, run_suite
from codecfake_builder.conformance.under_test import load_or_explain
from tests.codecfake_builder.conformance.planted import MuLaw, adapter_of

SHORT = dataclasses.replace(QUICK, seconds=(0.1, 1.0), repeats=0, calls=5)


def leave(wav: Tensor) -> Any:
    sys.exit(0)


def raise_(error: BaseException) -> Callable[[Tensor], Any]:
    def raising(wav: Tensor) -> Any:
        raise error

    return raising


def endless(wav: Tensor) -> Any:
    return endless(wav)


OUTPUTS: dict[str, Callable[[Tensor], Any]] = {
    "three axes": lambda wav: wav[:, None],
    "one axis": lambda wav: wav[0],
    "no axis": lambda wav: torch.tensor(1.0),
    "no samples": lambda wav: wav[:, :0],
    "one sample": lambda wav: wav[:, :1],
    "three of each": lambda wav: wav.repeat(3, 1),
    "complex": lambda wav: wav.to(torch.complex64),
    "None": lambda wav: None,
    "a list": lambda wav: wav.tolist(),
    "an array": lambda wav: wav.numpy(),
    "two": lambda wav: (wav, wav),
    "integers": lambda wav: (wav * 32767).short(),
    "truths": lambda wav: wav > 0,
    "half": lambda wav: wav.half(),
    "infinite": lambda wav: wav / 0,
    "sparse": lambda wav: wav.to_sparse(),
    "no storage": lambda wav: wav.to("meta"),
    "exit": leave,
    "endless recursion": endless,
    "StopIteration": raise_(StopIteration()),
    "an odd text": raise_(ValueError("\udce4\n\x1b[31m")),
    "no exception": raise_(GeneratorExit("odd")),
    "a bare one": raise_(BaseException()),
}


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("calls", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_whatever_a_call_gives_is_a_verdict(kind: str, calls: int) -> None:
    class Nasty(MuLaw):
        made = 0

        def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Any:
            self.made += 1
            return OUTPUTS[kind](wav) if self.made > calls else super()._resynthesize(wav, seeds)

    results = run_suite(adapter_of(Nasty), SHORT, lambda: adapter_of(Nasty))
    assert len(results) == len(CHECKS) + 1
    assert failed(results)
    assert all(result.measured and "\n" not in result.measured for result in results)


@pytest.mark.parametrize(
    "codes",
    [
        lambda: None,
        lambda: torch.zeros(2, 1, 3).long(),
        lambda: Codes([]),
        lambda: Codes([torch.zeros(2, 1, 3, dtype=torch.complex64)]),
        lambda: sys.exit(3),
        lambda: [None],
    ],
)
def test_whatever_codes_are_is_a_verdict(codes: Callable[[], Any]) -> None:
    class Nasty(MuLaw):
        def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
            return wav.clone()

        def encode(self, wav: Tensor) -> Any:
            return codes()

    wrong = {result.name for result in failed(run_suite(adapter_of(Nasty), SHORT, checks=["input kept", "codes"]))}
    assert wrong == {"codes"}


@pytest.mark.parametrize("error", [ValueError("a\nb"), SystemExit(0), KeyError("k"), GeneratorExit(), BaseException()])
def test_whatever_loading_raises_is_one_line(error: BaseException) -> None:
    class Nasty(MuLaw):
        def __init__(self, setup: Setup) -> None:
            raise error

    with pytest.raises(CodecfakeError) as caught:
        load_or_explain("nasty", lambda: adapter_of(Nasty))
    assert "\n" not in str(caught.value)
    assert "nasty: cannot be loaded" in str(caught.value)


PLUGIN = """
import dataclasses, sys
import codec_adapters
from codec_adapters.base import Adapter

class Exits(Adapter):
    sample_rate, hop, codebooks, bitrate = 16000, 320, 1, 500.0

    def __init__(self, setup):
        super().__init__(setup)
        sys.exit(0)

    def _encode(self, wav): ...
    def _decode(self, codes, seeds): ...

spec = codec_adapters.spec("dac_16khz")
codec_adapters.register(dataclasses.replace(spec, name="exits", family="exits", label=12, checkpoint=""), Exits)
"""


def conformance(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["conformance", *arguments, "--device", "cpu", "--quick"])
    return int(ended.value.code or 0), capsys.readouterr().err


def test_a_codec_that_leaves_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    document = {
        "name": "r",
        "title": "R",
        "corpora": {"vctk": {"kind": "vctk", "root": str(tmp_path)}},
        "splits": {"train": {"share": 1, "variants": ["real"]}},
        "plugins": [str(tmp_path / "plugin.py")],
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(document))
    code, errors = conformance(capsys, "exits", "--recipe", str(tmp_path / "r.yaml"))
    assert code == 2
    assert "exits: cannot be loaded (SystemExit: 0)" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nosuch", "the command codecs lists them all"),
        ("foo_24khz", "the command codecs lists them all"),
        ("xyz_24khz_6kbps", "the command codecs lists them all"),
        ("", "the command codecs lists them all"),
        ("dac16khz", "did you mean dac_16khz?"),
        ("SNAC_24kHz", "did you mean snac_24khz?"),
        ("encodek_24khz_6kbps", "did you mean encodec_24khz_6kbps?"),
        ("lyra", "did you mean one of lyra_v2_"),
        ("snac", "did you mean"),
    ],
)
def test_only_near_names_are_suggested(name: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, errors = conformance(capsys, name)
    assert code == 2
    assert hint in errors
    assert len(errors.strip().splitlines()) == 1
