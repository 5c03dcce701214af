"""Adapter of isolated codecs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from codec_adapters.base import Setup
from codec_adapters.external.adapters.opaque import OpaqueAdapter
from codec_adapters.external.worker.exchange import Exchange
from codec_adapters.external.worker.worker import Worker


class IsolatedAdapter(OpaqueAdapter):
    """Sends waveforms to a worker as WAV files and reads WAV files back; rates and hop are those of the spec."""

    def __init__(self, setup: Setup, worker: Worker) -> None:
        super().__init__(setup)
        self._exchange = Exchange(worker, setup.spec.sample_rate, worker.limits.clip_seconds)

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        exchange, clips = self._exchange, len(seeds)
        with exchange.files(clips, "in") as inputs, exchange.files(clips, "out") as outputs:
            for path, samples in zip(inputs, wav.cpu().numpy(), strict=True):
                exchange.write(path, samples, self.sample_rate)
            payload = {"inputs": list(map(str, inputs)), "outputs": list(map(str, outputs)), "seeds": seeds}
            exchange.request("resynthesize", payload, clips)
            waves = [exchange.read(path) for path in outputs]
        return torch.from_numpy(np.stack(self._equal(waves))).to(self.device)

    def _equal(self, waves: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return outputs that are of one length and not empty.

        Raises:
            WorkerRefusedError: they are not.
        """
        lengths = {len(wave) for wave in waves}
        if len(lengths) > 1:
            self._exchange.refuse(f"outputs of {sorted(lengths)} samples for inputs of equal length")
        if lengths == {0}:
            self._exchange.refuse("its worker wrote no samples")
        return waves
