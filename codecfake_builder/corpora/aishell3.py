"""AISHELL-3: Mandarin, 218 speakers, 44.1 kHz WAV. Licence of the corpus: Apache-2.0.

``content.txt`` has characters and pinyin in turn; the text of an utterance is its characters.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from codec_adapters.catalogue import Catalogue
from codecfake_builder.corpora.base import CorpusConfig, SourceFile, relative

PARTS: tuple[Literal["train", "test"], ...] = ("train", "test")


class Aishell3Config(CorpusConfig):
    """AISHELL-3 as its archive unpacks; ``parts`` chooses among the official folders ``train`` and ``test``."""

    layout: ClassVar[str] = "train/wav/SSBxxxx/SSBxxxxyyyy.wav and (or) test/wav/..., with content.txt beside wav"

    kind: Literal["aishell3"]
    parts: tuple[Literal["train", "test"], ...] = PARTS
    language: str = "zh"

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        present = [part for part in self.parts if (root / part / "wav").is_dir()]
        if not present:
            raise self.wrong_layout(root)
        files = []
        for part in present:
            texts = _texts(root / part / "content.txt")
            files += [
                SourceFile(path.stem, relative(path, root), path.parent.name, self.language, texts.get(path.name))
                for path in sorted((root / part / "wav").glob("*/*.wav"))
            ]
        if not files:
            raise self.wrong_layout(root, f"no WAV file under {', '.join(f'{part}/wav' for part in present)}")
        return files


def _texts(path: Path) -> dict[str, str]:
    """Read the characters by file name, from lines such as ``SSB00050001.wav<TAB>guang-character guang3 ...``."""
    if not path.is_file():
        return {}
    texts = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, content = line.partition("\t")
        texts[name] = "".join(content.split()[::2])
    return texts
