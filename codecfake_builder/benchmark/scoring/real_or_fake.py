"""Tell real speech from fake with a source-tracing model, or with anybody's scores, by either view of what is fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from codecfake_builder.benchmark.detectors.outputs import DEV, EVAL_ID, TRAIN, BoolArray, FloatArray, IntArray
from codecfake_builder.benchmark.scoring.bootstrap import Interval, SpeakerBootstrap
from codecfake_builder.benchmark.scoring.matched import MatchedPredictions
from codecfake_builder.benchmark.scoring.metrics import OpenSet
from codecfake_builder.benchmark.scoring.results import Table
from codecfake_builder.origin import VIEW_MEANINGS, View, is_fake

POOLED = "all"
"""Heading of the column with the clips of all splits."""
_METRICS: tuple[tuple[str, str, Callable[[OpenSet], FloatArray]], ...] = (
    ("real_fake_eer", "EER", lambda found: found.eer_standard),
    ("real_fake_auc", "AUC", lambda found: found.auc),
)


def real_or_fake_tables(
    matched: MatchedPredictions, model: str, view: View, bootstrap: SpeakerBootstrap, notes: list[str]
) -> Iterator[Table]:
    """Yield EER (equal scores share one threshold, interpolated) and AUC of telling bona fide clips from fake ones.

    There is a column for each split but ``train`` and ``dev`` that has fakes, held against its own bona fide clips, or
    those of ``eval_id`` where it has none; and one for the clips of all these splits together.

    Args:
        matched: predictions, with ``realness`` as the scores.
        model: name of the model, of its row.
        view: what counts as fake.
        bootstrap: samples of speakers.
        notes: takes why there is no table.
    """
    scores = matched.realness
    conditions = list(_conditions(matched, fake_by(matched, view)))
    if scores is None or not conditions:
        missing = "logits of the class real and no score_real" if scores is None else "bona fide and fake clips"
        notes.append(f"real or fake (view {view}): the predictions hold no {missing}")
        return
    found = [bootstrap.open_set(scores, bona_fide, fake) for _, bona_fide, fake in conditions]
    columns = tuple(name for name, _, _ in conditions)
    clips = tuple(len(bona_fide) + len(fake) for _, bona_fide, fake in conditions)
    for key, metric, pick in _METRICS:
        cells = tuple(Interval.from_samples(float(pick(value)[0]), pick(drawn)) for value, drawn in found)
        title = f"real or fake, view {view} ({VIEW_MEANINGS[view]}), {metric} (%)"
        yield Table(key, title, columns, clips, {model: cells})


def fake_by(matched: MatchedPredictions, view: View) -> BoolArray:
    """Return ``[clips]`` which clips are fake by a view."""
    pairs = zip(matched.truth["codec"], matched.truth["alm"], strict=True)
    return np.array([is_fake(view, codec, alm if isinstance(alm, str) else None) for codec, alm in pairs], dtype=bool)


def _conditions(matched: MatchedPredictions, fake: BoolArray) -> Iterator[tuple[str, IntArray, IntArray]]:
    """Yield name, bona fide rows and fake rows of each column; none where there is nothing to tell apart."""
    splits = [str(split) for split in matched.truth["split"].unique() if split not in (TRAIN, DEV)]
    rows_of = {split: matched.rows(split) for split in splits}
    home = rows_of.get(EVAL_ID, np.zeros(0, dtype=np.int64))
    for split, rows in rows_of.items():
        bona_fide = rows[~fake[rows]]
        bona_fide = bona_fide if len(bona_fide) else home[~fake[home]]
        if len(bona_fide) and fake[rows].any():
            yield split, bona_fide, rows[fake[rows]]
    every = np.concatenate([*rows_of.values(), np.zeros(0, dtype=np.int64)])
    if fake[every].any() and not fake[every].all():
        yield POOLED, every[~fake[every]], every[fake[every]]
