"""The report: one HTML file with tables, figures, and the worst errors to listen to. Everything is embedded."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow.parquet as pq
from sklearn.manifold import TSNE

from codecfake_builder.benchmark.outputs import TRAIN, FloatArray, IntArray
from codecfake_builder.benchmark.plots import confusion_figure, curve_figure, histogram_figure, map_figure
from codecfake_builder.benchmark.scoring.inputs import SPLITS, against_dataset
from codecfake_builder.benchmark.scoring.matched import Judged
from codecfake_builder.benchmark.scoring.published import published_tables
from codecfake_builder.benchmark.scoring.render import PUBLISHED, published_rows, table_rows
from codecfake_builder.benchmark.scoring.results import RESULTS, Results, read_results
from codecfake_builder.benchmark.scoring.score import EVAL_ID, EVAL_OOD
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.checksums import read_checksums, root_hash
from codecfake_builder.files import write_text
from codecfake_builder.progress import progress

WORST = 20
"""Errors that can be listened to; 60 to 100 kB each."""
MAP_POINTS = 1500
"""Embeddings on the map, drawn evenly from the clips."""


def write_report(evaluations: Sequence[Path], dataset: Path, out: Path) -> None:
    """Write the report of one or more evaluations of the same dataset.

    Raises:
        BenchmarkError: a folder holds no evaluation of this dataset.
        DatasetError: no dataset.
    """
    models = []
    with progress("reporting", len(evaluations), "models") as advance:
        for folder in evaluations:
            models.append(_model(read_results(folder / RESULTS), against_dataset([folder], dataset), dataset))
            advance(1)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("report.html.j2").render(
        title=", ".join(model["name"] for model in models),
        dataset=dataset.resolve().name,
        root=root_hash(read_checksums(dataset)),
        models=models,
    )
    write_text(out, page)


def _model(results: Results, judged: Judged, dataset: Path) -> dict[str, Any]:
    return {
        "name": results.model,
        "tables": [_table(table.key, table.title, table_rows(table)) for table in results.tables],
        "notes": results.notes,
        "figures": {name: figures for name, figures in _figures(results, judged).items() if figures},
        "errors": worst_errors(judged, dataset),
    }


def _table(key: str, title: str, rows: list[list[str]]) -> dict[str, Any]:
    printed = published_tables().get(key)
    return {
        "title": title,
        "rows": rows,
        "printed": published_rows(printed) if printed else None,
        "printed_title": f"{printed.title}, {PUBLISHED}" if printed else "",
        "notes": printed.notes if printed else (),
    }


def _figures(results: Results, judged: Judged) -> dict[str, list[tuple[str, str]]]:
    labels = judged.columns_of(judged.truth["label"].to_numpy())
    known = judged.rows(EVAL_ID)[labels[judged.rows(EVAL_ID)] >= 0]
    unknown = np.flatnonzero((labels < 0) & (judged.truth["split"] != TRAIN).to_numpy())
    splits = sorted(results.confusion, key=lambda split: SPLITS.index(split) if split in SPLITS else len(SPLITS))
    confusions = [(split, confusion_figure(results.confusion[split], results.classes)) for split in splits]
    sections = {"Confusion matrices": confusions}
    if len(known) and len(unknown):
        pairs = {name: (scores[known], scores[unknown]) for name, scores in judged.scores.items()}
        sections["Detector scores"] = [
            (name, histogram_figure(*pair, results.thresholds.get(name), name)) for name, pair in pairs.items()
        ]
        sections["ROC and DET"] = [(kind.upper(), curve_figure(pairs, kind)) for kind in ("roc", "det") if pairs]
    rows = np.concatenate([known, judged.rows(EVAL_OOD)])
    if judged.embeddings is not None and len(rows) > 3:
        sections["Embeddings (t-SNE of cosine distances; * unknown class)"] = [("", _map(judged, rows))]
    return sections


def _map(judged: Judged, rows: IntArray) -> str:
    assert judged.embeddings is not None
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, MAP_POINTS).astype(int))] if len(rows) > MAP_POINTS else rows
    labels = judged.truth["label"].to_numpy()[chosen]
    perplexity = min(30.0, (len(chosen) - 1) / 3)
    points: FloatArray = TSNE(perplexity=perplexity, metric="cosine", init="random", random_state=0).fit_transform(
        judged.embeddings[chosen].astype(np.float64)
    )
    known = set(judged.known)
    names = {int(label): judged.class_name(int(label)) + ("" if label in known else "*") for label in np.unique(labels)}
    return map_figure(points, labels, names)


def worst_errors(judged: Judged, dataset: Path, count: int = WORST) -> list[dict[str, str]]:
    """Clips of known classes outside train that the model is surest about, and wrong; with their audio."""
    labels = judged.truth["label"].to_numpy()
    judgeable = (judged.columns_of(labels) >= 0) & (judged.truth["split"] != TRAIN).to_numpy()
    rows = np.flatnonzero(judgeable & (judged.predicted != labels))
    sure = judged.scores.get("MSP", np.zeros(len(labels)))
    rows = rows[np.argsort(-sure[rows], kind="stable")][:count]
    chosen = judged.truth.iloc[rows]
    audio = _audio(dataset, set(chosen["split"]), set(chosen["id"]))
    return [
        {
            "id": str(judged.truth["id"].iloc[row]),
            "split": str(judged.truth["split"].iloc[row]),
            "true": judged.class_name(labels[row]),
            "predicted": judged.class_name(judged.predicted[row]),
            "probability": f"{sure[row]:.4f}" if "MSP" in judged.scores else "",
            "audio": audio.get(str(judged.truth["id"].iloc[row]), ""),
        }
        for row in rows
    ]


def _audio(dataset: Path, splits: set[str], wanted: set[str]) -> dict[str, str]:
    """The wanted clips as ``data:`` addresses."""
    found = {}
    for split in sorted(splits):
        for path in layout.shard_files(dataset, split):
            table = pq.read_table(path, columns=["id", "audio"], filters=[("id", "in", wanted)])
            for row in table.to_pylist():
                found[row["id"]] = "data:audio/flac;base64," + base64.b64encode(row["audio"]["bytes"]).decode("ascii")
    return found
