"""Compute the publication's Tables 3 to 6 from matched predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from codecfake_builder.benchmark.detectors import dev_threshold
from codecfake_builder.benchmark.detectors.outputs import DEV, EVAL_ID, FloatArray, IntArray
from codecfake_builder.benchmark.scoring.bootstrap import Interval, SpeakerBootstrap
from codecfake_builder.benchmark.scoring.matched import MatchedPredictions
from codecfake_builder.benchmark.scoring.metrics import OpenSet, confusion, f1_per_class
from codecfake_builder.benchmark.scoring.real_or_fake import real_or_fake_tables
from codecfake_builder.benchmark.scoring.results import Results, Table
from codecfake_builder.benchmark.scoring.truth import ALM, VOCODER_SPLIT
from codecfake_builder.origin import View
from codecfake_builder.progress import progress

EVAL_OOD = "eval_ood"
ROBUSTNESS = ("unseen_real", "id_config", "id_source")
CONDITIONS = {VOCODER_SPLIT: "vocoder", "ood_config": "different config", "ood_source": "different source"}
"""Splits of Table 5 beside ``eval_ood``, by the heading of their column."""
PUBLISHED_CLASSES = list(range(7))
"""Ids of the classes that the publication's models know."""
SINGLE_CODEC = 7
"""WavTokenizer, which has a column of its own in Table 5."""
AVERAGE = "average"


def score(
    matched: MatchedPredictions,
    model: str,
    bootstrap_samples: int = 1000,
    seed: int = 0,
    view: View = View.SYNTHESIS,
) -> Results:
    """Compute all tables that the predictions allow; the results' notes say which others are missing, and why.

    Args:
        matched: predictions matched with the ground truth.
        model: name of the model in the tables.
        bootstrap_samples: samples of speakers for the confidence intervals; 0 for none.
        seed: of the bootstrap's random numbers.
        view: what counts as fake where real is told from fake.

    Example:
        >>> import pandas as pd
        >>> from codecfake_builder.benchmark.scoring.matched import match_predictions
        >>> from codecfake_builder.benchmark.scoring.truth import file_name_truth
        >>> from codecfake_builder.dataset.schema import class_names
        >>> files = ["p225_001", "mimi_p225_001", "encodec_p225_001"]
        >>> truth = file_name_truth(files, label=None, split="eval_id", group=None)
        >>> predictions = pd.DataFrame({"id": files, "predicted": ["real", "mimi", "real"]})
        >>> matched = match_predictions(truth, predictions, class_names(), PUBLISHED_CLASSES, "predictions")
        >>> table = score(matched, "my model", bootstrap_samples=0).table("id")
        >>> for column, cell in zip(table.columns[:2], table.rows["my model"]):
        ...     print(f"{column}: F1 {cell.value:.1f} %")
        real: F1 66.7 %
        mimi: F1 100.0 %
    """
    bootstrap = SpeakerBootstrap(matched.truth["speaker"], bootstrap_samples, seed)
    notes: list[str] = []
    tables = [
        *_closed_set_tables(matched, model, bootstrap, notes),
        *_open_set_tables(matched, bootstrap, notes),
        *real_or_fake_tables(matched, model, view, bootstrap, notes),
    ]
    return Results(
        model=model,
        classes=tuple(matched.known_names),
        tables=tuple(tables),
        confusion=_confusion_counts(matched),
        thresholds=_thresholds(matched),
        notes=tuple(notes),
        view=view.value,
    )


