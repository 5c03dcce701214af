"""The report's figures, each as a ``data:`` address of an SVG image. Same numbers, same bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import DetCurveDisplay, RocCurveDisplay

from codecfake_builder.benchmark.outputs import FloatArray, IntArray

mpl.rcParams["svg.hashsalt"] = "codecfake_builder"
mpl.rcParams["text.parse_math"] = False  # names of classes and detectors are text, whatever is in them

_COLOURS = [*mpl.color_sequences["tab10"], *mpl.color_sequences["Set2"]]


def _address(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def confusion_figure(counts: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Confusion counts, coloured by the share of the true class; a class without clips has no row."""
    there = np.flatnonzero(np.sum(counts, axis=1))
    table = np.asarray(counts)[there]
    shares = table / table.sum(axis=1, keepdims=True)
    figure = Figure(figsize=(1 + 0.42 * len(names), 0.9 + 0.36 * len(there)))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(there)), [names[int(place)] for place in there])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in np.ndindex(table.shape):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(table[row, column]), ha="center", va="center", color=colour, fontsize=8)
    return _address(figure)


def histogram_figure(known: FloatArray, unknown: FloatArray, threshold: float | None, name: str) -> str:
    """How a detector's scores of known and of unknown clips are spread."""
    figure = Figure(figsize=(4.2, 2.6))
    axes = figure.subplots()
    bins = np.histogram_bin_edges(np.concatenate([known, unknown]), bins=40).tolist()
    axes.hist(known, bins, density=True, alpha=0.6, label="known")
    axes.hist(unknown, bins, density=True, alpha=0.6, label="unknown")
    if threshold is not None:
        axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label="threshold (dev)")
    axes.set_xlabel(f"{name} score")
    axes.set_yticks([])
    axes.legend(fontsize=7)
    return _address(figure)


def curve_figure(scores: Mapping[str, tuple[FloatArray, FloatArray]], kind: str) -> str:
    """ROC or DET curves of detectors.

    Args:
        scores: by detector: scores of known and of unknown clips.
        kind: ``roc`` or ``det``.
    """
    figure = Figure(figsize=(4.6, 4.2))
    axes = figure.subplots()
    displays = {"roc": RocCurveDisplay, "det": DetCurveDisplay}
    for number, (name, (known, unknown)) in enumerate(scores.items()):
        truth = np.concatenate([np.ones(len(known)), np.zeros(len(unknown))])
        values = np.concatenate([known, unknown])
        colour = {"color": _COLOURS[number % len(_COLOURS)], "linewidth": 1}
        style = {"curve_kwargs": colour} if kind == "roc" else colour
        displays[kind].from_predictions(truth, values, name=name, ax=axes, **style)
    axes.set_xlabel("unknown clips accepted")
    axes.set_ylabel("known clips accepted" if kind == "roc" else "known clips rejected")
    axes.legend(fontsize=6)
    return _address(figure)


def map_figure(points: FloatArray, labels: IntArray, names: Mapping[int, str]) -> str:
    """Embeddings in two dimensions, a colour per class; unknown classes as crosses.

    Args:
        points: ``[clips, 2]``.
        labels: class id of each.
        names: by class id, in the order of the legend; those of unknown classes end in ``*``.
    """
    figure = Figure(figsize=(5.4, 4.4))
    axes = figure.subplots()
    for number, (label, name) in enumerate(names.items()):
        own = points[labels == label]
        marker = "x" if name.endswith("*") else "o"
        axes.scatter(own[:, 0], own[:, 1], s=9, marker=marker, color=_COLOURS[number % len(_COLOURS)], label=name)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    return _address(figure)
