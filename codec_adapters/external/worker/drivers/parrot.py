"""The reference driver of a model: a parrot, which says the pieces of its prompt in another order, through mu-law.

It understands nothing and needs no library: a control that shows what comes of the prompt alone.
"""

import bisect
import math
import random
from typing import Any, Dict, List, Optional

from codecfake_driver import read_wav, serve, write_wav

RATE = 8000
MU = 255.0
LEVELS = [
    math.copysign(math.expm1(abs(code) * math.log1p(MU)) / MU, code) for code in (n / 127.5 - 1 for n in range(256))
]
"""What the 8-bit codes of ITU-T G.711's mu-law decode to, in order."""
BOUNDS = [(LEVELS[n] + LEVELS[n + 1]) / 2 for n in range(255)]

options: Dict[str, Any] = {}


def load(device: str, dtype: str, options: Dict[str, Any], checkpoint: Optional[str]) -> Dict[str, Any]:
    globals()["options"] = options
    return {"sample_rate": RATE}


def generate(prompts: List[Dict[str, Any]], outputs: List[str], seeds: List[int]) -> Dict[str, Any]:
    return {"clips": [speak(prompt["audio"], target, seed) for prompt, target, seed in zip(prompts, outputs, seeds)]}


def speak(audio: str, target: str, seed: int) -> Dict[str, Any]:
    heard, rate = read_wav(audio)
    if rate != RATE:
        raise ValueError(f"hears {RATE} Hz only, got {rate} Hz")
    length = max(1, round(options["piece_seconds"] * RATE))
    pieces = [heard[start : start + length] for start in range(0, len(heard), length)]
    random.Random(seed).shuffle(pieces)  # noqa: S311 - the seed is all the chance that a clip may have
    said = [sample for piece in pieces for sample in piece]
    limit = round(options["max_seconds"] * RATE)
    write_wav(target, [LEVELS[bisect.bisect(BOUNDS, sample)] for sample in said[:limit]], RATE)
    return {"text": None, "stop": "length" if len(said) > limit else "eos", "cut": 0}


serve({"load": load, "generate": generate})
