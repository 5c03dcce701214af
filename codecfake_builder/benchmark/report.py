"""Write the benchmark's report: one HTML file with tables, plots, and the audio of the worst errors, all embedded."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow.parquet as pq
from sklearn.manifold import TSNE

from codecfake_builder.benchmark.detectors.outputs import EVAL_ID, TRAIN, FloatArray, IntArray
from codecfake_builder.benchmark.plots import confusion_plot, curve_plot, embedding_plot, histogram_plot
from codecfake_builder.benchmark.scoring.inputs import SPLITS, match_to_dataset
from codecfake_builder.benchmark.scoring.matched import MatchedPredictions
from codecfake_builder.benchmark.scoring.publication import published_tables
from codecfake_builder.benchmark.scoring.render import PUBLISHED, published_rows, table_rows
from codecfake_builder.benchmark.scoring.results import RESULTS, Results, read_results
from codecfake_builder.benchmark.scoring.score import EVAL_OOD
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.checksums import read_checksums, root_hash
from codecfake_builder.files import write_text
from codecfake_builder.progress import progress

WORST = 20
"""Number of errors whose audio is embedded; 60 to 100 kB each."""
TSNE_POINTS = 1500
"""Number of embeddings in the t-SNE plot, at equal steps through the clips."""


def write_report(evaluations: Sequence[Path], dataset: Path, out: Path) -> None:
    """Write the report of one or more evaluations of the same dataset.

    Args:
        evaluations: folders that :func:`~codecfake_builder.benchmark.evaluation.evaluate` wrote.
        dataset: dataset folder that was evaluated.
        out: HTML file to write.

    Raises:
        BenchmarkError: a folder holds no evaluation of this dataset.
        DatasetError: there is no dataset in the folder.
    """
    models = []
    with progress("reporting", len(evaluations), "models") as advance:
        for folder in evaluations:
            models.append(_model_section(read_results(folder / RESULTS), match_to_dataset([folder], dataset), dataset))
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


def _model_section(results: Results, matched: MatchedPredictions, dataset: Path) -> dict[str, Any]:
    return {
        "name": results.model,
        "tables": [_table_section(table.key, table.title, table_rows(table)) for table in results.tables],
        "notes": results.notes,
        "plots": {name: plots for name, plots in _plots(results, matched).items() if plots},
        "errors": worst_errors(matched, dataset),
    }


def _table_section(key: str, title: str, rows: list[list[str]]) -> dict[str, Any]:
    printed = published_tables().get(key)
    return {
        "title": title,
        "rows": rows,
        "printed": published_rows(printed) if printed else None,
        "printed_title": f"{printed.title}, {PUBLISHED}" if printed else "",
        "notes": printed.notes if printed else (),
    }


def _plots(results: Results, matched: MatchedPredictions) -> dict[str, list[tuple[str, str]]]:
    labels = matched.columns_of(matched.truth["label"].to_numpy())
    known = matched.rows(EVAL_ID)[labels[matched.rows(EVAL_ID)] >= 0]
    unknown = np.flatnonzero((labels < 0) & (matched.truth["split"] != TRAIN).to_numpy())
    splits = sorted(results.confusion, key=lambda split: SPLITS.index(split) if split in SPLITS else len(SPLITS))
    confusions = [(split, confusion_plot(results.confusion[split], results.classes)) for split in splits]
    sections = {"Confusion matrices": confusions}
    if len(known) and len(unknown):
        pairs = {name: (scores[known], scores[unknown]) for name, scores in matched.scores.items()}
        sections["Detector scores"] = [
            (name, histogram_plot(*pair, results.thresholds.get(name), name)) for name, pair in pairs.items()
        ]
        sections["ROC and DET"] = [(kind.upper(), curve_plot(pairs, kind)) for kind in ("roc", "det") if pairs]
    rows = np.concatenate([known, matched.rows(EVAL_OOD)])
    if matched.embeddings is not None and len(rows) > 3:
        sections["Embeddings (t-SNE of cosine distances; * unknown class)"] = [("", _tsne_plot(matched, rows))]
    return sections


def _tsne_plot(matched: MatchedPredictions, rows: IntArray) -> str:
    assert matched.embeddings is not None
    chosen = (
        rows[np.unique(np.linspace(0, len(rows) - 1, TSNE_POINTS).astype(int))] if len(rows) > TSNE_POINTS else rows
    )
    labels = matched.truth["label"].to_numpy()[chosen]
    perplexity = min(30.0, (len(chosen) - 1) / 3)
    points: FloatArray = TSNE(perplexity=perplexity, metric="cosine", init="random", random_state=0).fit_transform(
        matched.embeddings[chosen].astype(np.float64)
    )
    known = set(matched.known)
    names = {
        int(label): matched.class_name(int(label)) + ("" if label in known else "*") for label in np.unique(labels)
    }
    return embedding_plot(points, labels, names)


def worst_errors(matched: MatchedPredictions, dataset: Path, count: int = WORST) -> list[dict[str, str]]:
    """Return the wrong predictions with the largest probability, of clips of known classes outside ``train``.

    Args:
        matched: predictions; probabilities are the scores of the detector MSP, if there are any.
        dataset: dataset folder, for the audio.
        count: how many at most.

    Returns:
        Texts for the report; ``audio`` is a ``data:`` address.
    """
    labels = matched.truth["label"].to_numpy()
    candidates = (matched.columns_of(labels) >= 0) & (matched.truth["split"] != TRAIN).to_numpy()
    rows = np.flatnonzero(candidates & (matched.predicted != labels))
    probabilities = matched.scores.get("MSP", np.zeros(len(labels)))
    rows = rows[np.argsort(-probabilities[rows], kind="stable")][:count]
    chosen = matched.truth.iloc[rows]
    audio = _audio(dataset, set(chosen["split"]), set(chosen["id"]))
    return [
        {
            "id": str(matched.truth["id"].iloc[row]),
            "split": str(matched.truth["split"].iloc[row]),
            "true": matched.class_name(labels[row]),
            "predicted": matched.class_name(matched.predicted[row]),
            "probability": f"{probabilities[row]:.4f}" if "MSP" in matched.scores else "",
            "audio": audio.get(str(matched.truth["id"].iloc[row]), ""),
        }
        for row in rows
    ]


def _audio(dataset: Path, splits: set[str], wanted: set[str]) -> dict[str, str]:
    """Return the audio of the wanted clips as ``data:`` addresses, by id."""
    found = {}
    for split in sorted(splits):
        for path in layout.shard_files(dataset, split):
            table = pq.read_table(path, columns=["id", "audio"], filters=[("id", "in", wanted)])
            for row in table.to_pylist():
                found[row["id"]] = "data:audio/flac;base64," + base64.b64encode(row["audio"]["bytes"]).decode("ascii")
    return found
