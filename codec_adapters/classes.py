"""Classes of a dataset, with their labels: real speech, the codec families, and fakes that no codec made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REAL = "real"
"""Class and variant of clips of real speech, which went through no codec."""
VOCODER = "vocoder"
"""Class of fakes that no neural codec made: speech synthesis and voice conversion with vocoders."""
NO_LABEL = -1
"""Label of :data:`VOCODER`, which belongs to no class of the closed or the open set; ``datasets.ClassLabel`` stores -1
where there is none. (The publication's scripts give such clips 7, WavTokenizer's label, to mean "not in 0-6".)"""

LABELS: Mapping[str, int] = MappingProxyType(
    {
        "real": 0,
        "mimi": 1,
        "speechtokenizer": 2,
        "funcodec": 3,
        "encodec": 4,
        "facodec": 5,
        "snac": 6,
        "wavtokenizer": 7,
        "soundstream": 8,
        "academicodec": 9,
        "audiodec": 10,
        "dac": 11,
    }
)
"""Label of ``real`` and of each built-in codec family. NCST (arXiv 2501.06514) and its released files fix 0-7 and the
set 8-11; the order within 8-11 is ours. New families continue from 12."""
