"""AISHELL-3: Mandarin, 218 speakers, 44.1 kHz WAV. Licence of the corpus: Apache-2.0.

``content.txt`` has characters and pinyin in turn; the text of an utterance is its characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from codec_adapters.catalogue import Catalogue
from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.corpora.base import CorpusConfig, SourceFile, relative
from codecfake_builder.corpora.listing.homes import home_of
from codecfake_builder.errors import CorpusError
from codecfake_builder.text_files import read_lines

_PINYIN = re.compile(r"[A-Za-zü:]+[0-6]|[a-zü:]+")
"""A syllable with its tone, or without where it is neutral; ``ü`` is also written ``v`` or ``u:``."""
PARTS: tuple[Literal["train", "test"], ...] = ("train", "test")


class Aishell3Config(CorpusConfig):
    """AISHELL-3 as its archive unpacks; ``parts`` chooses among the official folders ``train`` and ``test``."""

    layout: ClassVar[str] = "train/wav/SSBxxxx/SSBxxxxyyyy.wav and (or) test/wav/..., with content.txt beside wav"

    kind: Literal["aishell3"]
    parts: tuple[Literal["train", "test"], ...] = PARTS
    language: str = "zh"

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        home = home_of(root, [f"{part}/wav" for part in self.parts], self.wrong_layout)
        present = [part for part in self.parts if (home / part / "wav").is_dir()]
        contents = {part: home / part / "content.txt" for part in present}
        texts = {part: _texts(path, self.encoding) for part, path in contents.items() if path.is_file()}
        everywhere = {stem: found for own in texts.values() for stem, found in own.items()}
        files = []
        for part in present:
            place = relative(contents[part], root)
            known = {**everywhere, **texts.get(part, {})}
            for path in sorted((home / part / "wav").glob("*/*")):
                if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("."):
                    no_text = f"{place}: has no line for it" if part in texts else f"there is no {place}"
                    files.append(self._file(root, path, known.get(path.stem, _Text(None, no_text))))
        if not files:
            raise self.wrong_layout(root, f"no audio file under {', '.join(f'{part}/wav' for part in present)}")
        return files

    def _file(self, root: Path, path: Path, text: _Text) -> SourceFile:
        own = relative(path, root)
        problem = text.problem and f"{path.stem}: {text.problem}"
        return SourceFile(path.stem, own, path.parent.name, self.language, text.characters, text_problem=problem)


@dataclass(frozen=True)
class _Text:
    characters: str | None
    problem: str | None = None
    """Why there are none."""


def _texts(path: Path, encoding: str | None) -> dict[str, _Text]:
    """Read the characters by the file's stem, from lines such as ``SSB00050001.wav<TAB>X xing4 Y yue4``.

    A character may lack a pinyin of its own (``er`` of ``huar1``), so that the syllables are taken out by their form.

    Raises:
        CorpusError: two lines give one file different texts.
    """
    texts: dict[str, _Text] = {}
    for number, line in enumerate(read_lines(path, encoding), start=1):
        words, place = line.split(), f"{path}: line {number}"
        if not words:
            continue
        stem = Path(words[0]).stem if Path(words[0]).suffix.lower() in AUDIO_SUFFIXES else words[0]
        characters = "".join(word for word in words[1:] if not _PINYIN.fullmatch(word))
        text = _Text(characters or None, None if characters else f"{path.name}: line {number}: has no characters")
        known = texts.setdefault(stem, text)
        if known.characters != text.characters:
            raise CorpusError(f"{place}: gives {stem} another text than a line before it; take one of them out")
    return texts
