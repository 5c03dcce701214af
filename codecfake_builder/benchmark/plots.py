"""Draw the report's plots, each returned as the ``data:`` address of an SVG image; same numbers, same bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import DetCurveDisplay, RocCurveDisplay

from codecfake_builder.benchmark.detectors.outputs import FloatArray, IntArray

mpl.rcParams["svg.hashsalt"] = "codecfake_builder"
mpl.rcParams["text.parse_math"] = False  # names of classes and detectors are text, whatever is in them

_COLOURS = [*mpl.color_sequences["tab10"], *mpl.color_sequences["Set2"]]


def _data_address(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def confusion_plot(counts: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Draw confusion counts, coloured by their share of the true class; a class without clips has no row.

    Args:
        counts: ``[classes, classes]``; rows are true classes, columns predicted ones.
        names: names of the classes.
    """
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
    return _data_address(figure)


def histogram_plot(known: FloatArray, unknown: FloatArray, threshold: float | None, name: str) -> str:
    """Draw histograms of a detector's scores, one of known and one of unknown clips.

    Args:
        known: scores ``[clips]`` of clips of known classes.
        unknown: scores ``[clips]`` of clips of unknown classes.
        threshold: drawn as a line, if there is one.
        name: name of the detector.
    """
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
    return _data_address(figure)


def curve_plot(scores: Mapping[str, tuple[FloatArray, FloatArray]], kind: str) -> str:
    """Draw ROC or DET curves of detectors.

    Args:
        scores: per detector, scores ``[clips]`` of known and of unknown clips.
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
    return _data_address(figure)


def embedding_plot(points: FloatArray, labels: IntArray, names: Mapping[int, str]) -> str:
    """Draw embeddings in two dimensions, with a colour per class; unknown classes as crosses.

    Args:
        points: ``[clips, 2]``.
        labels: ``[clips]``, class ids.
        names: class id -> name, in the order of the legend; names of unknown classes end in ``*``.
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
    return _data_address(figure)
