"""In-the-Wild: English recordings of celebrities and politicians, and fakes of them, collected from the web.

Licence of the corpus: CC BY-SA 4.0. 19,963 bona fide and 11,816 spoofed clips; which systems made the fakes is not
known.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import VOCODER
from codecfake_builder.corpora.base import UNKNOWN_SPEAKER, CorpusConfig, ImportedClip, SourceFile, relative
from codecfake_builder.corpora.listing.file_lists import check_against_list
from codecfake_builder.corpora.listing.homes import home_of
from codecfake_builder.corpora.listing.tables import TableRow, table_rows
from codecfake_builder.errors import CorpusError

TABLE = "meta.csv"
FAKE_VARIANT = "in_the_wild_fake"
_COLUMNS = ("file", "speaker", "label")
_LABELS = {"bona-fide": False, "bonafide": False, "spoof": True}


class InTheWildConfig(CorpusConfig):
    """In-the-Wild as its archive unpacks: ``meta.csv`` (columns file, speaker, label) with the WAV files beside it.

    ``select`` chooses bona fide speech, spoofed clips or both. Spoofed clips are imported clips of the class
    ``vocoder`` (label -1); only splits with the variant ``imported`` take them.
    """

    layout: ClassVar[str] = f"{TABLE} with columns file, speaker, label, and the WAV files beside it or in wav/"

    kind: Literal["in_the_wild"]
    select: Literal["bonafide", "spoof", "all"] = "all"
    language: str = "en"

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        home = home_of(root, (TABLE,), self.wrong_layout)
        table = home / TABLE
        folder = home / "wav" if (home / "wav").is_dir() else home
        files = check_against_list(self._listed(root, folder, table), root, folder, table)
        return [
            file for file in files if self.select == "all" or (file.imported is None) == (self.select == "bonafide")
        ]

    def _listed(self, root: Path, folder: Path, table: Path) -> list[SourceFile]:
        rows = table_rows(table, _COLUMNS, _COLUMNS, self.encoding)
        return [self._file(root, folder, row) for row in rows]

    def _file(self, root: Path, folder: Path, row: TableRow) -> SourceFile:
        name, label = row.text("file") or "", row.text("label") or ""
        if not name or Path(name).name != name:
            raise CorpusError(f"{row.place}: {name!r:.80} is no file name")
        if label.lower() not in _LABELS:
            raise CorpusError(f"{row.place}: label {label!r:.40} is neither bona-fide nor spoof")
        imported = ImportedClip(VOCODER, FAKE_VARIANT) if _LABELS[label.lower()] else None
        path, speaker = relative(folder / name, root), row.text("speaker") or UNKNOWN_SPEAKER
        return SourceFile(Path(name).stem, path, speaker, self.language, imported=imported, place=row.place)
