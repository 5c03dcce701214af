"""Imported clips: output of codecs and audio language models that were run elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from pydantic import Field

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import REAL
from codec_adapters.files.documents import nearest
from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.corpora.base import (
    UNKNOWN_SPEAKER,
    CorpusConfig,
    ImportedClip,
    SourceFile,
    TableName,
)
from codecfake_builder.corpora.listing.paths import home_expanded, is_file, listed_path
from codecfake_builder.corpora.listing.repeats import without_repeats
from codecfake_builder.corpora.listing.tables import TableRow, table_rows
from codecfake_builder.corpora.listing.trees import FoundFile, audio_below
from codecfake_builder.errors import CorpusError
from codecfake_builder.rejections import RejectionReason
from codecfake_builder.resources import resource_folder
from codecfake_builder.text_files import escaped

_COLUMNS = (
    *("path", "other_path", "variant", "codec", "label", "alm", "prompt_id"),
    *("utterance_id", "speaker", "language", "text", "sha256"),
)
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

    says_speaker: ClassVar[str] = "table (with a column speaker) or speaker"

    kind: Literal["imported"]
    table: TableName | None = None
    """A file, or the name of a packaged table."""
    codec: str | None = None
    """The variant or family of all files for which none is given."""
    folders: dict[str, str] = Field(default={})
    """Variants or families by the names of folders."""
    alm: str | None = None
    """The audio language model of all clips for which none is given, but of real speech."""
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
            rows = table_rows(table, ("path",), _COLUMNS, self.encoding)
            return without_repeats(self._from_row(root, catalogue, table, row) for row in rows)
        found = audio_below(root)
        if not found:
            raise self.wrong_layout(root)
        return self._from_tree(root, catalogue, found)

    def _from_tree(self, root: Path, catalogue: Catalogue, found: list[FoundFile]) -> list[SourceFile]:
        paths = [PurePosixPath(file.path) for file in found]
        tops = sorted({path.parts[0] for path in paths if len(path.parts) > 1})
        classes = {top: self._folder_class(catalogue, top) for top in tops}
        unknown = [top for top, found in classes.items() if found is None]
        loose = [str(path) for path in paths if len(path.parts) == 1]
        if unknown or (loose and self.codec is None):
            names = escaped(", ".join([*unknown, *loose[:3]]))
            raise CorpusError(
                f"{root}: what made the clips in {names} is not known; say so with folders: {{NAME: CODEC}} or codec: "
                f"CODEC, where CODEC is a variant or one of {', '.join(catalogue.classes)}"
            )
        default = None if self.codec is None else class_and_variant(catalogue, self.codec)
        files = [self._file(path, classes.get(path.parts[0]) or default or ("", "")) for path in paths]
        return [replace(file, reason=own.reason, detail=own.detail) for file, own in zip(files, found, strict=True)]

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
        imported = ImportedClip(codec, variant, None if codec == REAL else self.alm)
        return SourceFile(identity, str(path), self.speaker or UNKNOWN_SPEAKER, self.language, imported=imported)

    def _from_row(self, root: Path, catalogue: Catalogue, table: Path, row: TableRow) -> SourceFile:
        names = [name for key in ("path", "other_path") if (name := row.text(key))]
        if not names:
            raise CorpusError(f"{row.place}: no value for path")
        found = [listed_path(root, name, row.place) for name in names]
        path, there = next((one for one in found if one[1]), found[0])
        codec, variant = self._row_class(catalogue, row)
        if codec == REAL and row.text("alm"):
            raise CorpusError(
                f"{row.place}: alm: real speech was spoken by no language model; leave it empty, or correct the class"
            )
        alm = None if codec == REAL else row.text("alm") or self.alm
        return SourceFile(
            utterance_id=row.text("utterance_id") or "-".join(PurePosixPath(found[0][0]).with_suffix("").parts),
            path=path,
            speaker=row.text("speaker") or self.speaker or UNKNOWN_SPEAKER,
            language=row.text("language") or self.language,
            text=row.text("text"),
            reason=None if there else RejectionReason.MISSING,
            detail=None if there else f"no such file; {table.name} names it",
            imported=ImportedClip(codec, variant, alm, row.text("prompt_id")),
            sha256=row.text("sha256"),
            place=row.place,
        )

    def _row_class(self, catalogue: Catalogue, row: TableRow) -> tuple[str, str]:
        """Return class and variant of a row; the columns that say them must agree."""
        found: list[tuple[str, str]] = []
        for key in ("variant", "codec", "label"):
            named = row.text(key)
            if named is not None:
                try:
                    find = _by_label if key == "label" else class_and_variant
                    found.append(find(catalogue, named))
                except ValueError as error:
                    raise CorpusError(f"{row.place}: {key}: {error}") from error
        if not found and self.codec is not None:
            found.append(class_and_variant(catalogue, self.codec))
        if not found:
            raise CorpusError(f"{row.place}: no value for variant, codec or label, so what made the clip is not known")
        if len({codec for codec, _ in found}) > 1:
            raise CorpusError(f"{row.place}: {' and '.join(codec for codec, _ in found)} contradict each other")
        return found[0]


def plain_name(text: str) -> str:
    """Return ``text`` as a name of a variant: letters, digits and underscores."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "unnamed"


def unspecified(codec: str) -> str:
    """Return the variant of clips of which only the class is known."""
    return codec if codec == REAL else f"{codec}_unspecified"


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
    raise ValueError(f"{name!r:.80} is neither a codec family nor a variant; {nearest(name, known)}")


def _by_label(catalogue: Catalogue, text: str) -> tuple[str, str]:
    families = {label: name for name, label in catalogue.classes.items()}
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or int(text) not in families:
        raise ValueError(f"{text!r:.40} is no class; known: {', '.join(f'{n} {name}' for n, name in families.items())}")
    return families[int(text)], unspecified(families[int(text)])


def _begins(folder: str, name: str) -> bool:
    """Return whether a folder's name is ``name``, alone or followed by a character that is no letter or digit."""
    return re.match(rf"{re.escape(name)}(?![A-Za-z0-9])", folder.replace("_", "-"), re.IGNORECASE) is not None


def _table(name: str) -> Path:
    packaged = resource_folder("manifests") / f"{name}.csv"
    return packaged if is_file(packaged) else home_expanded(name)
