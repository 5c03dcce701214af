"""The command ``quality``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codecfake_builder.cli.options import DatasetArgument, TrustOption
from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import tell

EXAMPLE = "Example: python -m codecfake_builder quality lyra-dataset --clips 50"


def quality(
    dataset: DatasetArgument,
    clips: Annotated[int, typer.Option(min=1, help="Measure at most this many clips of each split and variant.")] = 16,
    codes: Annotated[
        bool, typer.Option("--codes", help="Load the codecs, and say how much of their codebooks they use.")
    ] = False,
    trust: TrustOption = False,
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
    if codes:
        _tell_codes(dataset, clips, trust)


def _tell_codes(dataset: Path, clips: int, trust: bool) -> None:
    """Print a row for each codebook."""
    from codecfake_builder.dataset.codebook_use import measure_codebooks
    from codecfake_builder.tables import format_table

    rows: list[list[object]] = []
    for variant, uses in measure_codebooks(dataset, clips, trust).items():
        for number, use in enumerate(uses, start=1):
            share = "" if use.share is None else f"{use.share:.0%}"
            rows.append(
                [
                    variant,
                    number,
                    use.entries or "",
                    use.used,
                    share,
                    f"{use.entropy:.2f}",
                    f"{use.perplexity:.0f}",
                    use.frames,
                ]
            )
        if not uses:
            rows.append([variant, "none", "", "", "", "", "", ""])
    headers = ["variant", "codebook", "entries", "used", "share", "entropy (bits)", "perplexity", "frames"]
    tell("\n" + format_table(headers, rows))
