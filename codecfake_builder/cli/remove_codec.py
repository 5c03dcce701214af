"""The command ``remove-codec``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codecfake_builder.cli.build import contents_table
from codecfake_builder.cli.options import command_line
from codecfake_builder.progress import tell

EXAMPLE = "Example: python -m codecfake_builder remove-codec snac_24khz --from st-codecfake-mini"


def remove_codec(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Codec variant, audio language model, or codec family.")],
    dataset: Annotated[Path, typer.Option("--from", help="Folder of a finished dataset.")],
    recipe: Annotated[Path | None, typer.Option(help="A recipe file from which it is taken out too.")] = None,
) -> None:
    """Take a codec's clips out of a dataset in one step; needs neither the corpora nor any codec."""
    from codecfake_builder.changes.remove_codec import remove_codec as run

    result = run(dataset, name, recipe)
    tell(contents_table(result.contents))
    tell(f"\n{result.shards_kept} shards are left as they were.")
    tell(f"\nroot hash  {result.root}")
    tell(f"check it   {command_line('verify', dataset)}")