def _closed_set_tables(
    matched: MatchedPredictions, model: str, bootstrap: SpeakerBootstrap, notes: list[str]
) -> Iterator[Table]:
    rows = _known_rows(matched, matched.rows(EVAL_ID))
    if len(rows):
        yield _f1_table(matched, rows, model, bootstrap)
    else:
        notes.append(f"Table 3 (classes): no predictions of split {EVAL_ID}")
    groups = [group for split in ROBUSTNESS for group in _groups(matched, split)]
    if groups:
        title = "closed-set robustness, recall (%)"
        yield _recall_table(matched, "robustness", title, groups, model, bootstrap)
    else:
        notes.append(f"Table 4 (robustness): no predictions of known classes in splits {', '.join(ROBUSTNESS)}")
    groups = _groups(matched, ALM)
    if groups:
        yield _recall_table(
            matched, "alm", "back-end codec of audio language models, recall (%)", groups, model, bootstrap
        )
    else:
        notes.append(f"Table 6 (ALM): no predictions of known classes in split {ALM}")


def _known_rows(matched: MatchedPredictions, rows: IntArray) -> IntArray:
    """Return those of the rows whose class the model knows."""
    return rows[matched.columns_of(matched.truth["label"].to_numpy()[rows]) >= 0]


def _f1_table(matched: MatchedPredictions, rows: IntArray, model: str, bootstrap: SpeakerBootstrap) -> Table:
    truth, predicted = _true_and_predicted(matched, rows)
    count = len(matched.known)
    values = f1_per_class(confusion(truth, predicted, count))
    counts = bootstrap.weighted_counts(rows, truth * count + predicted, count * count).reshape(-1, count, count)
    samples = f1_per_class(np.nan_to_num(counts))
    samples[np.isnan(counts).any(axis=-1).any(axis=-1)] = np.nan
    cells = [Interval.from_samples(float(values[label]), samples[:, label]) for label in range(count)]
    cells.append(Interval.from_samples(float(values.mean()), samples.mean(axis=1)))
    clips = (*(int((truth == label).sum()) for label in range(count)), len(rows))
    columns = (*matched.known_names, AVERAGE)
    return Table("id", "classes of the evaluation set, F1 (%)", columns, clips, {model: tuple(cells)})


