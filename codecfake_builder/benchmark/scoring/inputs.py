"""Read what ``benchmark score`` is given: files of predictions, and a dataset or labels to match them with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from codec_adapters.files.documents import nearest
from codecfake_builder.benchmark.detectors.outputs import EVAL_ID
from codecfake_builder.benchmark.scoring.matched import (
    MatchedPredictions,
    add_detector_scores,
    match_predictions,
    training_outputs,
)
from codecfake_builder.benchmark.scoring.predictions import read_predictions, stored_layer
from codecfake_builder.benchmark.scoring.publication import released_sets
from codecfake_builder.benchmark.scoring.score import CONDITIONS, EVAL_OOD, PUBLISHED_CLASSES, ROBUSTNESS
from codecfake_builder.benchmark.scoring.truth import (
    ALM,
    closed_set,
    dataset_classes,
    dataset_truth,
    file_name_truth,
    label_file_truth,
)
from codecfake_builder.dataset.schema import class_names
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.progress import say

SPLITS = (EVAL_ID, EVAL_OOD, *ROBUSTNESS, *CONDITIONS, ALM)


@dataclass(frozen=True)
class NamedSet:
    """Place in the tables of a set of files outside a dataset folder."""

    split: str
    """Split whose table the set belongs to."""
    group: str | None
    """Column of the table; ``None``: a column per class."""
    label: int | None
    """Class id of all its files; ``None`` if file names or a label file say it."""


def match_to_dataset(paths: Sequence[Path], dataset: Path, fit: Path | None = None) -> MatchedPredictions:
    """Read predictions, match them with the clips of a dataset folder, and compute detector scores.

    Args:
        paths: files of predictions, or folders of them such as ``evaluate`` writes.
        dataset: dataset folder.
        fit: file of outputs to fit the detectors on; by default the predictions of the training split.

    Raises:
        BenchmarkError: the predictions do not fit the dataset, see
            :func:`~codecfake_builder.benchmark.scoring.matched.match_predictions`.
        DatasetError: there is no dataset in the folder.

    Example::

        matched = match_to_dataset([Path("predictions.csv")], Path("st-codecfake"))
        results = score(matched, "my model")
    """
    truth = dataset_truth(dataset)
    known = closed_set(dataset)
    files = [file for path in paths for file in _files(path)]
    tables = [read_predictions(file) for file in files]
    forms = {frozenset(map(str, table.columns)) for table in tables}
    if len(forms) > 1:
        raise BenchmarkError(
            f"{files[0]}: the files of predictions have different columns; give them one after another"
        )
    predictions = pd.concat(tables, ignore_index=True)
    where = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    twice = predictions["id"][predictions["id"].duplicated()]
    if len(twice):
        raise BenchmarkError(f"{where}: {len(twice)} clips are in two files, first {twice.iloc[0]}")
    training = None if fit is None else training_outputs(read_predictions(fit), truth, known, str(fit))
    layer = next((found for file in ([fit] if fit else files) if (found := stored_layer(file))), None)
    matched = match_predictions(truth, predictions, dataset_classes(dataset), known, where)
    return add_detector_scores(matched, training, layer)


def _files(path: Path) -> list[Path]:
    """Return a file itself, or the files of predictions in a folder or in its folder ``outputs``."""
    if not path.is_dir():
        return [path]
    inner = path / "outputs" if (path / "outputs").is_dir() else path
    files = sorted([*inner.glob("*.parquet"), *inner.glob("*.csv")])
    if not files:
        raise BenchmarkError(
            f"{path}: holds no predictions (*.parquet, *.csv), and no released results (result_id.txt)"
        )
    return files


def released_files(path: Path) -> dict[str, Path]:
    """Return the files in a folder of the authors' released results, by set; empty if it is no such folder."""
    if not path.is_dir():
        return {}
    found = {}
    for name, entry in released_sets().items():
        there = [path / file for file in entry.files if (path / file).is_file()]
        if there:
            found[name] = there[0]
    return found


def match_to_labels(files: dict[str, Path], labels: dict[str, str]) -> MatchedPredictions:
    """Read predictions of named sets, and match them with label files, one class, or the classes in file names.

    Args:
        files: file of predictions by set: a published name (``eval_id``, ``C3-1``, ...), ``SPLIT`` or ``SPLIT/COLUMN``.
        labels: by set: path of a label file, or the one class of all files, as name or id.

    Raises:
        BenchmarkError: a set is unknown, labels are given for a set without predictions, or predictions do not fit.
    """
    for name in labels:
        if name not in files:
            raise BenchmarkError(f"--labels {name}=...: no predictions of that set; {nearest(name, list(files))}")
    classes = class_names()
    parts = []
    for name, path in files.items():
        table = read_predictions(path)
        truth = _truth_of_set(name, _named_set(name), table, labels.get(name))
        parts.append(match_predictions(truth, table, classes, PUBLISHED_CLASSES, str(path)))
        say(f"{name}: {len(table)} clips")
    return _join(parts)


def _named_set(name: str) -> NamedSet:
    entry = released_sets().get(name)
    if entry is not None:
        return NamedSet(entry.split, entry.name, entry.label)
    split, _, group = name.partition("/")
    if split not in SPLITS:
        raise BenchmarkError(f"{name}: unknown set; {nearest(name, [*released_sets(), *SPLITS])}")
    return NamedSet(split, group or (split if split not in (EVAL_ID, EVAL_OOD) else None), None)


def _truth_of_set(name: str, named: NamedSet, table: pd.DataFrame, labels: str | None) -> pd.DataFrame:
    if labels is None:
        return file_name_truth(table["id"].tolist(), named.label, named.split, named.group)
    classes = class_names()
    if labels in classes or labels.isdigit():
        label = classes.index(labels) if labels in classes else int(labels)
        if label >= len(classes):
            raise BenchmarkError(f"--labels {name}={labels}: unknown label; known: 0 to {len(classes) - 1}")
        return file_name_truth(table["id"].tolist(), label, named.split, named.group)
    return label_file_truth(Path(labels), named.split, named.group)


def _join(parts: list[MatchedPredictions]) -> MatchedPredictions:
    """Join sets into one; detectors whose scores some set lacks are left out."""
    first = parts[0]
    common = [name for name in first.scores if all(name in part.scores for part in parts)]
    logits = [part.logits for part in parts if part.logits is not None]
    realness = [part.realness for part in parts if part.realness is not None]
    joined = MatchedPredictions(
        truth=pd.concat([part.truth for part in parts], ignore_index=True),
        classes=first.classes,
        known=first.known,
        predicted=np.concatenate([part.predicted for part in parts]),
        logits=np.concatenate(logits) if len(logits) == len(parts) else None,
        scores={name: np.concatenate([part.scores[name] for part in parts]) for name in common},
        realness=np.concatenate(realness) if len(realness) == len(parts) else None,
    )
    return add_detector_scores(joined)
