"""The clips of any tree of audio files, each of whose folders is a class, for an audit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from codec_adapters.classes import REAL
from codecfake_builder.audio import find_audio
from codecfake_builder.audit.clips import Clips, Handle
from codecfake_builder.benchmark.scoring.truth import speaker_of
from codecfake_builder.decoding.reading import READ_SECONDS, read_source_file
from codecfake_builder.errors import DatasetError
from codecfake_builder.origin import Origin
from codecfake_builder.rejections import RejectedError

GENUINE = {"real", "genuine", "bonafide", "bona_fide", "bona-fide", "original", "recorded"}
"""Names of folders that hold the recordings themselves."""
SPLIT = "files"
_MICROPHONE = re.compile(r"_mic[12]$")


@dataclass(frozen=True)
class AudioFile:
    """A file of a tree."""

    path: Path

    def read(self) -> bytes:
        """Return its content.

        Raises:
            DatasetError: it cannot be read.
        """
        try:
            return read_source_file(self.path, READ_SECONDS)[0]
        except RejectedError as error:
            raise DatasetError(f"{self.path}: {error}") from error


class TreeClips(Clips):
    """The audio files below a folder, whose first folders are the classes; clips of one name are of one utterance.

    Args:
        root: the folder.
        real: a tree with the recordings that the clips were made from, matched by name: ``p225_273`` finds
            ``p225_273_mic1.flac`` too. Recordings that no clip is named after are not looked at.

    Raises:
        DatasetError: there are no two folders with audio, or no recording has the name of a clip.
    """

    def __init__(self, root: Path, real: Path | None = None) -> None:
        for folder in (root, *([real] if real else [])):
            if not folder.is_dir():
                raise DatasetError(f"{folder}: no such folder")
        classes = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
        found = {folder.name: files for folder in classes if (files := find_audio(folder))}
        rows = [
            (REAL if name.lower() in GENUINE else name, stem_in(path, name), path)
            for name, files in found.items()
            for path in files
        ]
        if real is not None:
            rows += _recordings(real, {stem for _, stem, _ in rows})
        if len({name for name, _, _ in rows}) < 2:
            raise DatasetError(f"{root}: has {len(found)} folders with audio; an audit needs a folder for each class")
        self.paths = [path for _, _, path in rows]
        self.table = _table(root, rows)

    def handle(self, row: int) -> Handle:
        """Return what reads a clip in another process."""
        return AudioFile(self.paths[row])


def stem_in(path: Path, class_name: str) -> str:
    """Return the name of a clip's utterance: its file's, without suffix, microphone, and the name of its class.

    >>> stem_in(Path("mimi/mimi_p225_273.flac"), "mimi")
    'p225_273'
    """
    stem = _MICROPHONE.sub("", path.stem)
    for affix in (f"{class_name}_", f"{class_name}-"):
        stem = stem.removeprefix(affix)
    for affix in (f"_{class_name}", f"-{class_name}"):
        stem = stem.removesuffix(affix)
    return stem


def _recordings(real: Path, wanted: set[str]) -> Iterable[tuple[str, str, Path]]:
    """Return the recordings that clips are named after; of two microphones the first."""
    found: dict[str, Path] = {}
    for path in find_audio(real):
        stem = stem_in(path, REAL)
        if stem in wanted:
            found.setdefault(stem, path)
    if not found:
        raise DatasetError(
            f"{real}: no file in it has the name of a clip, as p225_273.flac has that of p225_273_mic1.flac"
        )
    return [(REAL, stem, path) for stem, path in found.items()]


def _table(root: Path, rows: list[tuple[str, str, Path]]) -> pd.DataFrame:
    names = [name for name, _, _ in rows]
    stems = [stem for _, stem, _ in rows]
    places = [path.relative_to(root) if path.is_relative_to(root) else path for _, _, path in rows]
    return pd.DataFrame(
        {
            "id": [str(place) for place in places],
            "split": SPLIT,
            "variant": names,
            "codec": names,
            "origin": [str(Origin.RECORDED if name == REAL else Origin.RESYNTHESIZED) for name in names],
            "is_fake": [name != REAL for name in names],
            "corpus": SPLIT,
            "utterance": stems,
            "speaker": [speaker_of(stem) for stem in stems],
            "text": None,
            "gain": 1.0,
            "native_sample_rate": float("nan"),
        }
    )
