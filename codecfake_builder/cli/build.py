"""The command ``build``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codecfake_builder.cli.options import (
    LimitOption,
    RecipeArgument,
    ReplaceOption,
    SetOption,
    TrustOption,
    chosen_recipe,
    command_line,
)
from codecfake_builder.progress import tell

if TYPE_CHECKING:
    from codecfake_builder.dataset.contents import Contents
    from codecfake_builder.recipe.resolve import Resolved

EXAMPLE = (
    "Example: python -m codecfake_builder build lyra --out lyra-dataset --set corpora.vctk.root=/data/VCTK "
    "--set corpora.aishell3.root=/data/AISHELL-3"
)


def build(
    recipe: RecipeArgument,
    out: Annotated[Path, typer.Option(help="Dataset folder; new, empty, or of an earlier build to go on with.")],
    set_: SetOption = None,
    limit: LimitOption = None,
    replace: ReplaceOption = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read every file that is there, not only those of another size or time.")
    ] = False,
    trust: TrustOption = False,
) -> None:
    """Build a dataset, or go on with one: files that are there with the right content are kept, others made again."""
    build_and_report(chosen_recipe(recipe, set_, trust), out, limit, replace=replace, check=check)


def build_and_report(
    recipe: Resolved, out: Path, limit: int | None, *, replace: bool = False, check: bool = False
) -> None:
    """Build the dataset of a recipe, and print its contents, its root hash and how to open and verify it."""
    from codecfake_builder.changes.build import build as run

    result = run(recipe, out, limit, replace=replace, check=check)
    tell(contents_table(result.contents))
    if result.unchanged:
        tell(f"\nNothing to do: all {result.shards_kept} shards were there with the right content.")
    elif result.mended:
        tell(f"\nBrought back: {len(result.mended)} files that were missing or changed.")
    tell(f"\nroot hash  {result.root}")
    tell("open it    import datasets")
    place, split = (json.dumps(text, ensure_ascii=False) for text in (str(out), result.contents.splits[0]))
    tell(f"           ds = datasets.load_dataset({place}, split={split})")
    tell(f"check it   {command_line('verify', out)}")


def contents_table(contents: Contents) -> str:
    """Return a table with a row for each split and variant: clips, hours of speech, and clips that were rejected."""
    from codecfake_builder.tables import format_table

    rows = [
        [
            cell.split,
            contents.family(cell.variant),
            cell.variant,
            cell.clips,
            f"{cell.seconds / 3600:.2f}",
            cell.rejected,
        ]
        for cell in contents.cells
    ]
    return format_table(["split", "class", "variant", "clips", "hours of clips", "rejected"], rows)
