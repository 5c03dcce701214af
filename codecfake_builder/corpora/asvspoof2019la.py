"""ASVspoof 2019 Logical Access: bona fide English speech, and fakes by 19 systems of synthesis and voice conversion.

Licence of the corpus: ODC-BY. Its bona fide speech is VCTK's, downsampled: VCTK's speakers are in it under other names.
The evaluation part has 7,355 bona fide and 63,882 spoofed trials; its folder holds enrolment speech too, which no line
of the protocol names.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import VOCODER
from codecfake_builder.corpora.base import CorpusConfig, ImportedClip, SourceFile
from codecfake_builder.corpora.listing.file_lists import check_against_list, read_file_list
from codecfake_builder.corpora.listing.homes import home_of
from codecfake_builder.errors import CorpusError

_PROTOCOLS = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}
_FORM = "<speaker> <file> - <attack or -> <bonafide|spoof>"


class Asvspoof2019LaConfig(CorpusConfig):
    """ASVspoof 2019 LA as its archive unpacks; the root is the folder ``LA`` or its parent.

    ``select`` chooses bona fide speech, spoofed clips or both. Spoofed clips are imported clips: their class is
    ``vocoder`` (label -1), their variant the attack (``asvspoof2019_A07``), and only splits with the variant
    ``imported`` take them.
    """

    layout: ClassVar[str] = (
        "ASVspoof2019_LA_eval/flac/LA_E_NNNNNNN.flac and "
        "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt (or those of train or dev), in LA/ or beside it"
    )

    kind: Literal["asvspoof2019la"]
    part: Literal["train", "dev", "eval"] = "eval"
    select: Literal["bonafide", "spoof", "all"] = "all"
    language: str = "en"

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        home = home_of(root, (f"ASVspoof2019_LA_{self.part}/flac",), self.wrong_layout)
        protocol = home / "ASVspoof2019_LA_cm_protocols" / f"ASVspoof2019.LA.cm.{_PROTOCOLS[self.part]}.txt"
        lines = read_file_list(protocol, 5, _FORM, self.encoding)
        files = [self._file(root, home, place, fields) for place, fields in lines]
        checked = check_against_list(files, root, self._audio(home), protocol)
        return [
            file for file in checked if self.select == "all" or (file.imported is None) == (self.select == "bonafide")
        ]

    def _audio(self, home: Path) -> Path:
        return home / f"ASVspoof2019_LA_{self.part}" / "flac"

    def _file(self, root: Path, home: Path, place: str, fields: list[str]) -> SourceFile:
        speaker, name, _, attack, key = fields
        if key not in ("bonafide", "spoof") or Path(name).name != name:
            raise CorpusError(f"{place}: expected '{_FORM}', found {' '.join(fields)[:60]!r}")
        path = (self._audio(home) / f"{name}.flac").relative_to(root).as_posix()
        imported = ImportedClip(VOCODER, f"asvspoof2019_{_plain(attack)}") if key == "spoof" else None
        return SourceFile(name, path, speaker, self.language, imported=imported, place=place)


def _plain(attack: str) -> str:
    """Return the letters and digits of an attack, for the name of a variant."""
    return "".join(letter for letter in attack if letter.isalnum()) or "unknown"
