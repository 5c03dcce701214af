"""Small checkpoints of the built-in codec variants, in the official file layouts."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tools.small_networks.codecs.academicodec import random_encodec_hop_32, random_hificodec
from tools.small_networks.codecs.audiodec import random_audiodec_hop_320, relabelled_audiodec
from tools.small_networks.codecs.dac import random_dac
from tools.small_networks.codecs.encodec import random_encodec
from tools.small_networks.codecs.mimi import random_mimi
from tools.small_networks.codecs.snac import random_snac

REPOSITORY = Path(__file__).parents[2]
TRAINED = REPOSITORY / "recipes" / "mini" / "weights"
"""Folders that ``tools/train_codecs.py`` made, each under the name of a variant."""
GOLDENS = Path(os.environ.get("CODECFAKE_SHARED") or REPOSITORY.parent / "shared") / "goldens"

SAME_AS = {
    "mimi_32codebooks": "mimi_8codebooks",
    "speechtokenizer_snake": "speechtokenizer_hubert_avg",
    "funcodec_libritts_nq32ds640": "funcodec_zh_en_nq32ds640",
    "encodec_24khz_1_5kbps": "encodec_24khz_6kbps",
    "encodec_24khz_3kbps": "encodec_24khz_6kbps",
    "wavtokenizer_large_speech_75tps": "wavtokenizer_small_75tps",
    "wavtokenizer_large_unify_40tps": "wavtokenizer_small_40tps",
    "wavtokenizer_medium_music_audio_75tps": "wavtokenizer_small_75tps",
    "wavtokenizer_medium_music_audio_75tps_v2": "wavtokenizer_small_75tps",
    "wavtokenizer_medium_speech_75tps": "wavtokenizer_small_75tps",
    "wavtokenizer_medium_speech_75tps_v2": "wavtokenizer_small_75tps",
    "lyra_v2_3_2kbps": "lyra_v2",
    "lyra_v2_6kbps": "lyra_v2",
    "lyra_v2_9_2kbps": "lyra_v2",
    "academicodec_hifi_16k_320d_large_universal": "academicodec_hifi_16k_320d",
}
"""Variant -> trained folder that it loads as it is; a variant of a folder's own name is not listed."""

FROM_GOLDENS = {
    "funcodec_libritts_gr1nq32ds320": "funcodec/freqcodec_gr1",
    "funcodec_libritts_gr8nq32ds320": "funcodec/freqcodec_mag_phase",
    "funcodec_libritts_nq32ds320": "funcodec/encodec_ds320",
    "funcodec_zh_en_nq32ds320": "funcodec/encodec_ds320",
    "facodec_v1": "facodec/v1_a",
    "academicodec_encodec_16k_320d": "soundstream_academicodec/encodec_16k_320d_a",
    "academicodec_encodec_24k_240d": "soundstream_academicodec/encodec_24k_240d_b",
}
"""Variant -> checkpoint of random weights that is kept with the goldens of its upstream, beside a checkout."""

SNAC_4_LEVELS: dict[str, Any] = {
    "encoder_rates": [2, 3, 8, 8],
    "decoder_rates": [8, 8, 3, 2],
    "vq_strides": [8, 4, 2, 1],
}

RANDOM: dict[str, Callable[[Path], Path]] = {
    **{f"encodec_24khz_{kbps}kbps": random_encodec for kbps in (6, 12, 24)},
    **{f"encodec_48khz_{kbps}kbps": partial(random_encodec, stereo=True) for kbps in (3, 6, 12, 24)},
    "mimi_8codebooks": random_mimi,
    "mimi_32codebooks": random_mimi,
    "snac_24khz": random_snac,
    "snac_32khz": partial(random_snac, sampling_rate=32000, **SNAC_4_LEVELS),
    "snac_44khz": partial(random_snac, sampling_rate=44100, **SNAC_4_LEVELS),
    "dac_16khz": random_dac,
    "dac_24khz": partial(random_dac, codebooks=32, rate=24000),
    "dac_44khz": partial(random_dac, codebooks=9, rate=44100, ratios=(2, 4, 8, 8)),
    "academicodec_hifi_24k_240d": partial(random_hificodec, rates=(8, 6, 5), name="24k_240d"),
    "academicodec_hifi_24k_320d": partial(random_hificodec, rates=(8, 8, 5), name="24k_320d"),
    "academicodec_encodec_24k_32d": random_encodec_hop_32,
    "audiodec_vctk_c16h320_sym": random_audiodec_hop_320,
}
"""Variant -> maker of a checkpoint folder with random weights, fixed by a seed."""


def is_trained(variant: str) -> bool:
    """Return whether a variant's small checkpoint was trained, so that what it makes of speech is speech."""
    return (TRAINED / SAME_AS.get(variant, variant)).is_dir()


def small_checkpoint(variant: str, scratch: Path) -> Path:
    """Return a checkpoint folder of any built-in variant, which is made below ``scratch`` where there is none.

    Trained for minutes where the repository carries one that fits the variant's layout, rate and hop, else random.

    Raises:
        FileNotFoundError: it is one of those kept beside the checkout, and is absent.
    """
    if is_trained(variant):
        return TRAINED / SAME_AS.get(variant, variant)
    if variant in FROM_GOLDENS:
        folder = GOLDENS / FROM_GOLDENS[variant] / "checkpoint"
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is absent: goldens are kept beside the checkout")
        return folder
    if variant in RANDOM:
        return RANDOM[variant](scratch / variant)
    return relabelled_audiodec(variant, TRAINED / "audiodec_libritts_v1", scratch / variant)
