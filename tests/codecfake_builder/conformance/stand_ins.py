"""A small checkpoint for every built-in variant: trained for minutes where the repository carries one that fits the
variant's layout, rate and hop, else random, in the official file layout."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

import codec_adapters
from codec_adapters.files import weights
from tests.conftest import REPOSITORY
from tests.tiny_checkpoints import MAKERS, make_dac, make_snac

TRAINED = REPOSITORY / "recipes" / "mini" / "weights"
GOLDENS = Path(os.environ.get("CODECFAKE_SHARED") or REPOSITORY.parent / "shared") / "goldens"
SNAC_4_LEVELS: dict[str, Any] = {
    "encoder_rates": [2, 3, 8, 8],
    "decoder_rates": [8, 8, 3, 2],
    "vq_strides": [8, 4, 2, 1],
}

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


def trained(variant: str) -> bool:
    """Whether the stand-in of a variant was trained, so that what it makes is speech."""
    return (TRAINED / SAME_AS.get(variant, variant)).is_dir()


def stand_in(variant: str, scratch: Path) -> Path:
    """The checkpoint folder of a variant, made in ``scratch`` where the repository has none.

    Raises:
        FileNotFoundError: it is one of those kept beside the checkout, and is absent.
    """
    if trained(variant):
        return TRAINED / SAME_AS.get(variant, variant)
    if variant in FROM_GOLDENS:
        folder = GOLDENS / FROM_GOLDENS[variant] / "checkpoint"
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is absent: goldens are kept beside the checkout")
        return folder
    folder = scratch / variant
    folder.mkdir(parents=True)
    maker = RANDOM.get(variant) or partial(_audiodec, variant)
    maker(folder)
    return folder


def _audiodec(variant: str, folder: Path) -> None:
    """The trained networks under the variant's own file names, at its rate; both parts of a sym variant are one."""
    spec = codec_adapters.spec(variant)
    (sender,) = (TRAINED / "audiodec_libritts_v1" / "exp" / "autoencoder").iterdir()
    (receiver,) = (TRAINED / "audiodec_libritts_v1" / "exp" / "vocoder").iterdir()
    for file in weights.locked(spec.checkpoint).files:
        target = folder / file.file
        source = (receiver if "/vocoder/" in file.file else sender) / (
            "config.yml" if target.suffix == ".yml" else "checkpoint-500000steps.pkl"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        if target.suffix == ".yml":
            config = yaml.safe_load(target.read_text(encoding="utf-8"))
            target.write_text(yaml.safe_dump({**config, "sampling_rate": spec.sample_rate}), encoding="utf-8")


def _audiodec_hop_320(folder: Path) -> None:
    from codec_adapters.families.audiodec_network import Autoencoder, AutoencoderParams
    from tools.small_codecs import AudioDec

    torch.manual_seed(1)
    codec = AudioDec()
    codec.encoder_params.update(enc_strides=[2, 4, 5, 8], dec_strides=[8, 5, 4, 2])
    codec.sender = Autoencoder(AutoencoderParams.model_validate(codec.encoder_params))
    codec.export(folder)
    (made,) = (folder / "exp" / "autoencoder").iterdir()
    for file in weights.locked("audiodec_vctk_c16h320_sym").files:
        target = folder / file.file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made / ("config.yml" if target.suffix == ".yml" else "checkpoint-500000steps.pkl"), target)
    config = yaml.safe_load((target.parent / "config.yml").read_text(encoding="utf-8"))
    (target.parent / "config.yml").write_text(yaml.safe_dump({**config, "sampling_rate": 48000}), encoding="utf-8")
    shutil.rmtree(made)
    shutil.rmtree(folder / "exp" / "vocoder")


def _hificodec(rates: tuple[int, ...], name: str, folder: Path) -> None:
    from codec_adapters.families.academicodec import HifiCodec as Network
    from codec_adapters.families.academicodec import HifiCodecConfig
    from tools.small_codecs import HifiCodec

    torch.manual_seed(1)
    codec = HifiCodec()
    kernels = [2 * rate + rate % 2 for rate in rates]
    codec.config.update(upsample_rates=list(rates), upsample_kernel_sizes=kernels, sampling_rate=24000)
    codec.net = Network(HifiCodecConfig.model_validate(codec.config), 8, 16)
    codec.export(folder)
    (folder / "HiFi-Codec-16k-320d").rename(folder / f"HiFi-Codec-{name.replace('_', '-')}")
    (folder / "config_16k_320d.json").rename(folder / f"config_{name}.json")


def _academicodec_hop_32(folder: Path) -> None:
    from codec_adapters.layers.seanet import SeanetCodec
    from tools.small_codec import encodec_codebooks
    from tools.small_codecs import seanet_settings, seanet_state

    torch.manual_seed(1)
    books = torch.randn(2, 64, 16)
    state = seanet_state(SeanetCodec(seanet_settings(4, 16, (4, 2, 2, 2)), books.shape))
    state.update(encodec_codebooks(books, "quantizer."))
    torch.save({f"module.{key}": value for key, value in state.items()}, folder / "encodec_24khz_32d.pth")


RANDOM: dict[str, Callable[[Path], object]] = {
    **{f"encodec_24khz_{kbps}kbps": MAKERS["encodec_24khz_6kbps"] for kbps in (12, 24)},
    **{f"encodec_48khz_{kbps}kbps": MAKERS["encodec_48khz_6kbps"] for kbps in (3, 6, 12, 24)},
    "snac_32khz": partial(make_snac, sampling_rate=32000, **SNAC_4_LEVELS),
    "snac_44khz": partial(make_snac, sampling_rate=44100, **SNAC_4_LEVELS),
    "dac_24khz": partial(make_dac, codebooks=32, rate=24000),
    "dac_44khz": partial(make_dac, codebooks=9, rate=44100, ratios=(2, 4, 8, 8)),
    "academicodec_hifi_24k_240d": partial(_hificodec, (8, 6, 5), "24k_240d"),
    "academicodec_hifi_24k_320d": partial(_hificodec, (8, 8, 5), "24k_320d"),
    "academicodec_encodec_24k_32d": _academicodec_hop_32,
    "audiodec_vctk_c16h320_sym": _audiodec_hop_320,
}
