"""The reference driver: ITU-T G.711's mu-law (8 bits a sample), which is no neural codec and needs no library."""

import math
from typing import Any, Dict, List, Optional

from codecfake_driver import read_wav, serve, write_wav

RATE = 8000
MU = 255.0


def load(device: str, dtype: str, options: Dict[str, Any], checkpoint: Optional[str]) -> Dict[str, Any]:
    return {"sample_rate": RATE}


def resynthesize(inputs: List[str], outputs: List[str], seeds: List[int]) -> None:
    for source, target in zip(inputs, outputs):
        samples, rate = read_wav(source)
        write_wav(target, [expanded(compressed(sample)) for sample in samples], rate)


def compressed(sample: float) -> int:
    """The 8-bit code (0 to 255) of a sample in [-1, 1]; what lies beyond is cut."""
    sample = max(-1.0, min(1.0, sample))
    companded = math.copysign(math.log1p(MU * abs(sample)) / math.log1p(MU), sample)
    return round((companded + 1) / 2 * 255)


def expanded(code: int) -> float:
    companded = code / 255 * 2 - 1
    return math.copysign(math.expm1(abs(companded) * math.log1p(MU)) / MU, companded)


serve({"load": load, "resynthesize": resynthesize})
