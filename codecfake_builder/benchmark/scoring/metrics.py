"""Compute the benchmark's metrics, all as fractions.

Open-set metrics take weights of the clips per bootstrap sample, so that a thousand samples cost one sort.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codecfake_builder.benchmark.detectors.outputs import BoolArray, FloatArray, IntArray

FPR95_TPR = 0.95
"""True positive rate at which FPR95 is read: the share of known clips that are kept."""


@dataclass(frozen=True)
class OpenSet:
    """Metrics of how well scores tell known (positive) from unknown clips; each ``[samples]``, fractions."""

    auc: FloatArray
    fpr95: FloatArray
    eer: FloatArray
    eer_threshold: FloatArray
    """Score at which the EER is reached."""
    eer_standard: FloatArray
    """EER where equal scores share one threshold, interpolated along the ROC; 0.5 for scores that are all equal."""


def confusion(truth: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Return counts ``[classes, classes]``: rows are true classes, columns predicted ones.

    Args:
        truth: ``[clips]``, 0 to ``classes`` - 1.
        predicted: ``[clips]``, 0 to ``classes`` - 1.
        classes: number of classes.

    Example:
        >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def f1_per_class(counts: FloatArray | IntArray) -> FloatArray:
    """Return one-vs-rest F1 per class, ``[..., classes]``; 0 for a class without clips.

    Args:
        counts: confusion counts ``[..., classes, classes]``.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    total = counts.sum(axis=-1) + counts.sum(axis=-2)
    return np.divide(2 * hits, total, out=np.zeros(total.shape), where=total > 0)


def open_set(
    known: FloatArray,
    unknown: FloatArray,
    known_weights: FloatArray | None = None,
    unknown_weights: FloatArray | None = None,
) -> OpenSet:
    """Compute AUC, FPR at 95 % TPR, and EER.

    FPR95 is interpolated along the ROC; where the curve is horizontal at exactly 95 %, the largest FPR is taken. For
    the EER every score is a threshold of its own; of equal scores, those of known clips come first. Both follow the
    published code, whose EER is 1 for scores that are all equal; ``eer_standard`` is the one that others compute.

    Args:
        known: scores ``[n]`` of clips of known classes; larger = more in-distribution.
        unknown: scores ``[m]`` of clips of unknown classes.
        known_weights: ``[samples, n]``, weight of each clip per bootstrap sample; one sample of ones by default.
        unknown_weights: ``[samples, m]``, likewise.

    Returns:
        Arrays ``[samples]``; ``[1]`` without weights.

    Example:
        >>> open_set(np.array([0.9, 0.8, 0.4]), np.array([0.5, 0.1])).auc.round(4).tolist()
        [0.8333]
    """
    weights_k = np.ones((1, len(known))) if known_weights is None else known_weights
    weights_u = np.ones((1, len(unknown))) if unknown_weights is None else unknown_weights
    scores = np.concatenate([known, unknown])
    order = np.argsort(scores, kind="stable")
    sorted_scores = scores[order]
    samples = len(weights_k)
    is_known = order < len(known)
    below_k, below_u = np.zeros((samples, len(scores) + 1)), np.zeros((samples, len(scores) + 1))
    np.cumsum(_sort_weights(weights_k, order, is_known), axis=1, out=below_k[:, 1:])
    np.cumsum(_sort_weights(weights_u, order - len(known), ~is_known), axis=1, out=below_u[:, 1:])
    below_k /= below_k[:, -1:]
    below_u /= below_u[:, -1:]
    eer, threshold = _eer(below_k, below_u, sorted_scores)
    steps = np.concatenate([[True], sorted_scores[1:] != sorted_scores[:-1], [True]])
    tpr, fpr = 1 - below_k[:, steps][:, ::-1], 1 - below_u[:, steps][:, ::-1]
    auc = (np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1])).sum(axis=1) / 2
    return OpenSet(auc, _fpr_at(tpr, fpr, FPR95_TPR), eer, threshold, _eer_interpolated(tpr, fpr))


def _sort_weights(weights: FloatArray, order: IntArray, selected: BoolArray) -> FloatArray:
    """Return weights ``[samples, scores]`` in the order of the sorted scores; 0 for scores of the other set."""
    by_score = np.zeros((len(weights), len(order)))
    by_score[:, selected] = weights[:, order[selected]]
    return by_score


def _eer(below_k: FloatArray, below_u: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return EER and its threshold per row of the shares of known and unknown clips below each score.

    False rejections are the known clips below a threshold, false acceptances the unknown ones above it.
    """
    frr, far = below_k, 1 - below_u
    # rounding must not decide which of two equal differences comes first
    at = np.round(np.abs(frr - far), 12).argmin(axis=1)
    rows = np.arange(len(at))
    thresholds = np.concatenate([scores[:1] - 0.001, scores])
    return (frr[rows, at] + far[rows, at]) / 2, thresholds[at]


def _eer_interpolated(tpr: FloatArray, fpr: FloatArray) -> FloatArray:
    """Return the error rate where false rejections and false acceptances cross along an ascending ROC, per row."""
    excess = np.round(fpr - (1 - tpr), 12)  # ascends from -1 to 1
    after = np.minimum((excess < 0).sum(axis=1), excess.shape[1] - 1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(after))
    rise = excess[rows, after] - excess[rows, before]
    share = np.divide(-excess[rows, before], rise, out=np.ones(len(rise)), where=rise > 0)
    return fpr[rows, before] + share * (fpr[rows, after] - fpr[rows, before])


def _fpr_at(tpr: FloatArray, fpr: FloatArray, wanted: float) -> FloatArray:
    """Return the FPR where the ascending TPR crosses ``wanted``, linearly interpolated, per row."""
    tpr = np.round(tpr, 12)
    last = (tpr <= wanted).sum(axis=1) - 1
    after = np.minimum(last + 1, tpr.shape[1] - 1)
    rows = np.arange(len(last))
    rise = tpr[rows, after] - tpr[rows, last]
    share = np.divide(wanted - tpr[rows, last], rise, out=np.zeros(len(rise)), where=rise > 0)
    return fpr[rows, last] + share * (fpr[rows, after] - fpr[rows, last])
