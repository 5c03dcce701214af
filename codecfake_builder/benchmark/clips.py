"""The clips of a split, read through ``datasets`` without its decoder, at the length that a model takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import torch
from torch import Tensor

from codec_adapters.files.weights import cache_root
from codecfake_builder.audio import RATE, Wave, decode
from codecfake_builder.benchmark.config import DataConfig
from codecfake_builder.dataset import layout
from codecfake_builder.errors import DatasetError
from codecfake_builder.rejections import RejectedError

MOST_GAIN_DB = 6.0
NOISE_SNR_DB = (20.0, 50.0)


class Clip(NamedTuple):
    """A training example."""

    wave: Tensor
    """float32 ``[samples]`` at 16 kHz."""
    label: int
    """Place among the known classes; -1 for others."""
    row: int


class Clips(torch.utils.data.Dataset[Clip]):
    """The clips of a split.

    Args:
        dataset: folder that the builder made.
        split: one of its splits.
        known: class ids that the model knows, in the order of the logits.
        samples: length of every wave at 16 kHz.
        data: crop and augmentation; both depend on seed, epoch and row only, not on workers or order.
        seed: of crop and augmentation.

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
        # not by the folder's name: datasets' cache would not notice shards that were made again
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
    def always_the_same(self) -> bool:
        """Whether a row gives the same wave in every epoch."""
        return self.data.crop == "first" and not self.data.augment

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> Clip:
        wave = self.wave(row)
        generator = np.random.default_rng([self.seed, self.epoch, row])
        start = int(generator.integers(max(1, self._starts(len(wave))))) if self.data.crop == "random" else 0
        wave = repeat_or_crop(wave, self.samples, start)
        if self.data.augment:
            wave = augmented(wave, generator)
        return Clip(torch.from_numpy(wave.copy()), self.labels[row], row)

    def _starts(self, length: int) -> int:
        """How many places a crop may start at: a short clip is repeated, so it may start anywhere."""
        return length - self.samples + 1 if length > self.samples else length

    def wave(self, row: int) -> Wave:
        """The whole clip, float32 ``[samples]`` at 16 kHz.

        Raises:
            DatasetError: it cannot be decoded, or has another rate.
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
    """``samples`` samples from ``start`` on, of the wave repeated as often as it takes.

    With ``start`` 0 this is the publication's data handling: the first samples of a long clip, a short one repeated.
    """
    if len(wave) - start >= samples:
        return wave[start : start + samples]
    return np.resize(np.roll(wave, -start), samples)


def augmented(wave: Wave, generator: np.random.Generator) -> Wave:
    """Level, polarity and noise changed at random: what may differ between recordings, and resembles no codec."""
    gain = 10 ** (generator.uniform(-MOST_GAIN_DB, MOST_GAIN_DB) / 20) * generator.choice([-1.0, 1.0])
    level = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
    noise = generator.standard_normal(len(wave)) * level * 10 ** (-generator.uniform(*NOISE_SNR_DB) / 20)
    return (gain * (wave + noise)).astype(np.float32)
