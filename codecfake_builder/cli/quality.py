"""The command ``quality``."""

from __future__ import annotations

from typing import Annotated

import typer

from codecfake_builder.cli.options import DatasetArgument
from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import tell

EXAMPLE = "Example: python -m codecfake_builder quality lyra-dataset --clips 50"


def quality(
    dataset: DatasetArgument,
    clips: Annotated[int, typer.Option(min=1, help="Measure at most this many clips of each split and variant.")] = 16,
) -> None:
    """Measure how intelligible each codec leaves speech: STOI of clips against the real clips they were made from."""
    from codecfake_builder.dataset.quality import measure_stoi
    from codecfake_builder.tables import format_table

    scores = measure_stoi(dataset, clips)
    if not scores:
        raise BuilderError(
            f"{dataset}: no clip in it can be measured: none has its real clip beside it, or all are too short"
        )
    rows = [[s.split, s.variant, s.clips, f"{s.median:.3f}", f"{s.lowest:.3f}"] for s in scores]
    tell(format_table(["split", "variant", "clips", "median STOI", "lowest"], rows))
