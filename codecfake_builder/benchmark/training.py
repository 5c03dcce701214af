"""Train a tracing model: one plain loop on one device.

The trained networks are small (0.3 to 1 million parameters) and XLS-R is frozen, so one device is enough. What a
training library would add (mixed precision, resuming, logging) is a few lines of torch each. Resuming is exact: all
random numbers of an epoch follow from the seed and the epoch's number, so a run that was killed and resumed ends with
the same model as one that was not.
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
from codecfake_builder.benchmark.detectors.outputs import DEV, TRAIN
from codecfake_builder.benchmark.feature_loader import FeatureLoader
from codecfake_builder.benchmark.models import TracingModel, build_model, frozen_hash
from codecfake_builder.benchmark.run_folder import (
    CONFIG,
    RunRecord,
    read_last,
    read_record,
    write_best,
    write_last,
    write_record,
    write_speech,
)
from codecfake_builder.benchmark.scoring.truth import closed_set, dataset_classes
from codecfake_builder.dataset.checksums import read_checksums, root_hash
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.files import TEMPORARY
from codecfake_builder.progress import progress, say

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def train(dataset: Path, config: RunConfig, run: Path, device: str = "cpu") -> RunRecord:
    """Train a model, or resume a run that was interrupted.

    Args:
        dataset: dataset folder; the model is trained on its split ``train``, and ``dev`` chooses the best epoch.
        config: settings of the run.
        run: run folder: new, empty, or of an earlier call with the same settings and dataset.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        BenchmarkError: the folder holds another run, or something else; or the loss is not finite.
        DatasetError: there is no dataset, or it has no split ``train`` or ``dev``.

    Example::

        config = load_config("aasist", ["training.precision=bfloat16"])
        train(Path("st-codecfake"), config, Path("runs/aasist"), device="cuda")
    """
    known = closed_set(dataset)
    names = dataset_classes(dataset)
    classes = {label: names[label] for label in known}
    record = RunRecord(config, classes, root_hash(read_checksums(dataset)), frozen_hash(config.model))
    if len(known) < 2:
        raise BenchmarkError(f"{dataset}: split {TRAIN} has one class only; tracing needs two or more")
    _start_or_check_run(run, record)
    write_speech(run, dataset)
    torch.use_deterministic_algorithms(True, warn_only=True)
    seed = config.training.seed
    training = Clips(dataset, TRAIN, known, config.model.samples, config.data, seed)
    development = Clips(dataset, DEV, known, config.model.samples)
    torch.manual_seed(seed)
    model = build_model(config.model, len(known)).to_device(torch.device(device))
    _Trainer(model, config.training, run, device).run(training, development)
    return record


def _start_or_check_run(run: Path, record: RunRecord) -> None:
    """Start a run folder, or check that an existing one has the same settings and inputs."""
    if (run / CONFIG).is_file():
        there = read_record(run)
        if _without_reading_settings(there.config) != _without_reading_settings(record.config):
            raise BenchmarkError(f"{run}: holds a run with other settings ({run / CONFIG}); give another --out")
        if there[1:] != record[1:]:
            raise BenchmarkError(
                f"{run}: holds a run on another dataset, or other weights of XLS-R; give another --out"
            )
    elif run.exists() and not (run.is_dir() and all(TEMPORARY in path.name for path in run.iterdir())):
        raise BenchmarkError(f"{run}: is not empty and holds no training run; give another --out")
    write_record(run, record)


def _without_reading_settings(config: RunConfig) -> RunConfig:
    """Return the settings with those that only say how clips are read set to 0; the others decide the weights."""
    training = config.training.model_copy(update={"workers": 0, "cache_gb": 0.0})
    return config.model_copy(update={"training": training})


class _Trainer:
    """The training loop and its state."""

    def __init__(self, model: TracingModel, config: TrainingConfig, run: Path, device: str) -> None:
        self.model, self.config, self.folder, self.device = model, config, run, torch.device(device)
        kinds: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = kinds[config.optimizer](trained, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")
        self.log: list[dict[str, Any]] = []
        self.loaders: dict[str, FeatureLoader] = {}

    def run(self, training: Clips, development: Clips) -> None:
        """Train until the last epoch, or until patience ends; files of the run are written after every epoch."""
        self._resume()
        while len(self.log) < self.config.epochs and not self._out_of_patience():
            self._run_epoch(len(self.log), training, development)
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

    def _run_epoch(self, epoch: int, training: Clips, development: Clips) -> None:
        started = time.monotonic()
        torch.manual_seed(self.config.seed + 1000 * (epoch + 1))  # dropout depends on the epoch, not on what ran before
        rate = learning_rate(self.config, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        training.epoch = epoch
        loss = self._train_epoch(training, epoch)
        dev_loss, dev_accuracy = self._validate(development)
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
            f"dev accuracy {100 * dev_accuracy:.2f} %, {self._pace(epoch, started)}")  # fmt: skip

    def _pace(self, epoch: int, started: float) -> str:
        """Say how long an epoch took, and how long the others take at most."""
        took = time.monotonic() - started
        left = (self.config.epochs - epoch - 1) * took
        return f"{took:.0f} s" + (f"; at most {left / 60:.0f} min for the others" if left > 60 else "")

    def _train_epoch(self, clips: Clips, epoch: int) -> float:
        self.model.train()
        order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(self.config.seed + epoch)).tolist()
        total = 0.0
        with progress(f"epoch {epoch + 1}", len(clips), "clips") as advance:
            for rows, features in self._loader(clips).batches(order):
                labels = self._labels(clips, rows)
                self.optimizer.zero_grad(set_to_none=True)
                with self._autocast():
                    loss = F.cross_entropy(self.model.classify(features).logits, labels)
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
    def _validate(self, clips: Clips) -> tuple[float, float]:
        """Return mean loss and accuracy over the clips of classes that the model knows."""
        self.model.eval()
        loss, hits, count = 0.0, 0, 0
        rows = [row for row, label in enumerate(clips.labels) if label >= 0]
        if not rows:
            raise BenchmarkError(f"split {clips.split} has no clips of the classes of split {TRAIN}")
        for batch, features in self._loader(clips).batches(rows):
            labels = self._labels(clips, batch)
            with self._autocast():
                logits = self.model.classify(features).logits.float()
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            hits += int((logits.argmax(dim=1) == labels).sum())
            count += len(labels)
        if not math.isfinite(loss):
            raise BenchmarkError(f"{self.folder}: the dev loss is {loss}; try a smaller training.learning_rate")
        return loss / count, hits / count

    def _loader(self, clips: Clips) -> FeatureLoader:
        if clips.split not in self.loaders:
            own = self.config
            self.loaders[clips.split] = FeatureLoader(
                self.model, clips, self.device, own.batch_size, own.workers, own.cache_gb
            )
        return self.loaders[clips.split]

    def _labels(self, clips: Clips, rows: list[int]) -> Tensor:
        return torch.tensor([clips.labels[row] for row in rows], device=self.device)

    def _autocast(self) -> torch.autocast:
        dtype = PRECISIONS[self.config.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """Return the learning rate of an epoch; epochs are counted from 0."""
    if config.schedule == "cosine":
        return config.learning_rate * (1 + math.cos(math.pi * epoch / config.epochs)) / 2
    return config.learning_rate * 0.5 ** (epoch // config.halve_every)
