"""The plan as a table: clips per split and class, hours and expected disk."""

from __future__ import annotations

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import REAL
from codecfake_builder.plan.plan import Plan
from codecfake_builder.tables import format_table

BYTES_PER_SECOND = 20_000
"""Disk space of 16 kHz, 16-bit mono speech as FLAC, bytes per second."""


def plan_table(plan: Plan, catalogue: Catalogue) -> str:
    """Return a table with a row per split and variant, and a total. Hours are those of the clips to be made: the same
    speech counts once for every variant.

    Hours and disk of an ALM are ``-``: how long it speaks is known only once it has spoken.
    """
    rows: list[list[object]] = []
    clips, seconds = 0, 0.0
    for split in plan.splits:
        for variant in [*split.variants, *split.imported]:
            members = split.rows_of(variant)
            clips += len(members)
            if catalogue.is_alm(variant) and variant not in split.imported:
                rows.append([split.name, _family(plan, catalogue, variant), variant, len(members), "-", "-"])
                continue
            speech = plan.seconds(members)
            rows.append([split.name, _family(plan, catalogue, variant), variant, *_amounts(len(members), speech)])
            seconds += speech
    rows.append(["total", "", "", *_amounts(clips, seconds)])
    return format_table(["split", "class", "variant", "clips", "hours of clips", "GB on disk"], rows)


def _family(plan: Plan, catalogue: Catalogue, variant: str) -> str:
    if variant in plan.imported:
        return plan.imported[variant].codec
    return REAL if variant == REAL else catalogue.speaking_codec(variant).family


def _amounts(clips: int, seconds: float) -> list[object]:
    return [clips, f"{seconds / 3600:.2f}", f"{seconds * BYTES_PER_SECOND / 1e9:.3f}"]