def _true_and_predicted(matched: MatchedPredictions, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return true and predicted classes of some rows, as indices among the known ones."""
    labels = matched.truth["label"].to_numpy()
    return matched.columns_of(labels[rows]), matched.columns_of(matched.predicted[rows])


def _groups(matched: MatchedPredictions, split: str) -> list[tuple[str, IntArray]]:
    """Return the columns of a split's table, each with its rows of known classes."""
    rows = _known_rows(matched, matched.rows(split))
    names = matched.truth["group"].to_numpy()[rows]
    return [(str(name), rows[names == name]) for name in dict.fromkeys(names)]


def _recall_table(
    matched: MatchedPredictions,
    key: str,
    title: str,
    groups: list[tuple[str, IntArray]],
    model: str,
    bootstrap: SpeakerBootstrap,
) -> Table:
    values, samples = [], []
    for _, rows in groups:
        truth, predicted = _true_and_predicted(matched, rows)
        hits = (truth == predicted).astype(np.int64)
        values.append(float(hits.mean()))
        sums = bootstrap.weighted_counts(rows, hits, 2)
        total = sums.sum(axis=1)
        samples.append(np.divide(sums[:, 1], total, out=np.full(len(total), np.nan), where=total > 0))
    cells = [Interval.from_samples(value, drawn) for value, drawn in zip(values, samples, strict=True)]
    cells.append(Interval.from_samples(float(np.mean(values)), np.mean(samples, axis=0)))
    columns = (*(name for name, _ in groups), AVERAGE)
    return Table(key, title, columns, (*(len(rows) for _, rows in groups), 0), {model: tuple(cells)})


def _open_set_tables(matched: MatchedPredictions, bootstrap: SpeakerBootstrap, notes: list[str]) -> Iterator[Table]:
    known = _known_rows(matched, matched.rows(EVAL_ID))
    conditions = list(_conditions(matched))
    if not matched.scores or not len(known) or not conditions:
        missing = "scores or logits" if not matched.scores else f"clips of {EVAL_ID} and of unknown classes"
        notes.append(f"Table 5 (open set): the predictions hold no {missing}")
        return
    found: dict[str, list[tuple[OpenSet, OpenSet]]] = {}
    with progress("open-set metrics", len(matched.scores) * len(conditions), "cells") as advance:
        for detector, scores in matched.scores.items():
            for _, rows in conditions:
                found.setdefault(detector, []).append(bootstrap.open_set(scores, known, rows))
                advance(1)
    columns = (*(name for name, _ in conditions), AVERAGE)
    clips = (*(len(rows) for _, rows in conditions), 0)
    for key, title, pick in _OPEN_SET_METRICS:
        rows_of = {detector: _open_set_row(pairs, pick) for detector, pairs in found.items()}
        yield Table(key, f"open set, {title} (%), known clips: {len(known)}", columns, clips, rows_of)
    apart = {
        detector: _open_set_row(pairs, lambda found: found.eer_standard)
        for detector, pairs in found.items()
        if any(_shown_apart(value) for value, _ in pairs)
    }
    if apart:
        title = "EER with equal scores at one threshold, interpolated (the standard rule), where it differs"
        yield Table("ood_eer_standard", f"open set, {title} (%), known clips: {len(known)}", columns, clips, apart)


def _shown_apart(found: OpenSet) -> bool:
    """Return whether the two rules for the EER differ in what a table shows."""
    return bool(round(100 * float(found.eer[0]), 2) != round(100 * float(found.eer_standard[0]), 2))


_OPEN_SET_METRICS: list[tuple[str, str, Callable[[OpenSet], FloatArray]]] = [
    ("ood_auc", "AUC", lambda found: found.auc),
    ("ood_fpr95", "FPR at 95 % TPR", lambda found: found.fpr95),
    ("ood_eer", "EER", lambda found: found.eer),
]


def _conditions(matched: MatchedPredictions) -> Iterator[tuple[str, IntArray]]:
    """Yield the columns of Table 5, each with its rows of unknown classes."""
    labels = matched.truth["label"].to_numpy()
    rows = matched.rows(EVAL_OOD)
    rows = rows[matched.columns_of(labels[rows]) < 0]
    if matched.known == PUBLISHED_CLASSES:
        parts = [("single codec 7", rows[labels[rows] == SINGLE_CODEC])]
        others = rows[labels[rows] != SINGLE_CODEC]
        parts.append((f"multi codec {_label_range(labels[others])}", others))
    else:
        parts = [("unknown codecs", rows)]
    for split, name in CONDITIONS.items():
        own = matched.rows(split)
        parts.append((name, own[matched.columns_of(labels[own]) < 0]))
    yield from ((name, part) for name, part in parts if len(part))


def _label_range(labels: IntArray) -> str:
    return f"{labels.min()}-{labels.max()}" if len(labels) else ""


def _open_set_row(pairs: list[tuple[OpenSet, OpenSet]], pick: Callable[[OpenSet], FloatArray]) -> tuple[Interval, ...]:
    values = [float(pick(value)[0]) for value, _ in pairs]
    samples = [pick(drawn) for _, drawn in pairs]
    cells = [Interval.from_samples(value, drawn) for value, drawn in zip(values, samples, strict=True)]
    return (*cells, Interval.from_samples(float(np.mean(values)), np.mean(samples, axis=0)))


def _confusion_counts(matched: MatchedPredictions) -> dict[str, list[list[int]]]:
    """Return confusion counts per split, of clips of known classes."""
    counts = {}
    for split in matched.truth["split"].unique():
        rows = _known_rows(matched, matched.rows(split))
        if len(rows):
            counts[str(split)] = confusion(*_true_and_predicted(matched, rows), len(matched.known)).tolist()
    return counts


def _thresholds(matched: MatchedPredictions) -> dict[str, float]:
    """Return the threshold of each detector, chosen on the known clips of dev; none without dev."""
    rows = _known_rows(matched, matched.rows(DEV))
    if not len(rows):
        return {}
    return {detector: dev_threshold(scores[rows], DEV) for detector, scores in matched.scores.items()}
