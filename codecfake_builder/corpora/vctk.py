"""VCTK 0.92 (two microphones, FLAC, silence trimmed) and 0.80 (one WAV per utterance). English.

Licence of the corpus: CC BY 4.0. Exceptions: p280 and p315 have no mic2 recordings in 0.92, p315 has no transcripts,
and the ids of speaker s5 begin with ``s`` instead of ``p``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

from codec_adapters.catalogue import Catalogue
from codecfake_builder.corpora.base import CorpusConfig, SourceFile, relative
from codecfake_builder.corpora.listing.homes import home_of
from codecfake_builder.rejections import RejectionReason
from codecfake_builder.text_files import read_transcript

_NAME_092 = re.compile(r"(?P<utterance>(?P<speaker>[ps]\d+)_\d+)_(?P<mic>mic[12])(?i:\.flac|\.wav)")
_NAME_080 = re.compile(r"(?P<utterance>(?P<speaker>[ps]\d+)_\d+)(?i:\.wav|\.flac)")
_ABSENT = {"mic1": RejectionReason.NO_MIC1, "mic2": RejectionReason.NO_MIC2}


class VctkConfig(CorpusConfig):
    """VCTK; ``mic`` chooses the recording in 0.92 (0.80 has one). An utterance without it is rejected."""

    layout: ClassVar[str] = (
        "wav48_silence_trimmed/pXXX/pXXX_NNN_mic1.flac (version 0.92) or wav48/pXXX/pXXX_NNN.wav (version 0.80)"
    )

    kind: Literal["vctk"]
    mic: Literal["mic1", "mic2"] = "mic1"
    language: str = "en"

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        home = home_of(root, ("wav48_silence_trimmed", "wav48"), self.wrong_layout)
        new, old = home / "wav48_silence_trimmed", home / "wav48"
        if new.is_dir():
            files = self._scan_092(root, home, new)
        else:
            files = [self._file(root, home, path, match) for path, match in _matching(old, _NAME_080)]
        if not files:
            raise self.wrong_layout(root, f"no such file under {new.name if new.is_dir() else old.name}")
        return files

    def _scan_092(self, root: Path, home: Path, folder: Path) -> list[SourceFile]:
        recordings: dict[str, dict[str, tuple[Path, re.Match[str]]]] = {}
        for path, match in _matching(folder, _NAME_092):
            recordings.setdefault(match["utterance"], {})[match["mic"]] = (path, match)
        files = []
        for mics in recordings.values():
            chosen = mics.get(self.mic)
            path, match = chosen or next(iter(mics.values()))
            files.append(self._file(root, home, path, match, None if chosen else _ABSENT[self.mic]))
        return files

    def _file(
        self, root: Path, home: Path, path: Path, match: re.Match[str], reason: RejectionReason | None = None
    ) -> SourceFile:
        transcript = home / "txt" / match["speaker"] / f"{match['utterance']}.txt"
        text, problem = read_transcript(transcript, relative(transcript, root), self.encoding)
        own = relative(path, root)
        return SourceFile(match["utterance"], own, match["speaker"], self.language, text, reason, text_problem=problem)


def _matching(folder: Path, name: re.Pattern[str]) -> list[tuple[Path, re.Match[str]]]:
    found = []
    for path in sorted(folder.glob("*/*")):
        match = name.fullmatch(path.name)
        if match:
            found.append((path, match))
    return found
