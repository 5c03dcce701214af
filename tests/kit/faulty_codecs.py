"""Codecs with planted faults, as a plugin of test recipes."""

from __future__ import annotations

import dataclasses
import os
import sys
import time

import torch
from torch import Tensor

import codec_adapters
from codec_adapters.base import Adapter, Codes, Setup

BASE = dataclasses.replace(
    codec_adapters.spec("dac_16khz"), family="faulty", label=12, checkpoint="", options={}, tail_local=False
)


class Faulty(Adapter):
    """Gives its input back, but for the fault that its variant is named after."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.fault = setup.spec.name.removeprefix("faulty_")
        self.asked = 0
        if self.fault == "stop":
            raise GeneratorExit("no")

    @property
    def sample_rate(self) -> int:
        self.asked += 1
        if self.fault == "late" and self.asked > 3:
            sys.exit(0)
        return 16000

    @property
    def hop(self) -> int:
        if self.fault == "hop":
            sys.exit(0)
        return 320

    codebooks = property(lambda self: 1)
    bitrate = property(lambda self: 500.0)

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        if self.fault == "nan":
            return wav * float("nan")
        if self.fault == "silent":
            return wav * 0
        if self.fault == "short":
            return wav[:, : wav.shape[1] // 2]
        if self.fault == "loud":
            return wav * 10
        if self.fault == "odd" and (wav.shape[1] // 320) % 2:
            raise ValueError("cannot take an odd number of frames")
        if self.fault == "memory" and wav.shape[0] > 1:
            raise torch.OutOfMemoryError("batch of one only")
        if self.fault == "huge":
            raise torch.OutOfMemoryError("nothing fits")
        if self.fault == "slow":
            time.sleep(30)
        if self.fault == "exit":
            sys.exit(0)
        if self.fault == "quit":
            os._exit(0)
        if self.fault == "device":
            raise RuntimeError("CUDA error: device-side assert triggered")
        return wav

    def _encode(self, wav: Tensor) -> Codes:
        raise NotImplementedError

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        raise NotImplementedError


FAULTS = (
    "none",
    "nan",
    "silent",
    "short",
    "loud",
    "odd",
    "memory",
    "huge",
    "device",
    "slow",
    "exit",
    "quit",
    "late",
    "hop",
    "stop",
)
for _fault in FAULTS:
    codec_adapters.register(dataclasses.replace(BASE, name=f"faulty_{_fault}"), Faulty)
