"""From judged clips to the publication's Tables 3 to 6."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from codecfake_builder.benchmark.detectors import dev_threshold
from codecfake_builder.benchmark.outputs import DEV, FloatArray, IntArray
from codecfake_builder.benchmark.scoring.bootstrap import Interval, SpeakerBootstrap
from codecfake_builder.benchmark.scoring.matched import Judged
from codecfake_builder.benchmark.scoring.metrics import OpenSet, confusion, f1_per_class, open_set
from codecfake_builder.benchmark.scoring.results import Results, Table
from codecfake_builder.progress import progress

EVAL_ID = "eval_id"
EVAL_OOD = "eval_ood"
ALM = "alm"
ROBUSTNESS = ("unseen_real", "id_config", "id_source")
CONDITIONS = {"ood_vocoder": "vocoder", "ood_config": "different config", "ood_source": "different source"}
"""Splits of Table 5 beside ``eval_ood``, by the heading of their column."""
PUBLISHED_CLASSES = list(range(7))
SINGLE_CODEC = 7
"""WavTokenizer, which has a column of its own in Table 5."""
AVERAGE = "average"
BLOCK = 20
"""Bootstrap samples of the open-set metrics that are computed at a time."""


def score(judged: Judged, model: str, samples: int = 1000, seed: int = 0) -> Results:
    """All tables that the judged clips suffice for.

    Args:
        model: its name in the tables.
        samples: bootstrap samples of speakers for the confidence intervals; 0 for none.
        seed: of the bootstrap.
    """
    drawn = SpeakerBootstrap(judged.truth["speaker"], samples, seed)
    notes: list[str] = []
    tables = [*_closed_set_tables(judged, model, drawn, notes), *_open_set_tables(judged, drawn, notes)]
    return Results(
        model=model,
        classes=tuple(judged.known_names),
        tables=tuple(tables),
        confusion=_confusions(judged),
        thresholds=_thresholds(judged),
        notes=tuple(notes),
    )


def _closed_set_tables(judged: Judged, model: str, drawn: SpeakerBootstrap, notes: list[str]) -> Iterator[Table]:
    rows = _known(judged, judged.rows(EVAL_ID))
    if len(rows):
        yield _f1_table(judged, rows, model, drawn)
    else:
        notes.append(f"Table 3 (classes): no predictions of split {EVAL_ID}")
    groups = [group for split in ROBUSTNESS for group in _groups(judged, split)]
    if groups:
        title = "closed-set robustness, recall (%)"
        yield _recall_table(judged, "robustness", title, groups, model, drawn)
    else:
        notes.append(f"Table 4 (robustness): no predictions of known classes in splits {', '.join(ROBUSTNESS)}")
    groups = _groups(judged, ALM)
    if groups:
        yield _recall_table(judged, "alm", "back-end codec of audio language models, recall (%)", groups, model, drawn)
    else:
        notes.append(f"Table 6 (ALM): no predictions of known classes in split {ALM}")


def _known(judged: Judged, rows: IntArray) -> IntArray:
    """Those rows whose class the model knows."""
    return rows[judged.columns_of(judged.truth["label"].to_numpy()[rows]) >= 0]


def _f1_table(judged: Judged, rows: IntArray, model: str, drawn: SpeakerBootstrap) -> Table:
    truth, predicted = _places(judged, rows)
    count = len(judged.known)
    values = f1_per_class(confusion(truth, predicted, count))
    counts = drawn.sums(rows, truth * count + predicted, count * count).reshape(-1, count, count)
    samples = f1_per_class(np.nan_to_num(counts))
    samples[np.isnan(counts).any(axis=-1).any(axis=-1)] = np.nan
    cells = [Interval.of(float(values[place]), samples[:, place]) for place in range(count)]
    cells.append(Interval.of(float(values.mean()), samples.mean(axis=1)))
    clips = (*(int((truth == place).sum()) for place in range(count)), len(rows))
    columns = (*judged.known_names, AVERAGE)
    return Table("id", "classes of the evaluation set, F1 (%)", columns, clips, {model: tuple(cells)})


def _places(judged: Judged, rows: IntArray) -> tuple[IntArray, IntArray]:
    """True and predicted classes of some rows, as places among the known ones."""
    labels = judged.truth["label"].to_numpy()
    return judged.columns_of(labels[rows]), judged.columns_of(judged.predicted[rows])


def _groups(judged: Judged, split: str) -> list[tuple[str, IntArray]]:
    """The columns of a split's table, each with its clips of known classes."""
    rows = _known(judged, judged.rows(split))
    names = judged.truth["group"].to_numpy()[rows]
    return [(str(name), rows[names == name]) for name in dict.fromkeys(names)]


