"""Predictions held against the truth: matched clip by clip, by name, never by position."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from codec_adapters.classes import NO_LABEL, VOCODER
from codecfake_builder.benchmark.detectors import ALL, FROM_LOGITS, refuse_overlap
from codecfake_builder.benchmark.outputs import TRAIN, FloatArray, IntArray, Outputs
from codecfake_builder.benchmark.scoring.predictions import logits_of, own_scores, predicted_labels
from codecfake_builder.errors import BenchmarkError


@dataclass(frozen=True)
class Judged:
    """Clips with what they are and what was predicted; arrays have a row per row of ``truth``."""

    truth: pd.DataFrame
    classes: list[str]
    """Names of all classes, by id."""
    known: list[int]
    """Ids of the classes that the model knows, in the order of the logits."""
    predicted: IntArray
    """Class ids."""
    logits: FloatArray | None = None
    embeddings: FloatArray | None = None
    scores: dict[str, FloatArray] = field(default_factory=dict)
    """By detector; larger = more in-distribution."""

    @property
    def known_names(self) -> list[str]:
        """Names of the known classes, in the order of the logits."""
        return [self.classes[label] for label in self.known]

    def class_name(self, label: int) -> str:
        """Name of a class id, also of the one that stands for no class."""
        return VOCODER if label == NO_LABEL else self.classes[label]

    def columns_of(self, labels: IntArray) -> IntArray:
        """Place of each class id among the known ones; -1 for others."""
        place = np.full(max(len(self.classes), int(labels.max(initial=0)) + 1), -1)
        place[self.known] = np.arange(len(self.known))
        return np.where(labels < 0, -1, place[labels])  # a negative label would count from the end

    def rows(self, split: str) -> IntArray:
        """Rows of a split."""
        return np.flatnonzero((self.truth["split"] == split).to_numpy())

    def outputs(self, rows: IntArray, split: str) -> Outputs:
        """Logits and embeddings of some rows, for detectors; both must be there."""
        assert self.logits is not None
        assert self.embeddings is not None
        labels = self.columns_of(self.truth["label"].to_numpy()[rows])
        ids = tuple(self.truth["id"].iloc[rows])
        return Outputs(split, ids, labels, self.logits[rows], self.embeddings[rows])


def judge(truth: pd.DataFrame, predictions: pd.DataFrame, classes: list[str], known: list[int], where: str) -> Judged:
    """Match predictions with the truth.

    Splits without any prediction are left out; a split must be there whole.

    Raises:
        BenchmarkError: predictions of unknown clips, clips without prediction, unknown labels, other logits.
    """
    unknown = predictions.loc[~predictions["id"].isin(truth["id"]), "id"]
    if len(unknown):
        raise BenchmarkError(f"{where}: {len(unknown)} clips are not in the truth, first {unknown.iloc[0]}")
    there = truth["id"].isin(predictions["id"])
    predicted_splits = truth.loc[there, "split"].unique()
    missing = truth.loc[truth["split"].isin(predicted_splits) & ~there]
    if len(missing):
        first = missing.iloc[0]
        total = int((truth["split"] == first["split"]).sum())
        count = int((missing["split"] == first["split"]).sum())
        raise BenchmarkError(
            f"{where}: no prediction for {count} of the {total} clips of {first['split']}, first {first['id']}"
        )
    matched = truth.loc[there].reset_index(drop=True)
    table = predictions.set_index("id", drop=False).loc[matched["id"]].reset_index(drop=True)
    names = [classes[label] for label in known]
    embeddings = np.stack(table["embedding"].to_list()) if "embedding" in table and len(table) else None
    return Judged(
        truth=matched,
        classes=classes,
        known=known,
        predicted=predicted_labels(table, classes, known, where),
        logits=logits_of(table, names, where),
        embeddings=embeddings,
        scores=own_scores(table, where),
    )


def with_detectors(judged: Judged, fit: Outputs | None = None) -> Judged:
    """The same with the scores of every detector that the outputs suffice for.

    Args:
        fit: training outputs; by default those of the judged clips that lie in the training split.

    Raises:
        BenchmarkError: detectors would be fitted on something else than training clips, or look at clips of theirs.
    """
    if judged.logits is None:
        return judged
    kinds, none = FROM_LOGITS, np.zeros((len(judged.truth), 0))
    training = fit
    if judged.embeddings is not None:
        rows = judged.rows(TRAIN)
        training = fit if fit is not None else (judged.outputs(rows, TRAIN) if len(rows) else None)
        kinds = FROM_LOGITS if training is None else ALL
    if training is not None and judged.embeddings is not None:
        others = np.flatnonzero((judged.truth["split"] != TRAIN).to_numpy())
        refuse_overlap(training.ids, judged.outputs(others, "evaluation"))
    embeddings = none if judged.embeddings is None else judged.embeddings
    scores = dict(judged.scores)
    for kind in kinds:
        detector = kind() if training is None else kind().fit(training)
        scores[kind.name] = detector.score(judged.logits, embeddings)
    return Judged(
        judged.truth, judged.classes, judged.known, judged.predicted, judged.logits, judged.embeddings, scores
    )


def fitting_outputs(predictions: pd.DataFrame, truth: pd.DataFrame, known: list[int], where: str) -> Outputs:
    """A file of outputs as what detectors are fitted on; the truth, not the file, says where its clips belong.

    Raises:
        BenchmarkError: a clip of it is not in the training split, or it has no logits and embeddings.
    """
    splits = truth.set_index("id")["split"]
    own = predictions["id"].map(splits)
    wrong = own[own != TRAIN]
    if len(wrong):
        place = "in no split of the dataset" if pd.isna(wrong.iloc[0]) else f"in split {wrong.iloc[0]}"
        raise BenchmarkError(
            f"{where}: detectors would be fitted on {len(wrong)} clips that are not in split {TRAIN}, first "
            f"{predictions['id'].loc[wrong.index[0]]} {place}; fit on split {TRAIN} only"
        )
    if "logits" not in predictions or "embedding" not in predictions:
        raise BenchmarkError(f"{where}: has no logits and embedding columns to fit detectors on")
    labels = predictions["id"].map(truth.set_index("id")["label"]).to_numpy()
    place_of = {label: place for place, label in enumerate(known)}
    return Outputs(
        TRAIN,
        tuple(predictions["id"]),
        np.array([place_of.get(int(label), -1) for label in labels]),
        np.stack(predictions["logits"].to_list()),
        np.stack(predictions["embedding"].to_list()),
    )
