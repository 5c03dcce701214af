"""AudioDec at a few channels: encoder and quantizer of one network, decoder of another."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml
from torch import Tensor

import codec_adapters
from codec_adapters.files import weights
from tools.small_networks.base import SmallCodec
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import (
    TensorDict,
    half,
    weight_normed,
)


class AudioDec(SmallCodec):
    """AudioDec at 24 kHz: 8 codebooks of 256, a HiFi-GAN vocoder as its decoder."""

    variant, rate, hop = "audiodec_libritts_v1", 24000, 300
    chains = (Chain(16, 256, (1,) * 8),)

    def __init__(self) -> None:
        from codec_adapters.families.audiodec_config import AutoencoderParams, VocoderParams
        from codec_adapters.families.audiodec_network import Autoencoder, Vocoder

        super().__init__()
        self.encoder_params = {
            "input_channels": 1,
            "output_channels": 1,
            "encode_channels": 4,
            "decode_channels": 1,
            "code_dim": 16,
            "codebook_num": 8,
            "codebook_size": 256,
            "bias": True,
            "enc_ratios": [2, 4, 8, 16],
            "dec_ratios": [16, 8, 4, 2],
            "enc_strides": [3, 4, 5, 5],
            "dec_strides": [5, 5, 4, 3],
            "mode": "causal",
            "codec": "audiodec",
            "projector": "conv1d",
            "quantier": "residual_vq",
        }
        self.decoder_params = {
            "in_channels": 16,
            "out_channels": 1,
            "channels": 64,
            "kernel_size": 7,
            "upsample_scales": [5, 5, 4, 3],
            "upsample_kernel_sizes": [10, 10, 8, 6],
            "resblock_kernel_sizes": [5],
            "resblock_dilations": [[1, 3]],
            "groups": 3,
            "bias": True,
            "use_additional_convs": False,
            "nonlinear_activation": "LeakyReLU",
            "nonlinear_activation_params": {"negative_slope": 0.1},
            "stats": "stats/symAD_libritts_24000_hop300_clean.npy",
        }
        self.sender = Autoencoder(AutoencoderParams.model_validate(self.encoder_params))
        self.receiver = Vocoder(VocoderParams.model_validate(self.decoder_params))
        assert self.receiver.scale is not None
        self.receiver.scale.fill_(1.0)

    def vectors(self, wav: Tensor) -> Tensor:
        latent: Tensor = self.sender.projector["project"](self.sender.encoder(wav[:, None]))
        return latent

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.receiver(vectors)
        return audio[:, 0]

    def export(self, folder: Path) -> None:
        sender = {k: v for k, v in self.sender.state_dict().items() if k != "quantizer.embed"}
        for stage, book in enumerate(self.quantizer.codebooks(0)):
            sender[f"quantizer.codebook.layers.{stage}.embed"] = book.t().contiguous()
        receiver = weight_normed(joined_groups(self.receiver.state_dict()), lambda layer: True)
        names = {
            "autoencoder/symAD_libritts_24000_hop300": ("symAudioDec", self.encoder_params, sender),
            "vocoder/AudioDec_v1_symAD_libritts_24000_hop300_clean": ("HiFiGAN", self.decoder_params, receiver),
        }
        for name, (kind, params, state) in names.items():
            place = folder / "exp" / name
            place.mkdir(parents=True, exist_ok=True)
            config = {"model_type": kind, "sampling_rate": 24000, "generator_params": params}
            (place / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
            torch.save({"model": {"generator": half(state)}}, place / "checkpoint-500000steps.pkl")


def joined_groups(state: TensorDict) -> TensorDict:
    """The inverse of ``hifigan.split_groups``: blocks per group as one block of grouped convolutions."""
    joined: TensorDict = {}
    found: dict[str, list[Tensor]] = {}
    for key, value in state.items():
        block, is_group, rest = key.partition(".groups.")
        if is_group:
            found.setdefault(f"{block}.{rest.partition('.')[2]}", []).append(value)
        else:
            joined[key] = value
    return {**joined, **{key: torch.cat(parts) for key, parts in found.items()}}


def relabelled_audiodec(variant: str, trained: Path, folder: Path) -> Path:
    """The networks of the ``trained`` folder under a variant's own file names, at its rate.

    Both parts of a "sym" variant are the autoencoder's.
    """
    (sender,) = (trained / "exp" / "autoencoder").iterdir()
    (receiver,) = (trained / "exp" / "vocoder").iterdir()
    return _under_names_of(variant, sender, receiver, folder)


def random_audiodec_hop_320(folder: Path) -> Path:
    """The layout of ``audiodec_vctk_c16h320_sym``, whose strides are other than those of all the rest."""
    from codec_adapters.families.audiodec_config import AutoencoderParams
    from codec_adapters.families.audiodec_network import Autoencoder

    torch.manual_seed(1)
    codec = AudioDec()
    codec.encoder_params.update(enc_strides=[2, 4, 5, 8], dec_strides=[8, 5, 4, 2])
    codec.sender = Autoencoder(AutoencoderParams.model_validate(codec.encoder_params))
    with TemporaryDirectory() as scratch:
        codec.export(Path(scratch))
        (made,) = (Path(scratch) / "exp" / "autoencoder").iterdir()
        return _under_names_of("audiodec_vctk_c16h320_sym", made, made, folder)


def _under_names_of(variant: str, sender: Path, receiver: Path, folder: Path) -> Path:
    spec = codec_adapters.spec(variant)
    for file in weights.locked(spec.checkpoint).files:
        target = folder / file.file
        target.parent.mkdir(parents=True, exist_ok=True)
        source = receiver if "/vocoder/" in file.file else sender
        if target.suffix == ".yml":
            config = yaml.safe_load((source / "config.yml").read_text(encoding="utf-8"))
            target.write_text(yaml.safe_dump({**config, "sampling_rate": spec.sample_rate}), encoding="utf-8")
        else:
            shutil.copy(source / "checkpoint-500000steps.pkl", target)
    return folder
