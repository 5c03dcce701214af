"""Run a trained model on all splits of a dataset: write logits and embeddings, then score them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from codecfake_builder.benchmark.clips import Clips
from codecfake_builder.benchmark.detectors.outputs import FloatArray
from codecfake_builder.benchmark.feature_loader import FeatureLoader
from codecfake_builder.benchmark.run_folder import TrainedModel, load_trained
from codecfake_builder.benchmark.scoring.inputs import match_to_dataset
from codecfake_builder.benchmark.scoring.predictions import layer_metadata
from codecfake_builder.benchmark.scoring.render import FORMATS
from codecfake_builder.benchmark.scoring.results import Results
from codecfake_builder.benchmark.scoring.score import score
from codecfake_builder.benchmark.scoring.truth import closed_set, dataset_classes, dataset_splits
from codecfake_builder.dataset.checksums import read_checksums, root_hash
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.files import remove_temporaries, replacing, write_text
from codecfake_builder.origin import View
from codecfake_builder.progress import progress, say

OUTPUTS = "outputs"
INPUT_HASHES = b"codecfake_builder.benchmark"
"""Key in the metadata of a file of outputs: hashes of the checkpoint and the dataset that it was computed from."""


class EvaluationSettings(NamedTuple):
    """Settings of running a model on a dataset."""

    device: str = "cpu"
    """``cpu``, ``cuda`` or ``cuda:N``."""
    batch_size: int = 24
    """Clips at a time."""
    workers: int = 0
    """Processes that read clips; 0 for this process itself."""
    bootstrap_samples: int = 1000
    """Samples of speakers for the confidence intervals; 0 for none."""
    view: View = View.SYNTHESIS
    """What counts as fake where real is told from fake."""


def evaluate(
    checkpoint: Path,
    dataset: Path,
    out: Path,
    name: str,
    ssl: str | None = None,
    settings: EvaluationSettings | None = None,
) -> Results:
    """Compute a model's outputs for every clip of a dataset, and score them.

    Files of outputs from the same checkpoint and dataset that are there already are kept.

    Args:
        checkpoint: run folder, or file of a released checkpoint.
        dataset: dataset folder.
        out: folder for ``outputs/<split>.parquet`` and ``results.*``.
        name: name of the model in the tables.
        ssl: folder of XLS-R, if a W2V2-AASIST must take it from another folder than in training.
        settings: device, batch size, bootstrap, and view.

    Raises:
        BenchmarkError: the model knows other classes than the dataset's training split has.
        CheckpointError: the checkpoint cannot be loaded.
        DatasetError: there is no dataset in the folder.

    Example::

        run = Path("runs/aasist")
        results = evaluate(run, Path("st-codecfake"), run / "evaluation", "AASIST", settings=EvaluationSettings("cuda"))
        print(results.table("id"))
    """
    settings = settings or EvaluationSettings()
    trained = load_trained(checkpoint, ssl)
    _check_classes(trained, dataset, checkpoint)
    input_hashes = f"{trained.sha256} {root_hash(read_checksums(dataset))} {OUTPUTS_VERSION}"
    splits = dataset_splits(dataset)
    (out / OUTPUTS).mkdir(parents=True, exist_ok=True)
    remove_temporaries(out)
    foreign = sorted(path.name for path in (out / OUTPUTS).glob("*.parquet") if path.stem not in splits)
    if foreign:
        raise BenchmarkError(f"{out}: holds outputs of another dataset ({foreign[0]}); give another --out")
    for split in splits:
        path = out / OUTPUTS / f"{split}.parquet"
        if read_input_hashes(path) != input_hashes:
            write_outputs(
                trained, Clips(dataset, split, list(trained.classes), trained.samples), path, input_hashes, settings
            )
    results = score(match_to_dataset([out], dataset), name, settings.bootstrap_samples, view=settings.view)
    for suffix, form in FORMATS.values():
        write_text(out / f"results.{suffix}", form(results))
    return results


def _check_classes(trained: TrainedModel, dataset: Path, checkpoint: Path) -> None:
    """Check that the model knows exactly the classes of the dataset's training split."""
    names = dataset_classes(dataset)
    wanted = {label: names[label] for label in closed_set(dataset)}
    if trained.classes != wanted:
        raise BenchmarkError(
            f"{checkpoint}: has logits of {len(trained.classes)} classes ({', '.join(trained.classes.values())}); the "
            f"training split of {dataset} has {len(wanted)} ({', '.join(wanted.values())})"
        )


OUTPUTS_VERSION = 2
"""Raised whenever files of outputs hold something else: those of before are written again. 2: with the last layer."""


def read_input_hashes(path: Path) -> str:
    """Read the hashes that :func:`write_outputs` put into a file of outputs.

    Returns:
        Checkpoint's sha256, the dataset's root hash and the version, separated by blanks; empty if there is no file.
    """
    if not path.is_file():
        return ""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return ""
    return metadata.get(INPUT_HASHES, b"").decode()


def write_outputs(
    trained: TrainedModel, clips: Clips, path: Path, input_hashes: str, settings: EvaluationSettings
) -> None:
    """Write a model's outputs for the clips of a split, with ``input_hashes`` in the file's metadata.

    Columns: ``id``, ``label`` (class id), ``predicted`` (class name), ``logits``, ``embedding``.

    Raises:
        BenchmarkError: an output of the model is not finite.
    """
    logits, embeddings = run_model(trained, clips, settings)
    names = list(trained.classes.values())
    columns = {
        "id": pa.array(clips.ids, pa.string()),
        "label": pa.array(clips.class_ids, pa.int64()),
        "predicted": pa.array([names[column] for column in logits.argmax(axis=1)], pa.string()),
        "logits": _rows(logits),
        "embedding": _rows(embeddings),
    }
    layer = trained.model.output_layer()
    parts = [] if layer is None else [part.detach().float().cpu().numpy().T for part in (layer.weight, layer.bias)]
    kept = layer_metadata(*parts) if parts else {}
    table = pa.table(columns).replace_schema_metadata({INPUT_HASHES: input_hashes.encode(), **kept})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _rows(values: FloatArray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float32()), values.shape[1])


@torch.no_grad()
def run_model(trained: TrainedModel, clips: Clips, settings: EvaluationSettings) -> tuple[FloatArray, FloatArray]:
    """Return logits ``[clips, classes]`` and embeddings ``[clips, dimensions]`` of a split's clips, float32.

    Raises:
        BenchmarkError: an output of the model is not finite.
    """
    device = torch.device(settings.device)
    model = trained.model.to_device(device).eval()
    loader = FeatureLoader(model, clips, device, settings.batch_size, settings.workers)
    parts = []
    with progress(f"judging {clips.split}", len(clips), "clips") as advance:
        for rows, features in loader.batches(list(range(len(clips)))):
            embedding, logits = model.classify(features)
            parts.append((logits.float().cpu().numpy(), embedding.float().cpu().numpy()))
            advance(len(rows))
    all_logits, all_embeddings = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not (np.isfinite(all_logits).all() and np.isfinite(all_embeddings).all()):
        raise BenchmarkError(f"split {clips.split}: the model's outputs are not finite")
    say(f"{clips.split}: {len(clips)} clips judged")
    return all_logits, all_embeddings