def _recall_table(
    judged: Judged, key: str, title: str, groups: list[tuple[str, IntArray]], model: str, drawn: SpeakerBootstrap
) -> Table:
    values, samples = [], []
    for _, rows in groups:
        truth, predicted = _places(judged, rows)
        hits = (truth == predicted).astype(np.int64)
        values.append(float(hits.mean()))
        sums = drawn.sums(rows, hits, 2)
        total = sums.sum(axis=1)
        samples.append(np.divide(sums[:, 1], total, out=np.full(len(total), np.nan), where=total > 0))
    cells = [Interval.of(value, drawn_values) for value, drawn_values in zip(values, samples, strict=True)]
    cells.append(Interval.of(float(np.mean(values)), np.mean(samples, axis=0)))
    columns = (*(name for name, _ in groups), AVERAGE)
    return Table(key, title, columns, (*(len(rows) for _, rows in groups), 0), {model: tuple(cells)})


def _open_set_tables(judged: Judged, drawn: SpeakerBootstrap, notes: list[str]) -> Iterator[Table]:
    known = _known(judged, judged.rows(EVAL_ID))
    conditions = list(_conditions(judged))
    if not judged.scores or not len(known) or not conditions:
        missing = "scores or logits" if not judged.scores else f"clips of {EVAL_ID} and of unknown classes"
        notes.append(f"Table 5 (open set): the predictions hold no {missing}")
        return
    found: dict[str, list[tuple[OpenSet, OpenSet]]] = {}
    with progress("open-set metrics", len(judged.scores) * len(conditions), "cells") as advance:
        for detector, scores in judged.scores.items():
            for _, rows in conditions:
                found.setdefault(detector, []).append(_with_samples(scores, known, rows, drawn))
                advance(1)
    columns = (*(name for name, _ in conditions), AVERAGE)
    clips = (*(len(rows) for _, rows in conditions), 0)
    for key, title, pick in _OPEN_SET_METRICS:
        rows_of = {detector: _open_set_row(pairs, pick) for detector, pairs in found.items()}
        yield Table(key, f"open set, {title} (%), known clips: {len(known)}", columns, clips, rows_of)


_OPEN_SET_METRICS: list[tuple[str, str, Callable[[OpenSet], FloatArray]]] = [
    ("ood_auc", "AUC", lambda found: found.auc),
    ("ood_fpr95", "FPR at 95 % TPR", lambda found: found.fpr95),
    ("ood_eer", "EER", lambda found: found.eer),
]


def _conditions(judged: Judged) -> Iterator[tuple[str, IntArray]]:
    """Table 5's columns with their clips of unknown classes."""
    labels = judged.truth["label"].to_numpy()
    rows = judged.rows(EVAL_OOD)
    rows = rows[judged.columns_of(labels[rows]) < 0]
    if judged.known == PUBLISHED_CLASSES:
        parts = [("single codec 7", rows[labels[rows] == SINGLE_CODEC])]
        others = rows[labels[rows] != SINGLE_CODEC]
        parts.append((f"multi codec {_span(labels[others])}", others))
    else:
        parts = [("unknown codecs", rows)]
    for split, name in CONDITIONS.items():
        own = judged.rows(split)
        parts.append((name, own[judged.columns_of(labels[own]) < 0]))
    yield from ((name, part) for name, part in parts if len(part))


def _span(labels: IntArray) -> str:
    return f"{labels.min()}-{labels.max()}" if len(labels) else ""


def _with_samples(
    scores: FloatArray, known: IntArray, unknown: IntArray, drawn: SpeakerBootstrap
) -> tuple[OpenSet, OpenSet]:
    """The metrics, and those of the bootstrap samples (NaN where a sample holds no clip of either kind)."""
    value = open_set(scores[known], scores[unknown])
    parts = []
    with np.errstate(invalid="ignore"):
        for at in range(0, len(drawn.weights), BLOCK):
            weights = drawn.weights[at : at + BLOCK]
            of_known, of_unknown = weights[:, drawn.own[known]], weights[:, drawn.own[unknown]]
            parts.append(open_set(scores[known], scores[unknown], of_known, of_unknown))
    empty = np.zeros(0)
    joined = [np.concatenate([getattr(part, name) for part in parts] or [empty]) for name in vars(value)]
    return value, OpenSet(*joined)


def _open_set_row(pairs: list[tuple[OpenSet, OpenSet]], pick: Callable[[OpenSet], FloatArray]) -> tuple[Interval, ...]:
    values = [float(pick(value)[0]) for value, _ in pairs]
    samples = [pick(drawn) for _, drawn in pairs]
    cells = [Interval.of(value, drawn) for value, drawn in zip(values, samples, strict=True)]
    return (*cells, Interval.of(float(np.mean(values)), np.mean(samples, axis=0)))


def _confusions(judged: Judged) -> dict[str, list[list[int]]]:
    """Confusion counts per split, of known classes."""
    counts = {}
    for split in judged.truth["split"].unique():
        rows = _known(judged, judged.rows(split))
        if len(rows):
            counts[str(split)] = confusion(*_places(judged, rows), len(judged.known)).tolist()
    return counts


def _thresholds(judged: Judged) -> dict[str, float]:
    rows = _known(judged, judged.rows(DEV))
    if not len(rows):
        return {}
    return {detector: dev_threshold(scores[rows], DEV) for detector, scores in judged.scores.items()}
