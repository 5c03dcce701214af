"""ST-Codecfake as its authors released it (xieyuankun/ST-Codecfake, README and config.py at 4e099b593d3d).

``label/*.txt`` lists train, dev, eval_id and eval_ood; each folder of the other sets holds clips of one codec. File
names are ``<prefix>_<source utterance>.wav``. The archives hold absolute paths, so the folders are searched for below
the root.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import LABELS
from codecfake_builder.corpora.base import UNKNOWN_SPEAKER, CorpusConfig, ImportedClip, SourceFile, relative
from codecfake_builder.corpora.imported import OTHER_NAMES, unspecified
from codecfake_builder.corpora.listing.file_lists import check_against_list, read_file_list
from codecfake_builder.corpora.listing.trees import audio_below
from codecfake_builder.corpora.utterance_lists import read_ids
from codecfake_builder.errors import CorpusError
from codecfake_builder.rejections import RejectionReason
from codecfake_builder.text_files import escaped

DEEPEST = 6
"""How many folders deep below the root a part is searched for."""
_FORM = "<file> real|fake <class>"
_IN_NAME = re.compile(
    r"(?:(?P<prefix>.*)_)?(?P<id>(?P<vctk>[ps]\d+)_\d+|(?P<aishell>SSB\d{4})\d{4}|(?P<ncssd>R-(EN|ZH)_\d+_\d+_d\d+))"
)
_ORDER_UNKNOWN = {8, 9, 10, 11}
"""Class numbers of the release for which the authors do not say which codec has which."""

LABEL_FILES: dict[str, tuple[tuple[str, ...], ...]] = {
    "train": (("label/train.txt",),),
    "dev": (("label/dev.txt",),),
    "eval_id": (("label/eval_id.txt", "eval_id.txt"),),
    "eval_ood": (("label/eval_ood7.txt",), ("label/eval_ood8-11.txt",)),
}
"""The label files of each part; each file with the paths where it may lie."""


@dataclass(frozen=True)
class Folder:
    """A folder of the release with clips of one codec, and the files that it should hold, as far as they are known."""

    path: str
    codec: str
    variant: str
    prefix: str | None = None
    """First part of the file names, where ``ids`` is given."""
    ids: str | None = None
    """Packaged list of the source utterances, where the authors' scores name them."""
    alm: str | None = None
    """The audio language model that spoke the clips."""


FOLDERS: dict[str, tuple[Folder, ...]] = {
    "id_config": tuple(
        Folder(f"ID_diff_config/{name}", codec, f"{codec}_{name.lower().replace('-', '_')}", name, "stcodecfake_eval")
        for codec, names in (("funcodec", ("C3-1", "C3-2", "C3-3", "C3-4")), ("encodec", ("C4-1", "C4-2", "C4-3")))
        for name in names
    ),
    "id_source": (
        Folder("ID_diff_source/NCSSD-mimi", "mimi", "mimi_unspecified", "mimi", "ncssd"),
        Folder("ID_diff_source/NCSSD-snac", "snac", "snac_unspecified", "snac", "ncssd"),
    ),
    "ood_source": (Folder("OOD_diff_source/NCSSD_wavtokenizer", "wavtokenizer", "wavtokenizer_unspecified"),),
    "ood_config": (Folder("OOD_diff_config/wavtokenizer_small40", "wavtokenizer", "wavtokenizer_small_40tps"),),
    "alm": (
        Folder("ALM/moshi", "mimi", "mimi_unspecified", "moshi", "ncssd", "moshi"),
        Folder("ALM/mini-omni", "snac", "snac_unspecified", "miniomni", "ncssd", "mini_omni"),
        Folder("ALM/speechgpt-gen", "speechtokenizer", "speechtokenizer_unspecified", alm="speechgpt_gen"),
        Folder("ALM/valle", "encodec", "encodec_unspecified", "valle", "stcodecfake_eval", "valle"),
    ),
}
"""The folders of the parts without label files. File names and numbers are those of the authors' released scores."""

Part = Literal["train", "dev", "eval_id", "eval_ood", "id_config", "id_source", "ood_source", "ood_config", "alm"]


