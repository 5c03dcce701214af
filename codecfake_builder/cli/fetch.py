"""The command ``fetch``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codecfake_builder.cli.options import SetOption, TrustOption, chosen_recipe
from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import say, tell

if TYPE_CHECKING:
    from codecfake_builder.recipe.resolve import Resolved

EXAMPLE = "Example: python -m codecfake_builder fetch lyra_v2 (or: fetch vctk aishell3 --to /data)"


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Corpora (vctk, aishell3, ...), entries of weights.lock, or variant names."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Corpora: unpack them under this folder; else in the cache.")] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="All weights that a build of it would fetch.")
    ] = None,
    set_: SetOption = None,
    trust: TrustOption = False,
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
    if not names and recipe is None:
        raise BuilderError("give what to fetch: corpora, checkpoints, variants, or --recipe RECIPE")
    for given in names or []:
        if given not in known:
            raise BuilderError(f"{given}: no corpus, checkpoint or variant; {nearest(given, known)}")
    wanted = _weights_of(chosen_recipe(recipe, set_, trust)) if recipe else []
    for given in names or []:
        if given in official.lock():
            tell(f"{given}  {official.fetch_corpus(given, to)}")
            continue
        if not needed.get(given, [given])[0]:
            say(f"{given}: has no official weights of its own to fetch")
        wanted += [name for name in needed.get(given, [given]) if name]
    _fetch_weights(list(dict.fromkeys(wanted)))


def _weights_of(resolved: Resolved) -> list[str]:
    """Return the official checkpoints that a build of a recipe needs and has no folder for."""
    from codec_adapters.classes import REAL

    catalogue = resolved.catalogue
    found: list[str] = []
    for variant in resolved.variants():
        if variant != REAL:
            own, speaks = catalogue.entry(variant).spec, catalogue.speaking_codec(variant)
            found += [
                spec.checkpoint
                for spec in (own, speaks)
                if spec.checkpoint and resolved.recipe.weights_key(spec) is None
            ]
    return found


def _fetch_weights(names: list[str]) -> None:
    """Fetch checkpoints, all of them before a failure is told."""
    from codec_adapters.errors import CheckpointError
    from codec_adapters.files import weights

    problems = []
    for name in names:
        say(weights.locked(name).described)
        try:
            tell(f"{name}  {weights.fetch(name)}")
        except CheckpointError as error:
            problems.append(str(error))
    if problems:
        raise CheckpointError("\n".join(problems))
