"""In-the-Wild: English recordings of celebrities and politicians, and fakes of them, collected from the web.

Licence of the corpus: CC BY-SA 4.0. 19,963 bona fide and 11,816 spoofed clips; which systems made the fakes is not
known.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import ClassVar, Literal

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import VOCODER
from codecfake_builder.corpora.base import CorpusConfig, ImportedClip, SourceFile, relative
from codecfake_builder.corpora.file_lists import check_against_list
from codecfake_builder.errors import CorpusError
from codecfake_builder.text_files import read_text

TABLE = "meta.csv"
FAKE_VARIANT = "in_the_wild_fake"
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
        homes = [folder for folder in (root, root / "release_in_the_wild") if (folder / TABLE).is_file()]
        if not homes:
            raise self.wrong_layout(root)
        table = homes[0] / TABLE
        folder = next((sub for sub in (homes[0] / "wav",) if sub.is_dir()), homes[0])
        files = check_against_list(self._listed(root, folder, table), root, folder, table)
        return [
            file for file in files if self.select == "all" or (file.imported is None) == (self.select == "bonafide")
        ]

    def _listed(self, root: Path, folder: Path, table: Path) -> list[SourceFile]:
        reader = csv.DictReader(io.StringIO(read_text(table, self.encoding)))
        if not {"file", "speaker", "label"} <= set(reader.fieldnames or ()):
            found = ", ".join(reader.fieldnames or ()) or "nothing"
            raise CorpusError(f"{table}: expected columns file, speaker, label; found {found}")
        return [self._file(root, folder, table, reader.line_num, row) for row in reader]

    def _file(self, root: Path, folder: Path, table: Path, line: int, row: dict[str, str | None]) -> SourceFile:
        name, label = row["file"] or "", (row["label"] or "").strip()
        if not name or Path(name).name != name:
            raise CorpusError(f"{table}: line {line}: {name!r} is no file name")
        if label not in _LABELS:
            raise CorpusError(f"{table}: line {line}: label {label!r} is neither bona-fide nor spoof")
        imported = ImportedClip(VOCODER, FAKE_VARIANT) if _LABELS[label] else None
        path = relative(folder / name, root)
        return SourceFile(Path(name).stem, path, row["speaker"] or "unknown", self.language, imported=imported)
