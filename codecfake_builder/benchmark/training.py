"""Training: one device, one plain loop.

The trained networks are small (0.3 to 1 million parameters) and XLS-R is frozen, so that one device is enough; what a
training library would add, mixed precision, resuming and logging, is a few lines of torch each, and stays exact:
everything random in an epoch follows from the seed and the epoch's number, so that a run that was killed and goes on
ends with the same model as one that was not.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from codecfake_builder.benchmark.clips import Clips
from codecfake_builder.benchmark.config import RunConfig, TrainingConfig
from codecfake_builder.benchmark.feature_source import FeatureSource
from codecfake_builder.benchmark.models import TracingModel, build_model, frozen_hash
from codecfake_builder.benchmark.outputs import DEV, TRAIN
from codecfake_builder.benchmark.run_folder import (
    CONFIG,
    RunFacts,
    read_facts,
    read_last,
    write_best,
    write_facts,
    write_last,
)
from codecfake_builder.benchmark.scoring.truth import closed_set, dataset_classes
from codecfake_builder.dataset.checksums import read_checksums, root_hash
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.files import TEMPORARY
from codecfake_builder.progress import progress, say

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def train(dataset: Path, config: RunConfig, run: Path, device: str = "cpu") -> RunFacts:
    """Train a model, or go on with a run.

    Args:
        dataset: folder that the builder made; ``train`` is learnt from, ``dev`` chooses the epoch.
        run: new, empty, or of an earlier call with the same settings and dataset.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        BenchmarkError: the folder holds another run, or something else.
        DatasetError: no dataset, or one without ``train`` or ``dev``.
    """
    known = closed_set(dataset)
    names = dataset_classes(dataset)
    classes = {label: names[label] for label in known}
    facts = RunFacts(config, classes, root_hash(read_checksums(dataset)), frozen_hash(config.model))
    if len(known) < 2:
        raise BenchmarkError(f"{dataset}: split {TRAIN} has one class only; tracing needs two or more")
    _claim(run, facts)
    torch.use_deterministic_algorithms(True, warn_only=True)
    seed = config.training.seed
    training = Clips(dataset, TRAIN, known, config.model.samples, config.data, seed)
    development = Clips(dataset, DEV, known, config.model.samples)
    torch.manual_seed(seed)
    model = build_model(config.model, len(known)).on(torch.device(device))
    _Trainer(model, config.training, run, device).run(training, development)
    return facts


def _claim(run: Path, facts: RunFacts) -> None:
    """Start a run folder, or check that it is one of the same settings."""
    if (run / CONFIG).is_file():
        there = read_facts(run)
        if _what_counts(there.config) != _what_counts(facts.config):
            raise BenchmarkError(f"{run}: holds a run with other settings ({run / CONFIG}); give another --out")
        if there[1:] != facts[1:]:
            raise BenchmarkError(
                f"{run}: holds a run on another dataset, or other weights of XLS-R; give another --out"
            )
    elif run.exists() and not (run.is_dir() and all(TEMPORARY in path.name for path in run.iterdir())):
        raise BenchmarkError(f"{run}: is not empty and holds no training run; give another --out")
    write_facts(run, facts)


def _what_counts(config: RunConfig) -> RunConfig:
    """The settings that decide the weights: not how clips are read."""
    training = config.training.model_copy(update={"workers": 0, "cache_gb": 0.0})
    return config.model_copy(update={"training": training})


class _Trainer:
    """The loop and its state."""

    def __init__(self, model: TracingModel, config: TrainingConfig, run: Path, device: str) -> None:
        self.model, self.config, self.folder, self.device = model, config, run, torch.device(device)
        kinds: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = kinds[config.optimizer](learnt, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")
        self.log: list[dict[str, Any]] = []
        self.sources: dict[str, FeatureSource] = {}

    def run(self, training: Clips, development: Clips) -> None:
        self._resume()
        while len(self.log) < self.config.epochs and not self._out_of_patience():
            self._epoch(len(self.log), training, development)
        best = min(self.log, key=lambda line: line["dev_loss"])
        say(f"best epoch {best['epoch']} of {len(self.log)}: dev loss {best['dev_loss']:.4f}, "
            f"dev accuracy {100 * best['dev_accuracy']:.2f} %")  # fmt: skip

    def _resume(self) -> None:
        state = read_last(self.folder)
        if state is None:
            return
        self.model.load_state_dict(state["model"], strict=self.model.frozen_prefix is None)
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.log = state["log"]
        say(f"{self.folder}: goes on after epoch {len(self.log)}")

    def _out_of_patience(self) -> bool:
        if self.config.patience is None or not self.log:
            return False
        losses = [line["dev_loss"] for line in self.log]
        return len(losses) - 1 - losses.index(min(losses)) >= self.config.patience

    def _epoch(self, epoch: int, training: Clips, development: Clips) -> None:
        started = time.monotonic()
        torch.manual_seed(self.config.seed + 1000 * (epoch + 1))  # dropout of this epoch, whatever came before
        rate = learning_rate(self.config, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        training.epoch = epoch
        loss = self._learn(training, epoch)
        dev_loss, dev_accuracy = self._judge(development)
        better = not self.log or dev_loss < min(line["dev_loss"] for line in self.log)
        self.log.append(
            {
                "epoch": epoch + 1,
                "learning_rate": rate,
                "loss": loss,
                "dev_loss": dev_loss,
                "dev_accuracy": dev_accuracy,
            }
        )
        if better:
            write_best(self.folder, self.model)
        state = {
            "model": self.model.own_state(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "log": self.log,
        }
        write_last(self.folder, state)
        say(f"epoch {epoch + 1} of {self.config.epochs}: loss {loss:.4f}, dev loss {dev_loss:.4f}, "
            f"dev accuracy {100 * dev_accuracy:.2f} %, {time.monotonic() - started:.0f} s")  # fmt: skip

    def _learn(self, clips: Clips, epoch: int) -> float:
        self.model.train()
        order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(self.config.seed + epoch)).tolist()
        total = 0.0
        with progress(f"epoch {epoch + 1}", len(clips), "clips") as advance:
            for rows, features in self._features(clips).batches(order):
                labels = self._labels(clips, rows)
                self.optimizer.zero_grad(set_to_none=True)
                with self._autocast():
                    loss = F.cross_entropy(self.model.trace(features).logits, labels)
                value = float(loss.detach())
                if not math.isfinite(value) and not self.scaler.is_enabled():
                    raise BenchmarkError(
                        f"{self.folder}: the loss is {value} in epoch {epoch + 1}; try a smaller training.learning_rate"
                    )
                self.scaler.scale(loss).backward()
                self.scaler.step(self.optimizer)
                self.scaler.update()
                total += value * len(labels)
                advance(len(labels))
        return total / len(clips)

    @torch.no_grad()
    def _judge(self, clips: Clips) -> tuple[float, float]:
        """Mean loss and accuracy over the clips of classes that the model knows."""
        self.model.eval()
        loss, hits, count = 0.0, 0, 0
        rows = [row for row, label in enumerate(clips.labels) if label >= 0]
        if not rows:
            raise BenchmarkError(f"split {clips.split} has no clips of the classes of split {TRAIN}")
        for batch, features in self._features(clips).batches(rows):
            labels = self._labels(clips, batch)
            with self._autocast():
                logits = self.model.trace(features).logits.float()
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            hits += int((logits.argmax(dim=1) == labels).sum())
            count += len(labels)
        if not math.isfinite(loss):
            raise BenchmarkError(f"{self.folder}: the dev loss is {loss}; try a smaller training.learning_rate")
        return loss / count, hits / count

    def _features(self, clips: Clips) -> FeatureSource:
        if clips.split not in self.sources:
            own = self.config
            self.sources[clips.split] = FeatureSource(
                self.model, clips, self.device, own.batch_size, own.workers, own.cache_gb
            )
        return self.sources[clips.split]

    def _labels(self, clips: Clips, rows: list[int]) -> Tensor:
        return torch.tensor([clips.labels[row] for row in rows], device=self.device)

    def _autocast(self) -> torch.autocast:
        dtype = PRECISIONS[self.config.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """The learning rate of an epoch, counted from 0."""
    if config.schedule == "cosine":
        return config.learning_rate * (1 + math.cos(math.pi * epoch / config.epochs)) / 2
    return config.learning_rate * 0.5 ** (epoch // config.halve_every)
