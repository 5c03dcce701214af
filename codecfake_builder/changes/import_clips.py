"""``import``: write recipes for clips that exist already; ``build`` makes the dataset from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codecfake_builder.corpora.st_codecfake import FOLDERS, LABEL_FILES, StCodecfakeConfig, find
from codecfake_builder.errors import CorpusError, RecipeError
from codecfake_builder.recipe.load import load_recipe, parse_recipe
from codecfake_builder.recipe.resolve import Resolved
from codecfake_builder.recipe.schema import IMPORTED

RELEASE = "st_codecfake_release"
"""The packaged recipe of the authors' release."""
KINDS = ("clips", "st-codecfake", "speechgpt-gen")
"""What can be imported by name: any clips, the release of ST-Codecfake, the clips of SpeechGPT-Gen's demo page."""


def release_recipe(root: Path, overrides: list[str]) -> Resolved:
    """Return the recipe for the parts of ST-Codecfake's release that are under ``root``.

    Raises:
        CorpusError: no part of it is there, or one is there twice.
    """
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder")
    there = [part for part in LABEL_FILES if find(root, part) is not None]
    there += [part for part, folders in FOLDERS.items() if any(find(root, folder.path) for folder in folders)]
    if not there:
        raise CorpusError(f"{root}: nothing of ST-Codecfake is there; expected {StCodecfakeConfig.layout}")
    roots = [f"corpora.st_codecfake_{part}.root={root}" for part in there]
    return load_recipe(RELEASE, [*roots, *overrides])


def demo_recipe(root: Path, overrides: list[str]) -> Resolved:
    """Return the recipe for the 18 clips of SpeechGPT-Gen's demo page, under their names there or in ST-Codecfake's
    release.
    """
    corpus = {"kind": "imported", "root": str(root), "table": "speechgpt_gen_clips"}
    return _recipe("speechgpt_gen", "SpeechGPT-Gen's demo clips", corpus, "alm", overrides)


def clips_recipe(
    root: Path,
    *,
    table: Path | None = None,
    codec: str | None = None,
    folders: list[str] | None = None,
    alm: str | None = None,
    language: str | None = None,
    split: str,
    overrides: list[str],
) -> Resolved:
    """Return the recipe for a folder of clips.

    Args:
        root: the folder.
        table: CSV or JSONL that lists the clips; see ``corpora.imported``.
        codec: variant or family of all clips that name none.
        folders: ``NAME=CODEC`` each: what made the clips in a folder.
        alm: the audio language model that made them.
        language: of all clips that name none.
        split: the split to put them in.
        overrides: of the recipe, as ``--set`` takes them.
    """
    corpus: dict[str, Any] = {"kind": "imported", "root": str(root), "codec": codec, "alm": alm}
    corpus["table"] = None if table is None else str(table)
    corpus["folders"] = dict(map(_pair, folders or []))
    if language is not None:
        corpus["language"] = language
    return _recipe("imported", "Imported clips", corpus, split, overrides)


def _pair(text: str) -> tuple[str, str]:
    name, equals, codec = text.rpartition("=")
    if not equals or not name or not codec:
        raise RecipeError(f"--folder {text}: expected NAME=CODEC, e.g. --folder EnCodec_6k=encodec_24khz_6kbps")
    return name, codec


def _recipe(name: str, title: str, corpus: dict[str, Any], split: str, overrides: list[str]) -> Resolved:
    document = {
        "name": name,
        "title": title,
        "corpora": {name: corpus},
        "splits": {split: {"share": 1.0, "variants": [IMPORTED]}},
    }
    return parse_recipe(document, "import", Path(), overrides)
