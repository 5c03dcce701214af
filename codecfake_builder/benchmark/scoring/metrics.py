"""The benchmark's figures, all as fractions. Every function takes weights per bootstrap sample, so that a thousand
samples cost one sort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codecfake_builder.benchmark.outputs import BoolArray, FloatArray, IntArray

KEPT = 0.95
"""Share of known clips that FPR95 keeps."""


@dataclass(frozen=True)
class OpenSet:
    """How well scores tell known (positive) from unknown clips; one value per row of the weights."""

    auc: FloatArray
    fpr95: FloatArray
    eer: FloatArray
    eer_threshold: FloatArray


def confusion(truth: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Counts ``[classes, classes]``: rows are the true class, columns the predicted one."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def f1_per_class(counts: FloatArray | IntArray) -> FloatArray:
    """One-vs-rest F1 ``[..., classes]`` of confusion counts ``[..., classes, classes]``; 0 for a class without any."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    total = counts.sum(axis=-1) + counts.sum(axis=-2)
    return np.divide(2 * hits, total, out=np.zeros(total.shape), where=total > 0)


def open_set(
    known: FloatArray,
    unknown: FloatArray,
    known_weights: FloatArray | None = None,
    unknown_weights: FloatArray | None = None,
) -> OpenSet:
    """AUC, FPR at 95 % TPR, and EER.

    FPR95 is interpolated along the ROC; where the curve is horizontal at exactly 95 %, the largest FPR counts. EER
    takes every score as a step of its own, known before unknown among equals. Both are what the published code does.

    Args:
        known: scores ``[n]`` of clips of known classes; larger = more in-distribution.
        unknown: scores ``[m]`` of clips of unknown classes.
        known_weights: ``[samples, n]``; all ones by default.
        unknown_weights: ``[samples, m]``.

    Returns:
        Arrays ``[samples]``; ``[1]`` without weights.
    """
    weights_k = np.ones((1, len(known))) if known_weights is None else known_weights
    weights_u = np.ones((1, len(unknown))) if unknown_weights is None else unknown_weights
    scores = np.concatenate([known, unknown])
    order = np.argsort(scores, kind="stable")
    sorted_scores = scores[order]
    samples = len(weights_k)
    is_known = order < len(known)
    below_k, below_u = np.zeros((samples, len(scores) + 1)), np.zeros((samples, len(scores) + 1))
    np.cumsum(_spread(weights_k, order, is_known), axis=1, out=below_k[:, 1:])
    np.cumsum(_spread(weights_u, order - len(known), ~is_known), axis=1, out=below_u[:, 1:])
    below_k /= below_k[:, -1:]
    below_u /= below_u[:, -1:]
    eer, threshold = _eer(below_k, below_u, sorted_scores)
    steps = np.concatenate([[True], sorted_scores[1:] != sorted_scores[:-1], [True]])
    tpr, fpr = 1 - below_k[:, steps][:, ::-1], 1 - below_u[:, steps][:, ::-1]
    auc = (np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1])).sum(axis=1) / 2
    return OpenSet(auc, _fpr_at(tpr, fpr, KEPT), eer, threshold)


def _spread(weights: FloatArray, order: IntArray, mine: BoolArray) -> FloatArray:
    """Weights in the order of the sorted scores, 0 where a score is of the other set."""
    spread = np.zeros((len(weights), len(order)))
    spread[:, mine] = weights[:, order[mine]]
    return spread


def _eer(below_k: FloatArray, below_u: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """False rejections are the known clips below a threshold, false acceptances the unknown ones above it."""
    frr, far = below_k, 1 - below_u
    # rounding must not decide which of two equal differences comes first
    at = np.round(np.abs(frr - far), 12).argmin(axis=1)
    rows = np.arange(len(at))
    thresholds = np.concatenate([scores[:1] - 0.001, scores])
    return (frr[rows, at] + far[rows, at]) / 2, thresholds[at]


def _fpr_at(tpr: FloatArray, fpr: FloatArray, wanted: float) -> FloatArray:
    """FPR where the ascending TPR crosses ``wanted``, linearly interpolated, per row."""
    tpr = np.round(tpr, 12)
    last = (tpr <= wanted).sum(axis=1) - 1
    after = np.minimum(last + 1, tpr.shape[1] - 1)
    rows = np.arange(len(last))
    rise = tpr[rows, after] - tpr[rows, last]
    share = np.divide(wanted - tpr[rows, last], rise, out=np.zeros(len(rise)), where=rise > 0)
    return fpr[rows, last] + share * (fpr[rows, after] - fpr[rows, last])
