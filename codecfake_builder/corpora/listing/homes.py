"""Find an official corpus where the root that a recipe names is one folder off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from codecfake_builder.errors import CorpusError
from codecfake_builder.progress import say
from codecfake_builder.text_files import escaped


def home_of(root: Path, marks: Sequence[str], wrong_layout: Callable[[Path], CorpusError]) -> Path:
    """Return the folder that holds one of the ``marks``: the root, or the one folder in it that does.

    Args:
        root: as the recipe names it.
        marks: relative paths of folders or files of which the corpus has at least one.
        wrong_layout: makes the error for a root in which there is none.

    Raises:
        CorpusError: there is none, or there are several; where a folder above the root is the corpus, it is named.
    """
    if _is_home(root, marks):
        return root
    inside = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and _is_home(folder, marks)]
    if len(inside) == 1:
        say(f"note: {root}: the corpus lies in its folder {escaped(inside[0].name)}, and is read there")
        return inside[0]
    if inside:
        names = ", ".join(escaped(folder.name) for folder in inside)
        raise CorpusError(f"{root}: holds the corpus several times ({names}); give one of them as the root")
    above = next((folder for folder in list(root.absolute().parents)[:3] if _is_home(folder, marks)), None)
    if above is not None:
        raise CorpusError(f"{wrong_layout(root)}; the root to give is {above}")
    raise wrong_layout(root)


def _is_home(folder: Path, marks: Sequence[str]) -> bool:
    try:
        return any((folder / mark).exists() for mark in marks)
    except OSError:  # a folder beside the corpus that cannot be read
        return False
