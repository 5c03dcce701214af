"""Compare the clips of each utterance by what a file says of itself: format, rate, channels and length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from codec_adapters.classes import REAL
from codecfake_builder.audit.clips import COMPARED_ORIGINS, Clips
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status
from codecfake_builder.audit.measuring.audio_file import Container


def container_findings(clips: Clips, containers: Sequence[Container | None]) -> list[Finding]:
    """Return the lines ``container`` and ``length``: all classes must be alike in both, since no codec has to change
    them.

    A clip is held against the recorded one of its utterance, or where there is none against what most clips of the
    utterance have. Speech of its own (generated, imported) has its own length.
    """
    table = clips.table
    rows = np.flatnonzero(
        table["origin"].isin(COMPARED_ORIGINS).to_numpy() & np.array([c is not None for c in containers])
    )
    if not len(rows):
        return []
    known = [container for row in rows if (container := containers[int(row)]) is not None]
    found = pd.DataFrame(
        {
            "id": table["id"].to_numpy()[rows],
            "variant": table["variant"].astype(str).to_numpy()[rows],
            "utterance": table["utterance"].astype(str).to_numpy()[rows],
            "kind": [f"{c.kind}, {c.rate} Hz, {c.channels} channel{'s' if c.channels > 1 else ''}" for c in known],
            "seconds": [c.samples / c.rate for c in known],
            "step": [1 / c.rate for c in known],
        }
    )
    return [_kinds(found), _lengths(found)]


def _kinds(found: pd.DataFrame) -> Finding:
    kinds = found.groupby("variant", sort=True)["kind"].agg(lambda own: own.mode()[0])
    counts = found.groupby("variant", sort=True)["kind"].nunique()
    usual = kinds.get(REAL, kinds.mode()[0])
    other = tuple(kinds.index[(kinds != usual) | (counts > 1)])
    values = {"classes": kinds.to_dict()}
    if not other:
        return Finding("container", "all", Status.PASS, f"every clip is {usual}", values)
    some = ", ".join(f"{name} ({kinds[name] if kinds[name] != usual else 'mixed'})" for name in other[:EXAMPLES])
    return Finding("container", "all", Status.FAIL, f"most clips are {usual}, but not {some}", values, other)


def _lengths(found: pd.DataFrame) -> Finding:
    real = found[found["variant"] == REAL].drop_duplicates("utterance").set_index("utterance")["seconds"]
    usual = found.groupby("utterance")["seconds"].agg(lambda own: own.mode().iloc[0])
    expected = found["utterance"].map(real).fillna(found["utterance"].map(usual))
    off = found["seconds"] - expected
    found = found.assign(off=off, differs=off.abs() > found["step"])
    shares = found.groupby("variant", sort=True)["differs"].mean()
    other = tuple(shares.index[shares > 0])
    if not other:
        return Finding("length", "all", Status.PASS, "the clips of an utterance have one length", {"clips": len(found)})
    differing = found[found["differs"]]
    medians = (1000 * differing.groupby("variant")["off"].median()).round(2).to_dict()
    some = ", ".join(f"{name} {medians[name]:+.1f} ms" for name in other[:EXAMPLES])
    more = f" and {len(other) - EXAMPLES} more" if len(other) > EXAMPLES else ""
    return Finding(
        "length",
        "all",
        Status.FAIL,
        f"{len(differing)} of {len(found)} clips are not as long as their source: {some}{more}",
        {"median_ms": medians, "share": shares[shares > 0].round(4).to_dict()},
        other,
        tuple(differing["id"].head(EXAMPLES)),
    )
