"""Trace single audio files: real, the codec that they passed through, or unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from codec_adapters.files.documents import nearest
from codecfake_builder.audio import AUDIO_SUFFIXES, RATE, decode, find_audio, resample
from codecfake_builder.benchmark.clips import repeat_or_crop
from codecfake_builder.benchmark.detectors import ALL, Detector, dev_threshold
from codecfake_builder.benchmark.detectors.base import energy
from codecfake_builder.benchmark.detectors.outputs import DEV, TRAIN, FloatArray, IntArray, Outputs
from codecfake_builder.benchmark.evaluation import OUTPUTS, read_input_hashes
from codecfake_builder.benchmark.run_folder import TrainedModel, load_trained
from codecfake_builder.benchmark.scoring.predictions import read_predictions, stored_layer
from codecfake_builder.decoding.reading import read_source_file
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.rejections import RejectedError

UNKNOWN = "unknown"


@dataclass(frozen=True)
class TraceResult:
    """The answer for one file; for speech of an audio language model, the codec that the ALM speaks through."""

    file: str
    answer: str
    """``real``, a codec family, or ``unknown`` if the score is below the threshold; empty if there is an error."""
    nearest: str = ""
    """The most probable known class, whatever the detector answers."""
    probability: float | None = None
    """Probability of that class among the known ones, 0 to 1; calibrated on dev."""
    detector: str = ""
    """Name of the open-set detector."""
    score: float | None = None
    """The detector's score; larger = more in-distribution."""
    threshold: float | None = None
    """The score that 95 % of the known dev clips reach."""
    dev_rank: float | None = None
    """Share of the known dev clips that have a lower score, 0 to 1."""
    error: str = ""
    """Why the file could not be traced; otherwise empty."""


class Tracer:
    """Traces audio files with a trained model and an open-set detector.

    The detector is fitted on the training clips; its threshold and the temperature of the probabilities are chosen on
    dev.

    Args:
        checkpoint: run folder, or file of a released checkpoint.
        evaluation: folder that :func:`~codecfake_builder.benchmark.evaluation.evaluate` wrote for this checkpoint.
        detector: name of the open-set detector.
        ssl: folder of XLS-R, if a W2V2-AASIST must take it from another folder than in training.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        BenchmarkError: there is no such detector, or no evaluation of this checkpoint.
        CheckpointError: the checkpoint cannot be loaded.

    Example::

        tracer = Tracer(Path("runs/aasist"), Path("runs/aasist/evaluation"), detector="kNN")
        for result in tracer.trace(audio_files([Path("speech.wav")])):
            print(result.file, result.answer)
    """

    def __init__(
        self, checkpoint: Path, evaluation: Path, detector: str, ssl: str | None = None, device: str = "cpu"
    ) -> None:
        kinds = {kind.name.lower(): kind for kind in ALL}
        if detector.lower() not in kinds:
            raise BenchmarkError(f"--detector {detector}: unknown; {nearest(detector, [kind.name for kind in ALL])}")
        self.trained = load_trained(checkpoint, ssl)
        self.device = torch.device(device)
        self.trained.model.to_device(self.device)
        train, dev = (_outputs(evaluation, split, self.trained) for split in (TRAIN, DEV))
        known = dev.labels >= 0
        self.detector: Detector = kinds[detector.lower()]().fit(train)
        self.dev_scores = np.sort(self.detector.score(dev.logits[known], dev.embeddings[known]))
        self.threshold = dev_threshold(self.dev_scores, DEV)
        self.temperature = fit_temperature(dev.logits[known], dev.labels[known])

    def trace(self, files: Iterable[Path]) -> Iterator[TraceResult]:
        """Yield the answer for each file in turn; a file that cannot be decoded gets an answer with its error.

        A file is mixed to mono, resampled to 16 kHz, and cropped or repeated to the model's input length.
        """
        for file in files:
            try:
                wave, rate = decode(read_source_file(file)[0])
            except RejectedError as error:
                yield TraceResult(str(file), "", error=str(error))
                continue
            yield self._trace_wave(str(file), repeat_or_crop(resample(wave, rate, RATE), self.trained.samples))

    @torch.no_grad()
    def _trace_wave(self, file: str, wave: FloatArray) -> TraceResult:
        embedding, logits = self.trained.model(torch.from_numpy(wave.copy())[None].to(self.device))
        row, vector = logits.float().cpu().numpy(), embedding.float().cpu().numpy()
        score = float(self.detector.score(row, vector)[0])
        place = int(row[0].argmax())
        name = list(self.trained.classes.values())[place]
        scaled = row.astype(np.float64) / self.temperature
        return TraceResult(
            file=file,
            answer=name if score >= self.threshold else UNKNOWN,
            nearest=name,
            probability=float(np.exp(scaled[0, place] - energy(scaled)[0])),
            detector=self.detector.name,
            score=score,
            threshold=self.threshold,
            dev_rank=float(np.searchsorted(self.dev_scores, score) / len(self.dev_scores)),
        )


def _outputs(evaluation: Path, split: str, trained: TrainedModel) -> Outputs:
    path = evaluation / OUTPUTS / f"{split}.parquet"
    if read_input_hashes(path).partition(" ")[0] != trained.sha256:
        raise BenchmarkError(
            f"{path}: no outputs of this checkpoint; run benchmark evaluate first (thresholds come from split {DEV})"
        )
    table = read_predictions(path)
    place = {label: number for number, label in enumerate(trained.classes)}
    return Outputs(
        split,
        tuple(table["id"]),
        np.array([place.get(int(label), -1) for label in table["label"]]),
        np.stack(table["logits"].to_list()),
        np.stack(table["embedding"].to_list()),
        stored_layer(path),
    )


def fit_temperature(logits: FloatArray, labels: IntArray) -> float:
    """Return the softmax temperature that fits the labels best: Guo et al., arXiv 1706.04599.

    Args:
        logits: ``[clips, classes]``.
        labels: ``[clips]``, columns of ``logits``.
    """
    wide, rows = logits.astype(np.float64), np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = wide / np.exp(log_temperature)
        return float((energy(scaled) - scaled[rows, labels]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def audio_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the given files as they are, and the audio files in the given folders, sorted.

    Raises:
        BenchmarkError: a path does not exist, or a folder holds no audio file.
    """
    for path in paths:
        if not path.exists():
            raise BenchmarkError(f"{path}: no such file or folder")
        if path.is_file():
            yield path
            continue
        inside = find_audio(path)
        if not inside:
            raise BenchmarkError(f"{path}: holds no audio files ({', '.join(sorted(AUDIO_SUFFIXES))})")
        yield from inside
