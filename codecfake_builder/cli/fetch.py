"""The command ``fetch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import say

EXAMPLE = "Example: python -m codecfake_builder fetch lyra_v2 (or: fetch vctk aishell3 --to /data)"


def fetch(
    names: Annotated[
        list[str],
        typer.Argument(help="Corpora (vctk, aishell3, ...), entries of weights.lock, or variant names."),
    ],
    to: Annotated[Path | None, typer.Option(help="Corpora: unpack them under this folder; else in the cache.")] = None,
) -> None:
    """Download official corpora and weights (an ALM's with its codec's), checked; an interrupted download goes on."""
    from codec_adapters.files import weights
    from codec_adapters.files.documents import nearest
    from codec_adapters.registration import default_catalogue
    from codecfake_builder.corpora import official

    catalogue = default_catalogue()
    needed = {
        name: [catalogue.spec(name).checkpoint, catalogue.speaking_codec(name).checkpoint] for name in catalogue.names()
    }
    known = [*official.lock(), *weights.lock(), *needed]
    for given in names:
        if given not in known:
            raise BuilderError(f"{given}: no corpus, checkpoint or variant; {nearest(given, known)}")
    wanted = []
    for given in names:
        if given in official.lock():
            print(f"{given}  {official.fetch_corpus(given, to)}")
            continue
        if not needed.get(given, [given])[0]:
            say(f"{given}: has no official weights of its own to fetch")
        wanted += [name for name in needed.get(given, [given]) if name]
    for name in dict.fromkeys(wanted):
        entry = weights.locked(name)
        say(entry.described)
        print(f"{name}  {weights.fetch(name)}")
