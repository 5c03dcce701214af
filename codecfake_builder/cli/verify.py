"""The command ``verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from codecfake_builder.cli.options import DatasetArgument
from codecfake_builder.progress import tell

EXAMPLE = "Example: python -m codecfake_builder verify lyra-dataset"


def verify(
    dataset: DatasetArgument,
    show: Annotated[int, typer.Option(min=1, help="Print at most this many problems.")] = 50,
) -> None:
    """Check a dataset: hashes of all files, every clip, rows, labels, lengths, duplicates, members of the splits."""
    from codecfake_builder.dataset.verify import verify as run
    from codecfake_builder.dataset.versions import finished
    from codecfake_builder.errors import CheckFailedError, DatasetError
    from codecfake_builder.text_files import escaped

    try:
        found = run(dataset)
    except DatasetError as error:
        if not finished(dataset):
            raise
        raise CheckFailedError(escaped(str(error))) from error
    for problem in found.problems[:show]:
        tell(problem)
    if len(found.problems) > show:
        tell(f"... and {len(found.problems) - show} more")
    if found.problems:
        tell(f"FAILED: {len(found.problems)} problems in {found.files} files, {found.clips} clips")
        raise typer.Exit(1)
    tell(f"OK: {found.files} files, {found.clips} clips, root hash {found.root}")
