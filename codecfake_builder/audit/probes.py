"""Train a small classifier on few features of some clips and see whether it knows the classes of others.

A probe learns from one set of speakers and predicts clips of another: the two halves of a pool of splits in turn, and
``train`` against the pools of the evaluation. Each of these predictions is tested by itself, since only then the
permutations of :mod:`codecfake_builder.audit.chance` are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier

from codec_adapters.classes import REAL
from codecfake_builder.audit.chance import Permutations, Score
from codecfake_builder.audit.clips import COMPARED_ORIGINS, Clips
from codecfake_builder.dataset.quality import first_by_hash
from codecfake_builder.origin import Origin

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

MOST_CLIPS = 3000
"""A probe learns from, and predicts, at most so many clips; whole utterances, chosen by a hash of their names."""
LEAST_UTTERANCES = 3
TREES = 60
_BINS = 24
_FEW_SPEAKERS = 4
"""With fewer speakers, halves are made of utterances: there are no two halves of speakers with both languages."""


@dataclass(frozen=True)
class Trial:
    """Clips to learn from and clips to predict, by row; their speakers, or at least their utterances, differ."""

    name: str
    """``train -> eval_id, eval_ood``; or ``dev, one half -> the other``."""
    learn: Ints
    predict: Ints
    classes: tuple[str, ...]
    """Names by number."""
    numbers: Ints
    """``[rows]``: the class of every row of the clips; -1 where it takes no part."""
    blocks: Ints
    """``[rows]``: the utterance of every row; -1 where no other class has it."""

    @property
    def paired(self) -> bool:
        """Return whether every clip has its utterance in other classes too."""
        return bool((self.blocks[self.predict] >= 0).all())

    @cached_property
    def permutations(self) -> Permutations:
        """Return the permuted classes of the clips to predict; shared by all probes of the trial."""
        return Permutations(self.numbers[self.predict], self.blocks[self.predict])

    def without(self, left_out: frozenset[str]) -> Trial | None:
        """Return the trial without some classes; ``None`` where less than two would remain."""
        kept = [name for name in self.classes if name not in left_out]
        if len(kept) == len(self.classes):
            return self
        if len(kept) < 2:
            return None
        place = np.array([kept.index(name) if name in kept else -1 for name in [*self.classes, ""]])
        numbers = place[self.numbers]
        learn, predict = (rows[numbers[rows] >= 0] for rows in (self.learn, self.predict))
        return Trial(self.name, learn, predict, tuple(kept), numbers, self.blocks)


@dataclass(frozen=True)
class Result:
    """What a probe knew in one trial."""

    trial: str
    features: tuple[str, ...]
    clips: int
    f1: Score
    """Macro F1 over the classes."""
    aucs: dict[str, Score]
    """Of each class against all others: a fault of one class is seen there, where the mean over many would hide it."""

    @property
    def auc(self) -> Score | None:
        """Return that of real against everything else; ``None`` where the trial has no real clips."""
        return self.aucs.get(REAL)

    @property
    def scores(self) -> list[Score]:
        """Return what is tested."""
        return [self.f1, *self.aucs.values()]


def trials(clips: Clips) -> list[Trial]:
    """Return the trials that the clips allow, of clips that follow an utterance.

    Classes are exchanged within an utterance. Clips whose utterance no other class has are exchanged among themselves:
    there, what the classes say differs too.
    """
    table = clips.table
    rows = np.flatnonzero(table["origin"].isin(COMPARED_ORIGINS).to_numpy())
    blocks = pd.factorize(table["utterance"])[0].astype(np.int64)
    own = table.iloc[rows].groupby(blocks[rows], observed=True)["variant"].nunique()
    alone = np.isin(blocks, own.index[own < 2].to_numpy())
    blocks = np.where(alone, -1, blocks)
    found: list[Trial] = []
    pools = _pools(clips, rows)
    for name, members in pools.items():
        found += _both_ways(clips, name, members, blocks)
    for first, train in pools.items():
        for name, members in pools.items():
            if "train" in first.split(", ") and name != first:
                found += _trial(clips, f"{first} -> {name}", train, members, blocks)
    return found


def trials_of_generated(clips: Clips) -> list[Trial]:
    """Return trials of speech of its own (of language models) against the recorded speech of the same pool."""
    origins = clips.table["origin"].astype(str).to_numpy()
    rows = np.flatnonzero(np.isin(origins, [Origin.RECORDED, Origin.GENERATED]))
    blocks = np.full(len(clips), -1, dtype=np.int64)
    found: list[Trial] = []
    for name, members in _pools(clips, rows).items():
        if (origins[members] == Origin.GENERATED).any():
            found += _both_ways(clips, name, members, blocks)
    return found


def _both_ways(clips: Clips, name: str, rows: Ints, blocks: Ints) -> Iterator[Trial]:
    one, other = _halves(clips, rows)
    yield from _trial(clips, f"{name}, one half -> the other", one, other, blocks)
    yield from _trial(clips, f"{name}, the other half -> the one", other, one, blocks)


def _pools(clips: Clips, rows: Ints) -> dict[str, Ints]:
    splits = clips.table["split"].astype(str).to_numpy()
    pools = {}
    for number in np.unique(clips.pool[rows]):
        own = rows[clips.pool[rows] == number]
        pools[", ".join(dict.fromkeys(splits[own]))] = own
    return pools


def _halves(clips: Clips, rows: Ints) -> tuple[Ints, Ints]:
    """Return the rows in two halves without a common speaker, or utterance where there are few speakers."""
    table = clips.table.iloc[rows]
    speakers = table["speaker"].astype(str)
    units = speakers if speakers.nunique() >= _FEW_SPEAKERS else table["utterance"].astype(str)
    counts = units.value_counts()
    # the largest first, each to the smaller half, ties by hash: halves are even, and the same on every machine
    order = sorted(first_by_hash(counts.index, str, len(counts)), key=lambda unit: -counts[unit])
    sizes, side = [0, 0], {}
    for unit in order:
        side[unit] = int(sizes[1] < sizes[0])
        sizes[side[unit]] += int(counts[unit])
    sides = units.map(side).to_numpy()
    return rows[sides == 0], rows[sides == 1]


def _trial(clips: Clips, name: str, learn: Ints, predict: Ints, blocks: Ints) -> Iterator[Trial]:
    """Yield the trial, if both sides have two classes in common and some utterances."""
    variants = clips.table["variant"].astype(str).to_numpy()
    common = set(variants[learn]) & set(variants[predict])
    classes = tuple(sorted(common, key=lambda variant: (variant != REAL, variant)))
    if len(classes) < 2:
        return
    place = {variant: number for number, variant in enumerate(classes)}
    numbers = np.array([place.get(variant, -1) for variant in variants], dtype=np.int64)
    learn, predict = (_some(clips, rows[numbers[rows] >= 0]) for rows in (learn, predict))
    utterances = clips.table["utterance"].iloc[np.concatenate([learn, predict])].nunique()
    if len(learn) and len(predict) and utterances >= LEAST_UTTERANCES:
        yield Trial(name, learn, predict, classes, numbers, blocks)


def _some(clips: Clips, rows: Ints) -> Ints:
    """Return at most :data:`MOST_CLIPS` rows, whole utterances of them."""
    if len(rows) <= MOST_CLIPS:
        return rows
    names = clips.table["utterance"].astype(str).to_numpy()
    numbers, utterances = pd.factorize(names[rows])
    sizes = np.bincount(numbers)
    order = first_by_hash(range(len(utterances)), lambda number: str(utterances[number]), len(utterances))
    kept = np.array(order)[np.cumsum(sizes[order]) <= MOST_CLIPS]
    return rows[np.isin(numbers, kept)]


def run(trial: Trial, values: Floats, columns: Sequence[int], names: Sequence[str]) -> Result:
    """Run a probe: on one feature by its histogram, on several by a forest.

    Args:
        trial: what to learn from and what to predict.
        values: ``[clips, features]`` of all clips.
        columns: the features to use.
        names: of all features.
    """
    learn, predict = values[trial.learn][:, columns], values[trial.predict][:, columns]
    known = trial.numbers[trial.learn]
    count = len(trial.classes)
    if len(columns) == 1:
        likelihoods = _histogram(learn[:, 0], known, predict[:, 0], count)
    else:
        likelihoods = _forest(learn, known, predict, count)
    predicted = np.asarray(likelihoods.argmax(axis=1))
    f1 = trial.permutations.macro_f1(predicted)
    aucs = {
        name: auc
        for number, name in enumerate(trial.classes)
        if (auc := trial.permutations.auc(likelihoods[:, number], number)) is not None
    }
    return Result(trial.name, tuple(names[column] for column in columns), len(predict), f1, aucs)


def _forest(learn: Floats, known: Ints, predict: Floats, count: int) -> Floats:
    forest = ExtraTreesClassifier(
        TREES, min_samples_leaf=2, max_features=None, class_weight="balanced", random_state=0, n_jobs=1
    )
    forest.fit(learn, known)
    found = np.zeros((len(predict), count))
    found[:, forest.classes_] = forest.predict_proba(predict)
    return found


def _histogram(learn: Floats, known: Ints, predict: Floats, count: int) -> Floats:
    """Return the classes' shares in each feature's value: bins of equal population, single values where few occur."""
    distinct = np.unique(learn)
    if len(distinct) <= _BINS:
        edges = (distinct[1:] + distinct[:-1]) / 2
    else:
        edges = np.unique(np.quantile(learn, np.linspace(0, 1, _bins(len(learn), count) + 1)[1:-1]))
    cells = np.searchsorted(edges, learn, side="right") * count + known
    counts = np.bincount(cells, minlength=(len(edges) + 1) * count).reshape(-1, count).astype(np.float64)
    shares = (counts + 0.5 / count) / np.bincount(known, minlength=count)
    return np.asarray((shares / shares.sum(axis=1, keepdims=True))[np.searchsorted(edges, predict, side="right")])


def _bins(clips: int, count: int) -> int:
    """Return how many bins hold some clips of every class each."""
    return int(np.clip(clips // (3 * count), 4, _BINS))
