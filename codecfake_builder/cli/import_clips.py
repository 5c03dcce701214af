"""The command ``import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codecfake_builder.cli.build import build_and_report
from codecfake_builder.cli.options import ReplaceOption, SetOption
from codecfake_builder.errors import BuilderError

EXAMPLE = (
    "Example: python -m codecfake_builder import st-codecfake /data/st-codecfake --out st-codecfake-released "
    "(or: import clips /data/moshi --codec mimi --alm moshi --out moshi-clips)"
)


def import_clips(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="clips (any folder), st-codecfake (the release), or speechgpt-gen.")
    ],
    folder: Annotated[Path, typer.Argument(help="Folder that holds the clips.")],
    out: Annotated[Path, typer.Option(help="Dataset folder; new, empty, or of an earlier import to go on with.")],
    codec: Annotated[
        str | None, typer.Option(help="clips: variant or family (or real, vocoder) of all clips that name none.")
    ] = None,
    folders: Annotated[
        list[str] | None,
        typer.Option("--folder", metavar="NAME=CODEC", help="clips: what made those in a folder; repeatable."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="clips: CSV or JSONL with path, codec (variant, label), alm, prompt_id, ...")
    ] = None,
    alm: Annotated[str | None, typer.Option(help="clips: audio language model that made them.")] = None,
    language: Annotated[str | None, typer.Option(help="clips: language code.")] = None,
    split: Annotated[str, typer.Option(help="clips: split to put them in.")] = "test",
    set_: SetOption = None,
    replace: ReplaceOption = False,
) -> None:
    """Make a dataset of clips that exist already: same audio chain, same columns, origin "imported"."""
    from codec_adapters.files.documents import nearest
    from codecfake_builder.changes import import_clips as importing

    if what not in importing.KINDS:
        raise BuilderError(f"import {what}: unknown; {nearest(what, importing.KINDS)}")
    given = [codec, folders, table, alm, language]
    if what != "clips" and any(value is not None for value in given):
        raise BuilderError(f"import {what}: --codec, --folder, --table, --alm and --language go with clips only")
    overrides = set_ or []
    if what == "st-codecfake":
        recipe = importing.release_recipe(folder, overrides)
    elif what == "speechgpt-gen":
        recipe = importing.demo_recipe(folder, overrides)
    else:
        recipe = importing.clips_recipe(
            folder, table=table, codec=codec, folders=folders, alm=alm, language=language, split=split,
            overrides=overrides,
        )  # fmt: skip
    build_and_report(recipe, out, None, replace=replace)
