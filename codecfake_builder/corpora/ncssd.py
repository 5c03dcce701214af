"""NCSSD's recorded dialogues (R-EN and R-ZH), the unseen source of ST-Codecfake. Gated; CC BY-NC 4.0, research only.

An utterance is named like ``R-ZH_3_14_d501``; the last part is its dialogue. The name does not say who speaks, so the
dialogue is taken for the speaker: a speaker-disjoint plan then keeps whole dialogues in one split.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

from codec_adapters.catalogue import Catalogue
from codecfake_builder.corpora.base import CorpusConfig, SourceFile
from codecfake_builder.corpora.listing.trees import audio_below

_NAME = re.compile(r"R-(?P<language>EN|ZH)_\d+_\d+_(?P<dialogue>d\d+)")


class NcssdConfig(CorpusConfig):
    """NCSSD; its files may lie at any depth under the root. Files with other names are not its recorded dialogues."""

    layout: ClassVar[str] = "audio files named like R-EN_0_0_d10.wav and R-ZH_3_14_d501.wav, at any depth"

    kind: Literal["ncssd"]

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        files = []
        for found in audio_below(root):
            stem = Path(found.path).stem
            match = _NAME.fullmatch(stem)
            if match:
                speaker, language = f"R-{match['language']}-{match['dialogue']}", match["language"].lower()
                files.append(SourceFile(stem, found.path, speaker, language, reason=found.reason, detail=found.detail))
        if not files:
            raise self.wrong_layout(root)
        return files
