"""Trace single audio files: real, the codec that they passed through, or unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from codec_adapters.files.documents import nearest
from codecfake_builder.audio import (
    AUDIO_SUFFIXES,
    RATE,
    SOURCE_SILENCE_RMS,
    Wave,
    decode,
    find_audio,
    make_fit,
    resample,
)
from codecfake_builder.benchmark.clips import repeat_or_crop
from codecfake_builder.benchmark.detectors import ALL, Detector, dev_threshold
from codecfake_builder.benchmark.detectors.base import energy
from codecfake_builder.benchmark.detectors.outputs import DEV, TRAIN, BoolArray, FloatArray, IntArray, Outputs
from codecfake_builder.benchmark.evaluation import OUTPUTS, read_input_hashes
from codecfake_builder.benchmark.run_folder import TrainedModel, load_trained
from codecfake_builder.benchmark.scoring.predictions import read_predictions, stored_layer
from codecfake_builder.decoding.reading import read_source_file
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.folders import files_below
from codecfake_builder.progress import say
from codecfake_builder.rejections import RejectedError

UNKNOWN, NO_SPEECH, TOO_SHORT = "unknown", "no speech", "too short"
SHORTEST = 0.3
"""Seconds of sound below which nothing is said of a file; datasets leave such clips out too."""
_FRAME = RATE // 50
_BATCH = 16
"""Windows that are judged at a time."""


@dataclass(frozen=True)
class TraceResult:
    """The answer for one file; for speech of an audio language model, the codec that the ALM speaks through."""

    file: str
    answer: str
    """``real``, a codec family, or ``unknown`` if the score is below the threshold; ``no speech`` or ``too short``
    where there is nothing to judge; empty if there is an error."""
    nearest: str = ""
    """The most probable known class over all windows, whatever the detector answers."""
    probability: float | None = None
    """Mean probability of that class among the known ones, 0 to 1; calibrated on dev."""
    windows: int = 0
    """Parts of the file that were judged, each of the model's input length."""
    agreement: float | None = None
    """Share of the windows of which that class is the most probable one, 0 to 1."""
    lowest: float | None = None
    """Least probability of that class in a window."""
    highest: float | None = None
    """Largest probability of that class in a window."""
    detector: str = ""
    """Name of the open-set detector."""
    score: float | None = None
    """The detector's mean score over the windows; larger = more in-distribution."""
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

        A file is mixed to mono, resampled to 16 kHz, and judged in windows of the model's input length, those that hold
        speech (see :func:`windows_of`); one that is shorter is repeated, as in training.
        """
        for file in files:
            try:
                wave, rate = decode(read_source_file(file)[0])
            except RejectedError as error:
                yield TraceResult(str(file), "", error=str(error))
                continue
            wave = resample(_fit(wave, rate), rate, RATE)
            heard = seconds_of_speech(wave)
            if heard < SHORTEST:
                yield TraceResult(str(file), TOO_SHORT if heard > 0 else NO_SPEECH)
            else:
                yield self._trace_windows(str(file), windows_of(wave, self.trained.samples))

    @torch.no_grad()
    def _trace_windows(self, file: str, windows: list[FloatArray]) -> TraceResult:
        logits, embeddings = [], []
        for at in range(0, len(windows), _BATCH):
            batch = torch.from_numpy(np.stack(windows[at : at + _BATCH])).to(self.device)
            embedding, found = self.trained.model(batch)
            logits.append(found.float().cpu().numpy())
            embeddings.append(embedding.float().cpu().numpy())
        rows = np.concatenate(logits)
        score = float(self.detector.score(rows, np.concatenate(embeddings)).mean())
        scaled = rows.astype(np.float64) / self.temperature
        probabilities = np.exp(scaled - energy(scaled)[:, None])
        place = int(probabilities.mean(axis=0).argmax())
        name, own = list(self.trained.classes.values())[place], probabilities[:, place]
        return TraceResult(
            file=file,
            answer=name if score >= self.threshold else UNKNOWN,
            nearest=name,
            probability=float(own.mean()),
            windows=len(windows),
            agreement=float((probabilities.argmax(axis=1) == place).mean()),
            lowest=float(own.min()),
            highest=float(own.max()),
            detector=self.detector.name,
            score=score,
            threshold=self.threshold,
            dev_rank=float(np.searchsorted(self.dev_scores, score) / len(self.dev_scores)),
        )


def _fit(wave: Wave, rate: int) -> Wave:
    """Return a waveform at the level that clips of a dataset have; a silent one as it is."""
    try:
        return make_fit(wave, rate)[0]
    except RejectedError:
        return wave


def _loud_frames(wave: Wave) -> BoolArray:
    """Return which frames of 20 ms hold sound: within 40 dB of the loudest one, and not silent."""
    whole = wave[: len(wave) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    if not len(whole):
        return np.zeros(0, dtype=bool)
    levels = np.sqrt(np.square(whole - whole.mean(axis=1, keepdims=True)).mean(axis=1))
    return levels > max(SOURCE_SILENCE_RMS, 0.01 * float(levels.max()))


def seconds_of_speech(wave: Wave) -> float:
    """Return how long a waveform at 16 kHz is loud. That tells silence from sound; noise is not told from speech."""
    return float(_loud_frames(wave).sum() * _FRAME / RATE)


def windows_of(wave: Wave, samples: int) -> list[Wave]:
    """Return the windows of a waveform that hold speech, one after the other, from where speech begins.

    A window counts where at least half as much of it is loud as of the loudest-filled one. Silence of less than half a
    second at the start stays, since the clips of the training have some.
    """
    loud = _loud_frames(wave)
    first = int(loud.argmax()) * _FRAME
    start = first if first > RATE // 2 else 0
    parts = [wave[at : at + samples] for at in range(start, max(start + 1, len(wave) - samples // 2), samples)]
    filled = [seconds_of_speech(part) for part in parts]
    kept = [part for part, heard in zip(parts, filled, strict=True) if heard >= max(filled) / 2]
    return [repeat_or_crop(part, samples) for part in kept]


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


def _skipped(folder: Path) -> Iterator[str]:
    """Yield a line per kind of file in a folder that is not traced, since it is no audio of a kind that is decoded."""
    others: dict[str, list[Path]] = {}
    for file in files_below(folder):
        if file.suffix.lower() not in AUDIO_SUFFIXES:
            others.setdefault(file.suffix.lower(), []).append(file)
    for suffix, files in sorted(others.items()):
        yield f"note: {len(files)} files skipped, {suffix or 'no suffix'} is no audio that is decoded, e.g. {files[0]}"


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
        for skipped in _skipped(path):
            say(skipped)
        if not inside:
            raise BenchmarkError(f"{path}: holds no audio files ({', '.join(sorted(AUDIO_SUFFIXES))})")
        yield from inside