class StCodecfakeConfig(CorpusConfig):
    """One part of the released dataset. Only splits with the variant ``imported`` take its clips.

    A clip's class is the number in its label file where the authors say which codec it means (0 to 7). For 8 to 11 the
    prefix of the file's name gives the family; ``prefixes`` maps those that are no family's name. A clip whose prefix
    contradicts its number, or whose class is not known, is rejected (``unknown_class``).
    """

    layout: ClassVar[str] = (
        "label/train.txt and train/*.wav (likewise dev, eval_id, eval_ood7, eval_ood8-11), ID_diff_config/C3-1/*.wav, "
        "ALM/moshi/*.wav and so on, as the README of the release has it"
    )

    kind: Literal["st_codecfake"]
    part: Part
    prefixes: dict[str, str] = Field(default={})

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        if unknown := [family for family in self.prefixes.values() if family not in LABELS]:
            raise CorpusError(f"prefixes: {unknown[0]!r} is no codec family; known: {', '.join(LABELS)}")
        if self.part in LABEL_FILES:
            return self._labelled(root)
        found = [(folder, place) for folder in FOLDERS[self.part] if (place := find(root, folder.path)) is not None]
        if not found:
            raise self.wrong_layout(root)
        return [file for folder, place in found for file in _in_folder(root, folder, place)]

    def _labelled(self, root: Path) -> list[SourceFile]:
        folder = find(root, self.part)
        if folder is None:
            raise self.wrong_layout(root)
        lists = [p for places in LABEL_FILES[self.part] if (p := self._label_file(root, places)) is not None]
        lines = [line for path in lists for line in read_file_list(path, 3, _FORM, self.encoding)]
        files = [self._listed(root, folder, place, fields) for place, fields in lines]
        if not files:
            raise self.wrong_layout(root, f"no {' or '.join(LABEL_FILES[self.part][0])}, which says what the files are")
        return check_against_list(files, root, folder, lists[0])

    def _label_file(self, root: Path, places: Iterable[str]) -> Path | None:
        return next((found for place in places if (found := find(root, place)) is not None), None)

    def _listed(self, root: Path, folder: Path, place: str, fields: list[str]) -> SourceFile:
        name, tag, number = fields
        if Path(name).name != name or tag not in ("real", "fake") or not (number.isdecimal() and len(number) < 10):
            raise CorpusError(f"{place}: expected '{_FORM}', found {' '.join(fields)[:60]!r}")
        match = _IN_NAME.fullmatch(Path(name).stem)
        path = relative(folder / name, root)
        codec = self._codec(match["prefix"] if match else None, tag, int(number))
        if codec is None:
            detail = (
                f"its label line says {tag} {number}, which does not go with the name of the file or tells no codec"
            )
            clip = _clip(path, Path(name).stem, match, reason=RejectionReason.UNKNOWN_CLASS, detail=detail)
        else:
            clip = _clip(path, Path(name).stem, match, ImportedClip(codec, unspecified(codec)))
        return replace(clip, place=place)

    def _codec(self, prefix: str | None, tag: str, number: int) -> str | None:
        """Return the class of a clip, or ``None`` where its label line and the name of its file do not tell it."""
        families = {label: family for family, label in LABELS.items()}
        if number not in families or (tag == "real") != (number == 0):
            return None
        named = prefix and (self.prefixes.get(prefix) or OTHER_NAMES.get(prefix, prefix))
        if number in _ORDER_UNKNOWN:
            return named if named and LABELS.get(named) in _ORDER_UNKNOWN else None
        return None if named in LABELS and named != families[number] else families[number]


def find(root: Path, wanted: str) -> Path | None:
    """Find the file or folder ``wanted`` (a relative path) below ``root``, at most :data:`DEEPEST` folders down.

    Raises:
        CorpusError: it is there twice on one level, so that it is not known which one counts.
    """
    level, entered = [root], {os.path.realpath(root)}
    for _ in range(DEEPEST + 1):
        found = [folder / wanted for folder in level if (folder / wanted).exists()]
        if len(found) > 1:
            first, second = (escaped(str(path)) for path in found[:2])
            raise CorpusError(f"{root}: {wanted} is there twice: {first} and {second}; take one away")
        if found:
            return found[0]
        below = [sub for folder in level if not (folder / "label").is_dir() for sub in _folders_in(folder)]
        level = []
        for sub in below:  # a link may lead to a folder that is searched already, or in a circle
            real = os.path.realpath(sub)
            if real not in entered:
                entered.add(real)
                level.append(sub)
    return None


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted; ``scandir`` knows them without a ``stat`` of each of 100,000 files."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())


def _in_folder(root: Path, folder: Folder, place: Path) -> list[SourceFile]:
    """Return the clips of a folder without labels, then as missing those that the authors' scores name and it lacks."""
    there, files = set(), []
    for found in audio_below(place):
        stem, path = Path(found.path).stem, relative(place / found.path, root)
        match = _IN_NAME.fullmatch(stem)
        files.append(_clip(path, stem, match, _imported(folder, stem, match), found.reason, found.detail))
        there.add(stem)
    detail = f"{folder.path} has no such file; the authors' released scores name it"
    for stem in (f"{folder.prefix}_{identity}" for identity in _expected(folder)):
        if stem not in there:
            match, absent = _IN_NAME.fullmatch(stem), relative(place / f"{stem}.wav", root)
            files.append(_clip(absent, stem, match, _imported(folder, stem, match), RejectionReason.MISSING, detail))
    return files


def _imported(folder: Folder, stem: str, match: re.Match[str] | None) -> ImportedClip:
    prompt = (match["id"] if match else stem) if folder.alm else None
    return ImportedClip(folder.codec, folder.variant, folder.alm, prompt)


def _expected(folder: Folder) -> list[str]:
    if folder.ids is None:
        return []
    ids = read_ids(folder.ids)
    if folder.alm == "valle":  # prompted with VCTK without p315, who has no transcripts
        return [identity for identity in ids if identity.startswith("p") and not identity.startswith("p315_")]
    return ids


def _clip(
    path: str,
    stem: str,
    match: re.Match[str] | None,
    imported: ImportedClip | None = None,
    reason: RejectionReason | None = None,
    detail: str | None = None,
) -> SourceFile:
    """Return a file of the release with the speaker and the language that its source utterance's id tells."""
    speaker, language = UNKNOWN_SPEAKER, "und"
    if match and not (imported and imported.alm):
        language = "en" if match["vctk"] or "R-EN" in match["id"] else "zh"
        speaker = match["vctk"] or match["aishell"] or f"{match['id'][:4]}-{match['id'].rpartition('_')[2]}"
    identity = match["id"] if match else stem
    return SourceFile(identity, path, speaker, language, reason=reason, detail=detail, imported=imported)
