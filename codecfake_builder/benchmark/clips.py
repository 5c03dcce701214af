"""Read the clips of a split as waveforms of the length that a model takes.

Shards are read through ``datasets``, audio is decoded with the builder's own decoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import torch
from torch import Tensor

from codec_adapters.files.cache import cache_root
from codecfake_builder.audio import RATE, Wave, decode
from codecfake_builder.benchmark.config import DataConfig
from codecfake_builder.dataset import layout
from codecfake_builder.errors import DatasetError
from codecfake_builder.rejections import RejectedError

MAX_GAIN_DB = 6.0
"""Augmentation changes the level by at most this much, up or down."""
NOISE_SNR_DB = (20.0, 50.0)
"""Range of the signal-to-noise ratio in augmentation."""


class Clip(NamedTuple):
    """One clip as a model takes it."""

    wave: Tensor
    """float32 ``[samples]`` at 16 kHz."""
    label: int
    """Index of its class among the known ones; -1 for other classes."""
    row: int
    """Its row in the split."""


class Clips(torch.utils.data.Dataset[Clip]):
    """The clips of a split as a torch dataset.

    Args:
        dataset: dataset folder.
        split: one of its splits.
        known: class ids that the model knows, in the order of the logits.
        samples: length of every waveform in samples at 16 kHz.
        data: settings of crop and augmentation; both depend on seed, epoch and row only, not on workers or order.
        seed: of the random numbers in crop and augmentation.

    Raises:
        DatasetError: the folder has no clips of that split.
    """

    def __init__(
        self, dataset: Path, split: str, known: list[int], samples: int, data: DataConfig | None = None, seed: int = 0
    ) -> None:
        files = [str(path) for path in layout.shard_files(dataset, split)]
        if not files:
            raise DatasetError(f"{dataset}: has no clips of split {split}; expected {layout.shard_pattern(split)}")
        datasets.disable_progress_bars()  # the commands show their own
        # files, not the folder's name: datasets' cache would not notice shards that were built again
        table = datasets.load_dataset(
            "parquet",
            data_files=files,
            split="train",
            columns=["id", "audio", "label"],
            cache_dir=str(cache_root() / "datasets"),
        )
        self.table = table.cast_column("audio", datasets.Audio(decode=False))
        self.split = split
        self.ids: list[str] = list(table["id"])
        place = {label: number for number, label in enumerate(known)}
        self.class_ids: list[int] = list(table["label"])
        self.labels = [place.get(label, -1) for label in self.class_ids]
        self.samples = samples
        self.data = data or DataConfig()
        self.seed = seed
        self.epoch = 0

    @property
    def same_every_epoch(self) -> bool:
        """Whether a row gives the same waveform in every epoch."""
        return self.data.crop == "first" and not self.data.augment

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> Clip:
        wave = self.wave(row)
        generator = np.random.default_rng([self.seed, self.epoch, row])
        start = int(generator.integers(max(1, self._start_count(len(wave))))) if self.data.crop == "random" else 0
        wave = repeat_or_crop(wave, self.samples, start)
        if self.data.augment:
            wave = augment_wave(wave, generator)
        return Clip(torch.from_numpy(wave.copy()), self.labels[row], row)

    def _start_count(self, length: int) -> int:
        """Return how many places a crop may start at; a short clip is repeated, so any of its samples may be first."""
        return length - self.samples + 1 if length > self.samples else length

    def wave(self, row: int) -> Wave:
        """Return the whole clip of a row, float32 ``[samples]`` at 16 kHz, full scale 1.

        Raises:
            DatasetError: the clip cannot be decoded, or has another sampling rate.
        """
        audio: dict[str, Any] = self.table[row]["audio"]
        try:
            wave, rate = decode(audio["bytes"])
        except RejectedError as error:
            raise DatasetError(f"{self.split}: clip {self.ids[row]}: {error}; verify lists all such clips") from error
        if rate != RATE:
            raise DatasetError(f"{self.split}: clip {self.ids[row]}: has {rate} Hz, expected {RATE}")
        return wave


def repeat_or_crop(wave: Wave, samples: int, start: int = 0) -> Wave:
    """Return ``samples`` samples from ``start`` on, repeating a wave that is too short.

    With ``start`` 0 this is the publication's data handling: the first samples of a long clip, a short clip repeated.
    """
    if len(wave) - start >= samples:
        return wave[start : start + samples]
    return np.resize(np.roll(wave, -start), samples)


def augment_wave(wave: Wave, generator: np.random.Generator) -> Wave:
    """Change level and polarity at random and add noise: differences between recordings that resemble no codec.

    Args:
        wave: float32 ``[samples]``.
        generator: source of the random numbers.

    Returns:
        float32 ``[samples]``.
    """
    gain = 10 ** (generator.uniform(-MAX_GAIN_DB, MAX_GAIN_DB) / 20) * generator.choice([-1.0, 1.0])
    level = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
    noise = generator.standard_normal(len(wave)) * level * 10 ** (-generator.uniform(*NOISE_SNR_DB) / 20)
    return (gain * (wave + noise)).astype(np.float32)
