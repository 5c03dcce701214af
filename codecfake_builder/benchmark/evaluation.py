"""A trained model over all splits: logits and embeddings as files, then the tables."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from codecfake_builder.benchmark.clips import Clips
from codecfake_builder.benchmark.feature_source import FeatureSource
from codecfake_builder.benchmark.outputs import FloatArray
from codecfake_builder.benchmark.run_folder import TrainedModel, load_trained
from codecfake_builder.benchmark.scoring.inputs import against_dataset
from codecfake_builder.benchmark.scoring.render import FORMATS
from codecfake_builder.benchmark.scoring.results import Results
from codecfake_builder.benchmark.scoring.score import score
from codecfake_builder.benchmark.scoring.truth import closed_set, dataset_classes, dataset_splits
from codecfake_builder.dataset.checksums import read_checksums, root_hash
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.files import remove_temporaries, replacing, write_text
from codecfake_builder.progress import progress, say

OUTPUTS = "outputs"
ORIGIN = b"codecfake_builder.benchmark"
"""Key in a file of outputs: which checkpoint judged which dataset."""


class Evaluation(NamedTuple):
    """How a model is run over a dataset."""

    device: str = "cpu"
    batch_size: int = 24
    workers: int = 0
    samples: int = 1000
    """Bootstrap samples of the intervals."""


def evaluate(
    checkpoint: Path, dataset: Path, out: Path, name: str, ssl: str | None = None, how: Evaluation | None = None
) -> Results:
    """Judge every clip of a dataset, and score the result.

    Files of outputs that are there from the same checkpoint and dataset are kept.

    Args:
        checkpoint: run folder, or a released checkpoint.
        out: folder for ``outputs/<split>.parquet`` and ``results.*``.
        name: of the model in the tables.
        ssl: folder of XLS-R, where a W2V2-AASIST needs it from elsewhere than at training.

    Raises:
        BenchmarkError: the model knows other classes than the dataset's training split.
        CheckpointError: the checkpoint cannot be loaded.
        DatasetError: no dataset.
    """
    how = how or Evaluation()
    trained = load_trained(checkpoint, ssl)
    _check_classes(trained, dataset, checkpoint)
    origin = f"{trained.sha256} {root_hash(read_checksums(dataset))}"
    splits = dataset_splits(dataset)
    (out / OUTPUTS).mkdir(parents=True, exist_ok=True)
    remove_temporaries(out)
    foreign = sorted(path.name for path in (out / OUTPUTS).glob("*.parquet") if path.stem not in splits)
    if foreign:
        raise BenchmarkError(f"{out}: holds outputs of another dataset ({foreign[0]}); give another --out")
    for split in splits:
        path = out / OUTPUTS / f"{split}.parquet"
        if origin_of(path) != origin:
            write_outputs(trained, Clips(dataset, split, list(trained.classes), trained.samples), path, origin, how)
    results = score(against_dataset([out], dataset), name, how.samples)
    for suffix, form in FORMATS.values():
        write_text(out / f"results.{suffix}", form(results))
    return results


def _check_classes(trained: TrainedModel, dataset: Path, checkpoint: Path) -> None:
    names = dataset_classes(dataset)
    wanted = {label: names[label] for label in closed_set(dataset)}
    if trained.classes != wanted:
        raise BenchmarkError(
            f"{checkpoint}: has logits of {len(trained.classes)} classes ({', '.join(trained.classes.values())}); the "
            f"training split of {dataset} has {len(wanted)} ({', '.join(wanted.values())})"
        )


def origin_of(path: Path) -> str:
    """What :func:`write_outputs` was told about a file's origin; empty where there is no such file."""
    if not path.is_file():
        return ""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return ""
    return metadata.get(ORIGIN, b"").decode()


def write_outputs(trained: TrainedModel, clips: Clips, path: Path, origin: str, how: Evaluation) -> None:
    """Judge the clips of a split and write ``id``, ``label``, ``predicted``, ``logits`` and ``embedding``."""
    logits, embeddings = run_model(trained, clips, how)
    names = list(trained.classes.values())
    columns = {
        "id": pa.array(clips.ids, pa.string()),
        "label": pa.array(clips.class_ids, pa.int64()),
        "predicted": pa.array([names[place] for place in logits.argmax(axis=1)], pa.string()),
        "logits": _rows(logits),
        "embedding": _rows(embeddings),
    }
    table = pa.table(columns).replace_schema_metadata({ORIGIN: origin.encode()})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _rows(values: FloatArray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float32()), values.shape[1])


@torch.no_grad()
def run_model(trained: TrainedModel, clips: Clips, how: Evaluation) -> tuple[FloatArray, FloatArray]:
    """Logits ``[clips, classes]`` and embeddings ``[clips, dimensions]``, float32.

    Raises:
        BenchmarkError: the model gives something that is not finite.
    """
    device = torch.device(how.device)
    model = trained.model.on(device).eval()
    source = FeatureSource(model, clips, device, how.batch_size, how.workers)
    parts = []
    with progress(f"judging {clips.split}", len(clips), "clips") as advance:
        for rows, features in source.batches(list(range(len(clips)))):
            embedding, logits = model.trace(features)
            parts.append((logits.float().cpu().numpy(), embedding.float().cpu().numpy()))
            advance(len(rows))
    all_logits, all_embeddings = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not (np.isfinite(all_logits).all() and np.isfinite(all_embeddings).all()):
        raise BenchmarkError(f"split {clips.split}: the model's outputs are not finite")
    say(f"{clips.split}: {len(clips)} clips judged")
    return all_logits, all_embeddings
