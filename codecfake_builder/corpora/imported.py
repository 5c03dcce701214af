"""Imported clips: output of codecs and audio language models that were run elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from pydantic import Field

from codec_adapters.catalogue import Catalogue
from codec_adapters.files.documents import nearest
from codecfake_builder.audio import AUDIO_SUFFIXES, find_audio
from codecfake_builder.corpora.base import (
    CorpusConfig,
    ImportedClip,
    SourceFile,
    TableName,
    relative,
    safe_path,
)
from codecfake_builder.corpora.folder import table_rows
from codecfake_builder.errors import CorpusError
from codecfake_builder.rejections import RejectionReason
from codecfake_builder.resources import resource_folder

OTHER_NAMES = {"descript-audio-codec": "dac", "hificodec": "academicodec", "hifi-codec": "academicodec"}
"""Codec families by the names that they have elsewhere."""


class ImportedConfig(CorpusConfig):
    """A tree of audio files with a folder per codec, or with ``table`` the files that a table lists.

    In a tree, the first folder of a file's path is the name of a variant or a family, or begins with that of a family
    (``encodec_24khz``); ``folders`` gives the codec of other folders, ``codec`` that of all files. The utterance id is
    the rest of the path without its suffix.

    Columns of a table (CSV with header, or JSONL): ``path``, one of ``variant``, ``codec`` or ``label``, and where
    known ``alm``, ``prompt_id``, ``utterance_id``, ``speaker``, ``language``, ``text``, ``sha256`` (a file with another
    hash is used, and noted) and ``other_path`` (used where there is no file at ``path``). Nothing is guessed: a file
    whose class is not known ends the import with an error.
    """

    layout: ClassVar[str] = f"a folder per codec with audio files ({', '.join(AUDIO_SUFFIXES)}) at any depth in it"

    kind: Literal["imported"]
    table: TableName | None = None
    """A file, or the name of a packaged table."""
    codec: str | None = None
    """The variant or family of all files for which none is given."""
    folders: dict[str, str] = Field(default={})
    """Variants or families by the names of folders."""
    alm: str | None = None
    """The audio language model of all clips for which none is given."""
    language: str = "und"
    speaker: str | None = None

    def problems(self, catalogue: Catalogue) -> Iterator[str]:
        named = {"codec": self.codec, **{f"folders.{folder}": codec for folder, codec in self.folders.items()}}
        for place, codec in named.items():
            try:
                _ = codec is None or class_and_variant(catalogue, codec)
            except ValueError as error:
                yield f"{place}: {error}"

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        if self.table is not None:
            table = _table(self.table)
            return [self._from_row(root, catalogue, table, line, row) for line, row in table_rows(table, self.encoding)]
        paths = find_audio(root)
        if not paths:
            raise self.wrong_layout(root)
        return self._from_paths(root, catalogue, [PurePosixPath(relative(path, root)) for path in paths])

    def _from_paths(self, root: Path, catalogue: Catalogue, paths: list[PurePosixPath]) -> list[SourceFile]:
        tops = sorted({path.parts[0] for path in paths if len(path.parts) > 1})
        classes = {top: self._folder_class(catalogue, top) for top in tops}
        unknown = [top for top, found in classes.items() if found is None]
        loose = [str(path) for path in paths if len(path.parts) == 1]
        if unknown or (loose and self.codec is None):
            names = ", ".join([*unknown, *loose[:3]])
            raise CorpusError(
                f"{root}: what made the clips in {names} is not known; say so with folders: {{NAME: CODEC}} or codec: "
                f"CODEC, where CODEC is a variant or one of {', '.join(catalogue.classes)}"
            )
        default = None if self.codec is None else class_and_variant(catalogue, self.codec)
        return [self._file(path, classes.get(path.parts[0]) or default or ("", "")) for path in paths]

    def _folder_class(self, catalogue: Catalogue, folder: str) -> tuple[str, str] | None:
        """Return class and variant of a folder's clips, or ``None`` where they are not known."""
        named = self.folders.get(folder) or self.codec
        if named is not None:
            return class_and_variant(catalogue, named)
        if folder in catalogue.classes or catalogue.is_codec(folder):
            return class_and_variant(catalogue, folder)
        families = [name for name, label in catalogue.classes.items() if label > 0]
        beginning = next((name for name in [*families, *OTHER_NAMES] if _begins(folder, name)), None)
        return None if beginning is None else (OTHER_NAMES.get(beginning, beginning), plain_name(folder))

    def _file(self, path: PurePosixPath, found: tuple[str, str]) -> SourceFile:
        codec, variant = found
        inner = (
            path if self.codec is not None and path.parts[0] not in self.folders else path.relative_to(path.parts[0])
        )
        identity = "-".join(inner.with_suffix("").parts)
        imported = ImportedClip(codec, variant, self.alm)
        return SourceFile(identity, str(path), self.speaker or "unknown", self.language, imported=imported)

    def _from_row(self, root: Path, catalogue: Catalogue, table: Path, line: int, row: dict[str, Any]) -> SourceFile:
        place = f"{table.name}: line {line}"
        names = [str(row[key]) for key in ("path", "other_path") if row.get(key)]
        if not names:
            raise CorpusError(f"{place}: no value for path")
        for name in names:
            if not safe_path(root, name):
                raise CorpusError(f"{place}: path {name} leads out of the corpus root {root}")
        path = next((name for name in names if (root / name).is_file()), None)
        codec, variant = self._row_class(catalogue, place, row)
        return SourceFile(
            utterance_id=row.get("utterance_id") or "-".join(PurePosixPath(names[0]).with_suffix("").parts),
            path=str(PurePosixPath(path or names[0])),
            speaker=row.get("speaker") or self.speaker or "unknown",
            language=row.get("language") or self.language,
            text=row.get("text") or None,
            reason=None if path else RejectionReason.MISSING,
            detail=None if path else f"no such file; {table.name} names it",
            imported=ImportedClip(codec, variant, row.get("alm") or self.alm, row.get("prompt_id") or None),
            sha256=row.get("sha256") or None,
        )

    def _row_class(self, catalogue: Catalogue, place: str, row: dict[str, Any]) -> tuple[str, str]:
        """Return class and variant of a row; the columns that say them must agree."""
        found: list[tuple[str, str]] = []
        for key in ("variant", "codec", "label"):
            if row.get(key) not in (None, ""):
                try:
                    find = _by_label if key == "label" else class_and_variant
                    found.append(find(catalogue, str(row[key])))
                except ValueError as error:
                    raise CorpusError(f"{place}: {key}: {error}") from error
        if not found and self.codec is not None:
            found.append(class_and_variant(catalogue, self.codec))
        if not found:
            raise CorpusError(f"{place}: no value for variant, codec or label, so what made the clip is not known")
        if len({codec for codec, _ in found}) > 1:
            raise CorpusError(f"{place}: {' and '.join(codec for codec, _ in found)} contradict each other")
        return found[0]


