"""AcademiCodec at a few channels: HiFi-Codec at any rates, and the EnCodec of hop 32."""

from __future__ import annotations

import json
import operator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tools.small_networks.base import SmallCodec
from tools.small_networks.codecs.seanet import seanet_settings, seanet_state
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import TensorDict, encodec_codebooks, half, weight_normed


class HifiCodec(SmallCodec):
    """HiFi-Codec at 16 kHz: two groups of two codebooks of 512, HiFi-GAN as its decoder."""

    variant, rate, hop = "academicodec_hifi_16k_320d", 16000, 320
    chains = (Chain(8, 512, (1, 1)), Chain(8, 512, (1, 1)))

    def __init__(self) -> None:
        from codec_adapters.families.academicodec_network import HifiCodec as Network
        from codec_adapters.families.academicodec_network import HifiCodecConfig

        super().__init__()
        self.config = {
            "resblock": "2",
            "upsample_rates": [8, 8, 5],
            "upsample_kernel_sizes": [16, 16, 11],
            "upsample_initial_channel": 64,
            "resblock_kernel_sizes": [3, 7],
            "resblock_dilation_sizes": [[1, 3], [1, 3]],
            "sampling_rate": 16000,
            "n_code_groups": 2,
            "n_codes": 512,
        }
        self.net = Network(HifiCodecConfig.model_validate(self.config), 8, 16)

    def vectors(self, wav: Tensor) -> Tensor:
        latent: Tensor = self.net.encoder(wav[:, None])
        return latent

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.net.generator(vectors)
        return audio[:, 0]

    def export(self, folder: Path) -> None:
        parts: dict[str, TensorDict] = {}
        for name in ("generator", "encoder"):
            state = {key.replace(".convs1.", ".convs."): v for key, v in getattr(self.net, name).state_dict().items()}
            plain = {"encoder": "conv_post"}.get(name)  # the one layer of upstream without weight norm
            parts[name] = half(weight_normed(state, partial(operator.ne, plain)))
        books: TensorDict = {}
        for group in range(2):
            for stage, book in enumerate(self.quantizer.codebooks(group)):
                books[f"quantizer_modules{'2' if stage else ''}.{group}.embedding.weight"] = book
        torch.save({**parts, "quantizer": half(books)}, folder / "HiFi-Codec-16k-320d")
        (folder / "config_16k_320d.json").write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")


def random_hificodec(folder: Path, rates: tuple[int, ...], name: str) -> Path:
    """HiFi-Codec's 24 kHz layout; ``rates`` are the decoder's upsampling factors, ``name`` is in the files' names."""
    from codec_adapters.families.academicodec_network import HifiCodec as Network
    from codec_adapters.families.academicodec_network import HifiCodecConfig

    torch.manual_seed(1)
    codec = HifiCodec()
    kernels = [2 * rate + rate % 2 for rate in rates]
    codec.config.update(upsample_rates=list(rates), upsample_kernel_sizes=kernels, sampling_rate=24000)
    codec.net = Network(HifiCodecConfig.model_validate(codec.config), 8, 16)
    folder.mkdir(parents=True, exist_ok=True)
    codec.export(folder)
    (folder / "HiFi-Codec-16k-320d").rename(folder / f"HiFi-Codec-{name.replace('_', '-')}")
    (folder / "config_16k_320d.json").rename(folder / f"config_{name}.json")
    return folder


def random_encodec_hop_32(folder: Path) -> Path:
    """AcademiCodec's EnCodec of 24 kHz and hop 32: one file, without configuration."""
    from codec_adapters.layers.seanet import SeanetCodec

    torch.manual_seed(1)
    books = torch.randn(2, 64, 16)
    state = seanet_state(SeanetCodec(seanet_settings(4, 16, (4, 2, 2, 2)), books.shape))
    state.update(encodec_codebooks(books, "quantizer."))
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({f"module.{key}": value for key, value in state.items()}, folder / "encodec_24khz_32d.pth")
    return folder
