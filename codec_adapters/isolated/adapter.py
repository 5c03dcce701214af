"""A codec that runs in an environment of its own, behind the contract that every other adapter has."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.errors import InputError, WorkerRefusedError
from codec_adapters.isolated.environment import EnvironmentSpec, prepare
from codec_adapters.isolated.worker import Limits, Worker
from codec_adapters.registry import register
from codec_adapters.spec import CodecSpec
from codec_adapters.wave_files import read_mono
from codec_adapters.weights import sha256_of


@dataclass(frozen=True)
class IsolatedCodec:
    """Everything needed to run a codec in isolation."""

    spec: CodecSpec
    """What its author says of it; its options are handed to the driver."""
    environment: EnvironmentSpec
    driver: Path
    limits: Limits = field(default_factory=Limits)

    def register(self) -> None:
        """Make it known as a variant, under its spec's name."""
        register(self.spec, lambda setup: IsolatedAdapter(setup, self))

    def prepare(self) -> dict[str, str]:
        """Make the environment, unless it is there; sha256 of all that decides the codec's output.

        Raises:
            EnvironmentFailedError: the environment cannot be made.
        """
        hashes = prepare(self.environment, self.spec.name).hashes
        return {f"isolated {name}": value for name, value in {**hashes, "driver": sha256_of(self.driver)}.items()}


class IsolatedAdapter(Adapter):
    """Sends waveforms to a worker as WAV files, and takes WAV files back.

    The figures are those of the spec; the worker starts with the first batch, so that one which cannot start costs
    clips and no more.
    """

    def __init__(self, setup: Setup, codec: IsolatedCodec) -> None:
        super().__init__(setup)
        self._limits = codec.limits
        load = {
            "device": str(setup.device),
            "dtype": str(setup.dtype).removeprefix("torch."),
            "options": dict(setup.options),
            "checkpoint": setup.checkpoint and str(setup.checkpoint),
        }
        environment = prepare(codec.environment, setup.spec.name)
        self._worker = Worker(setup.spec.name, environment, codec.driver, load, codec.limits)
        self._numbers = itertools.count()  # next() of it is whole, whichever threads ask at once

    @property
    def sample_rate(self) -> int:
        return self.spec.sample_rate

    @property
    def hop(self) -> int:
        return self.spec.hop

    @property
    def codebooks(self) -> int:
        return self.spec.codebooks

    @property
    def bitrate(self) -> float:
        return self.spec.bitrate

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        batch, scratch = next(self._numbers), self._worker.scratch
        inputs = [scratch / f"{batch}-{number}-in.wav" for number in range(len(seeds))]
        outputs = [scratch / f"{batch}-{number}-out.wav" for number in range(len(seeds))]
        try:
            for path, samples in zip(inputs, wav.cpu().numpy(), strict=True):
                soundfile.write(path, samples, self.sample_rate, subtype="FLOAT")
            payload = {"inputs": list(map(str, inputs)), "outputs": list(map(str, outputs)), "seeds": seeds}
            self._worker.request("resynthesize", payload, self._limits.clip_seconds * len(seeds))
            if (rate := self._worker.loaded.get("sample_rate")) != self.sample_rate:
                raise WorkerRefusedError(f"{self.spec.name}: works at {rate} Hz, its spec says {self.sample_rate} Hz")
            what = (self.sample_rate, f"{self.spec.name}: its worker", WorkerRefusedError)
            return torch.from_numpy(np.stack(self._equal([read_mono(path, *what) for path in outputs]))).to(self.device)
        finally:
            for path in (*inputs, *outputs):
                path.unlink(missing_ok=True)

    def _equal(self, waves: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        lengths = {len(wave) for wave in waves}
        if len(lengths) > 1:
            raise WorkerRefusedError(
                f"{self.spec.name}: outputs of {sorted(lengths)} samples for inputs of equal length"
            )
        return waves

    def _encode(self, wav: Tensor) -> Codes:
        raise InputError(f"{self.spec.name}: an isolated codec gives no codes, only resynthesize")

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        raise InputError(f"{self.spec.name}: an isolated codec takes no codes, only resynthesize")
