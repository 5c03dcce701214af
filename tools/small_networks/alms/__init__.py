"""Random checkpoints of every audio language model, in the official file layouts, for the small codecs' codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.small_networks.alms.bark import random_bark
from tools.small_networks.alms.codec_lm import random_codec_lm
from tools.small_networks.alms.csm import random_csm
from tools.small_networks.alms.dia import random_dia
from tools.small_networks.alms.mini_omni import random_mini_omni
from tools.small_networks.alms.moshi import random_moshi
from tools.small_networks.alms.orpheus import random_orpheus
from tools.small_networks.alms.valle import random_valle

ALMS: dict[str, Callable[[Path], Path]] = {
    "bark_small": random_bark,
    "codec_lm_mimi": random_codec_lm,
    "csm": random_csm,
    "dia": random_dia,
    "mini_omni": random_mini_omni,
    "moshiko": random_moshi,
    "orpheus": random_orpheus,
    "valle": random_valle,
}
"""ALM name -> maker of a checkpoint folder that it loads from, for the random checkpoint of its codec."""


def small_options(name: str) -> dict[str, Any]:
    """Options under which a small model can be run: short clips, and what spares it a program or a large input."""
    options: dict[str, Any] = {"max_seconds": 0.9}
    if name == "valle":
        options["text_is_phonemes"] = True  # espeak-ng need not be installed
    return options