def plain_name(text: str) -> str:
    """Return ``text`` as a name of a variant: letters, digits and underscores."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "unnamed"


def unspecified(codec: str) -> str:
    """Return the variant of clips of which only the class is known."""
    return codec if codec == "real" else f"{codec}_unspecified"


def class_and_variant(catalogue: Catalogue, name: str) -> tuple[str, str]:
    """Return class and variant that the name of a codec variant or of a class stands for.

    Raises:
        ValueError: it is neither.
    """
    if catalogue.is_codec(name):
        return catalogue.codec(name).family, name
    if name in catalogue.classes:
        return name, unspecified(name)
    known = [*catalogue.classes, *(spec.name for spec in catalogue.codecs())]
    raise ValueError(f"{name!r} is neither a codec family nor a variant; {nearest(name, known)}")


def _by_label(catalogue: Catalogue, text: str) -> tuple[str, str]:
    families = {label: name for name, label in catalogue.classes.items()}
    if not text.lstrip("-").isdigit() or int(text) not in families:
        raise ValueError(f"{text!r} is no class; known: {', '.join(f'{n} {name}' for n, name in families.items())}")
    return families[int(text)], unspecified(families[int(text)])


def _begins(folder: str, name: str) -> bool:
    """Return whether a folder's name is ``name``, alone or followed by a character that is no letter or digit."""
    return re.match(rf"{re.escape(name)}(?![A-Za-z0-9])", folder.replace("_", "-"), re.IGNORECASE) is not None


def _table(name: str) -> Path:
    packaged = resource_folder("manifests") / f"{name}.csv"
    return packaged if packaged.is_file() else Path(name).expanduser()
