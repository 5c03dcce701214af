"""Match predictions with the ground truth, clip by clip, by id and never by position."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from codec_adapters.classes import NO_LABEL, VOCODER
from codecfake_builder.benchmark.detectors import ALL, FROM_LOGITS, check_no_overlap
from codecfake_builder.benchmark.detectors.outputs import TRAIN, FloatArray, IntArray, Outputs
from codecfake_builder.benchmark.scoring.predictions import logits_of, own_scores, predicted_labels, real_scores
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.progress import say


@dataclass(frozen=True)
class MatchedPredictions:
    """Clips with their ground truth and their predictions; every array has a row per row of ``truth``."""

    truth: pd.DataFrame
    """Columns ``id``, ``split``, ``label``, ``group``, ``speaker``, ``codec``, ``alm``; see ``truth.py``."""
    classes: list[str]
    """Names of all classes, by id."""
    known: list[int]
    """Ids of the classes that the model knows, in the order of the logits."""
    predicted: IntArray
    """``[clips]``, predicted class ids."""
    logits: FloatArray | None = None
    """``[clips, known classes]``."""
    embeddings: FloatArray | None = None
    """``[clips, dimensions]``."""
    scores: dict[str, FloatArray] = field(default_factory=dict)
    """``[clips]`` by detector; larger = more in-distribution."""
    realness: FloatArray | None = None
    """``[clips]``; larger = more like real speech."""

    @property
    def known_names(self) -> list[str]:
        """The names of the known classes, in the order of the logits."""
        return [self.classes[label] for label in self.known]

    def class_name(self, label: int) -> str:
        """Return the name of a class id; ``vocoder`` for -1, which stands for fakes that no codec made."""
        return VOCODER if label == NO_LABEL else self.classes[label]

    def columns_of(self, labels: IntArray) -> IntArray:
        """Return the index of each class id among the known ones; -1 for other classes."""
        column = np.full(max(len(self.classes), int(labels.max(initial=0)) + 1), -1)
        column[self.known] = np.arange(len(self.known))
        return np.where(labels < 0, -1, column[labels])  # a negative label would count from the end

    def rows(self, split: str) -> IntArray:
        """Return the rows of a split."""
        return np.flatnonzero((self.truth["split"] == split).to_numpy())

    def outputs(self, rows: IntArray, split: str) -> Outputs:
        """Return logits and embeddings of some rows, as detectors take them; both must be there.

        Args:
            rows: rows of ``truth``.
            split: name for messages, and for what detectors may use the outputs for.
        """
        assert self.logits is not None
        assert self.embeddings is not None
        labels = self.columns_of(self.truth["label"].to_numpy()[rows])
        ids = tuple(self.truth["id"].iloc[rows])
        return Outputs(split, ids, labels, self.logits[rows], self.embeddings[rows])


def match_predictions(
    truth: pd.DataFrame, predictions: pd.DataFrame, classes: list[str], known: list[int], where: str
) -> MatchedPredictions:
    """Match predictions with the ground truth by id.

    Splits without any prediction are left out; of the others, every clip needs a prediction.

    Args:
        truth: ground truth, see ``truth.py``.
        predictions: see ``predictions.py``.
        classes: names of all classes, by id.
        known: ids of the classes that the model knows, in the order of the logits.
        where: name of the predictions in messages.

    Raises:
        BenchmarkError: predictions of unknown clips, clips without prediction, unknown labels, or logits of other
            classes.
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
    matched_truth = truth.loc[there].reset_index(drop=True)
    table = predictions.set_index("id", drop=False).loc[matched_truth["id"]].reset_index(drop=True)
    names = [classes[label] for label in known]
    embeddings = np.stack(table["embedding"].to_list()) if "embedding" in table and len(table) else None
    logits = logits_of(table, names, where)
    return MatchedPredictions(
        truth=matched_truth,
        classes=classes,
        known=known,
        predicted=predicted_labels(table, classes, known, where),
        logits=logits,
        embeddings=embeddings,
        scores=own_scores(table, where),
        realness=real_scores(table, known, logits, where),
    )


def add_detector_scores(
    matched: MatchedPredictions, fit: Outputs | None = None, layer: tuple[FloatArray, FloatArray] | None = None
) -> MatchedPredictions:
    """Return the predictions with the scores of every detector that can be computed from them.

    Args:
        matched: predictions; unchanged if they have no logits.
        fit: outputs to fit detectors on; by default those of the clips of ``matched`` in the training split.
        layer: weight and bias of the model's last layer, where they are known.

    Raises:
        BenchmarkError: the outputs to fit on are not of the training split, or hold clips that are to be evaluated.
    """
    if matched.logits is None:
        return matched
    kinds, no_embeddings = FROM_LOGITS, np.zeros((len(matched.truth), 0))
    training = fit
    if matched.embeddings is not None:
        rows = matched.rows(TRAIN)
        training = fit if fit is not None else (matched.outputs(rows, TRAIN) if len(rows) else None)
        kinds = FROM_LOGITS if training is None else ALL
    if training is not None and matched.embeddings is not None:
        others = np.flatnonzero((matched.truth["split"] != TRAIN).to_numpy())
        check_no_overlap(training.ids, matched.outputs(others, "evaluation"))
    if (
        training is not None
        and layer is not None
        and layer[0].shape == (training.embeddings.shape[1], len(matched.known))
    ):
        training = replace(training, layer=layer)
    embeddings = no_embeddings if matched.embeddings is None else matched.embeddings
    scores = dict(matched.scores)
    for kind in kinds:
        if training is not None and (reason := kind.unfit(training)):
            say(f"{kind.name} is left out: {reason}")
            continue
        detector = kind() if training is None else kind().fit(training)
        scores[kind.name] = detector.score(matched.logits, embeddings)
    return replace(matched, scores=scores)


def training_outputs(predictions: pd.DataFrame, truth: pd.DataFrame, known: list[int], where: str) -> Outputs:
    """Return predictions as the training outputs that detectors are fitted on.

    The clips' splits and labels are taken from the ground truth, not from the predictions.

    Raises:
        BenchmarkError: a clip is not in the training split, or there are no logits and embeddings.
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
    column_of = {label: column for column, label in enumerate(known)}
    return Outputs(
        TRAIN,
        tuple(predictions["id"]),
        np.array([column_of.get(int(label), -1) for label in labels]),
        np.stack(predictions["logits"].to_list()),
        np.stack(predictions["embedding"].to_list()),
    )
