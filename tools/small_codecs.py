"""Small networks of every codec family, trainable as a whole, and their checkpoints in the official file formats.

Each class builds the family's own network (the adapter's, or the library's) at a few channels per layer, gives the
trainer a differentiable way in (``vectors``) and out (``synthesis``) around the quantizer of
:mod:`tools.vector_quantizer`, and writes what was learned as the files that the adapter loads. What the networks share
with their full-size originals: rates, hops, layers, kind of quantizer and of decoder; not their size. FACodec's is in
:mod:`tools.small_facodec`.
"""

from __future__ import annotations

import json
import operator
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from torch import Tensor, nn

from tools.small_codec import (
    ProjectedCodec,
    SmallCodec,
    TensorDict,
    angular,
    encodec_codebooks,
    factorized,
    half,
    save_transformers,
    weight_normed,
)
from tools.small_facodec import Facodec
from tools.vector_quantizer import Chain


class Encodec(SmallCodec):
    variant, rate, hop = "encodec_24khz_6kbps", 24000, 320
    chains = (Chain(12, 1024, (1,) * 8),)

    def __init__(self) -> None:
        from transformers import EncodecConfig, EncodecModel

        super().__init__()
        self.model = EncodecModel(
            EncodecConfig(
                target_bandwidths=[1.5, 3.0, 6.0], num_filters=4, hidden_size=12, codebook_dim=12, num_lstm_layers=1
            )
        )

    def vectors(self, wav: Tensor) -> Tensor:
        latent: Tensor = self.model.encoder(wav[:, None])
        return latent

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.model.decoder(vectors)
        return audio[:, 0]

    def export(self, folder: Path) -> None:
        for layer, book in zip(self.model.quantizer.layers, self.quantizer.codebooks(0), strict=True):
            layer.codebook.embed.copy_(book)
            layer.codebook.cluster_size.fill_(1.0)
        self.model.config.save_pretrained(folder)
        state = half(self.model.state_dict())
        # moving averages equal the codebooks; a torch file, unlike safetensors, holds equal tensors once
        state |= {f"{key}_avg": value for key, value in state.items() if key.endswith(".codebook.embed")}
        torch.save(state, folder / "pytorch_model.bin")


class Mimi(ProjectedCodec):
    variant, rate, hop = "mimi_8codebooks", 24000, 1920
    chains = (Chain(6, 256, (1,)), Chain(18, 256, (1,) * 7))
    seconds = 1.28

    def __init__(self) -> None:
        from transformers import MimiConfig, MimiModel

        super().__init__()
        self.model = MimiModel(
            MimiConfig(
                hidden_size=48,
                num_filters=5,
                codebook_size=256,
                codebook_dim=24,
                vector_quantization_hidden_dimension=24,
                num_quantizers=8,
                num_hidden_layers=2,
                intermediate_size=96,
                num_attention_heads=3,
                num_key_value_heads=3,
                head_dim=16,
                upsample_groups=48,
                sliding_window=50,
                layer_scale_initial_scale=0.1,
            )
        )
        self.project(48, seed=5)

    def vectors(self, wav: Tensor) -> Tensor:
        return self.basis @ self.model.encoder(wav[:, None]).latents

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.model.decoder(self.basis.t() @ vectors).audio_values
        return audio[:, 0]

    def export(self, folder: Path) -> None:
        quantizer = self.model.quantizer
        parts = (quantizer.semantic_residual_vector_quantizer, quantizer.acoustic_residual_vector_quantizer)
        first = 0
        for number, part in enumerate(parts):
            last = first + self.chains[number].dim
            mask = torch.zeros(24, 1)
            mask[first:last] = 1.0
            part.input_proj.weight.data = (self.basis * mask)[:, :, None].clone()
            part.output_proj.weight.data = (self.basis * mask).t()[:, :, None].clone()
            for layer, book in zip(part.layers, self.quantizer.codebooks(number), strict=True):
                layer.codebook.embed_sum.zero_()
                layer.codebook.embed_sum[:, first:last] = book
                layer.codebook.cluster_usage.fill_(1.0)
            first = last
        save_transformers(self.model, folder)


class Dac(ProjectedCodec):
    variant, rate, hop = "dac_16khz", 16000, 320
    chains = (Chain(15, 256, (1,) * 12),)

    def __init__(self) -> None:
        from transformers import DacConfig, DacModel

        super().__init__()
        self.model = DacModel(
            DacConfig(
                encoder_hidden_size=4,
                downsampling_ratios=[2, 4, 5, 8],
                decoder_hidden_size=64,
                upsampling_ratios=[8, 5, 4, 2],
                n_codebooks=12,
                codebook_size=256,
                codebook_dim=16,
                sampling_rate=16000,
            )
        )
        self.project(64, seed=11)

    def export(self, folder: Path) -> None:
        stages = angular(self.quantizer.codebooks(0), self.quantizer.rms(0))
        for stage, (words, constant) in zip(self.model.quantizer.quantizers, stages, strict=True):
            stage.load_state_dict({**factorized(self.basis, constant), "codebook.weight": words})
        save_transformers(self.model, folder)


class Snac(ProjectedCodec):
    variant, rate, hop = "snac_24khz", 24000, 512
    chains = (Chain(15, 1024, (4, 2, 1)),)
    seconds = 2048 * 10 / 24000

    def __init__(self) -> None:
        from snac import SNAC

        super().__init__()
        self.config = {
            "sampling_rate": 24000,
            "encoder_dim": 4,
            "encoder_rates": [2, 4, 8, 8],
            "decoder_dim": 64,
            "decoder_rates": [8, 8, 4, 2],
            "attn_window_size": None,
            "codebook_size": 1024,
            "codebook_dim": 16,
            "vq_strides": [4, 2, 1],
            "noise": True,
            "depthwise": False,
        }
        self.model = SNAC(**self.config)
        self.project(64, seed=6)

    def export(self, folder: Path) -> None:
        from snac import SNAC

        state = self.model.state_dict()
        stages = angular(self.quantizer.codebooks(0), self.quantizer.rms(0))
        for number, (words, constant) in enumerate(stages):
            prefix = f"quantizer.quantizers.{number}"
            state[f"{prefix}.codebook.weight"] = words
            for key, value in weight_normed(factorized(self.basis, constant), lambda layer: True).items():
                name = key.replace(".weight_g", ".parametrizations.weight.original0")
                state[f"{prefix}.{name.replace('.weight_v', '.parametrizations.weight.original1')}"] = value
        SNAC(**self.config).load_state_dict(state)
        (folder / "config.json").write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")
        torch.save(half(state), folder / "pytorch_model.bin")


class SpeechTokenizer(SmallCodec):
    variant, rate, hop = "speechtokenizer_hubert_avg", 16000, 320
    chains = (Chain(16, 256, (1,) * 8),)

    def __init__(self) -> None:
        from codec_adapters.families.speechtokenizer import SpeechTokenizerConfig
        from codec_adapters.layers.seanet import SeanetCodec

        super().__init__()
        self.config = {
            "n_filters": 4,
            "strides": [8, 5, 4, 2],
            "dimension": 16,
            "lstm_layers": 1,
            "bidirectional": True,
            "dilation_base": 2,
            "residual_kernel_size": 3,
            "n_residual_layers": 1,
            "activation": "ELU",
            "codebook_size": 256,
            "n_q": 8,
            "sample_rate": 16000,
        }
        settings = SpeechTokenizerConfig.model_validate(self.config).settings(seanet_settings(4, 16, (8, 5, 4, 2)))
        self.net = SeanetCodec(settings, (8, 256, 16))

    def vectors(self, wav: Tensor) -> Tensor:
        return self.net.latent(wav)

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.net.decoder(vectors)
        return audio[:, 0]

    def export(self, folder: Path) -> None:
        state = seanet_state(self.net)
        state.update(encodec_codebooks(self.quantizer.codebooks(0), "quantizer."))
        (folder / "config.json").write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")
        torch.save(half(state), folder / "SpeechTokenizer.pt")


def seanet_settings(filters: int, dimension: int, ratios: tuple[int, ...]) -> Any:
    """Settings of a SEANet with one LSTM layer, the rest as the family has it."""
    from codec_adapters.layers.seanet_settings import SeanetSettings

    steps = tuple((ratio,) for ratio in ratios)
    return SeanetSettings(filters=filters, dimension=dimension, ratios=steps, lstm_layers=1)


def seanet_state(network: nn.Module) -> TensorDict:
    """A SEANet's tensors, convolutions weight-normed, less codebooks."""
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("quantizer.embed")}
    return weight_normed(state, lambda layer: layer.endswith((".conv", ".convtr")))


class WavTokenizer(SmallCodec):
    variant, rate, hop = "wavtokenizer_small_75tps", 24000, 320
    chains = (Chain(12, 4096, (1,)),)
    ratios: tuple[int, ...] = (8, 5, 4, 2)
    n_fft = 640
    checkpoint_stem = "WavTokenizer_small_320_24k_4096"

    def __init__(self) -> None:
        from codec_adapters.families.wavtokenizer import WavTokenizer as Network
        from codec_adapters.layers.vocos import ConvNextBlock, VocosBackbone, VocosSizes

        super().__init__()
        decoder = VocosSizes(12, 32, 192, 4, 4, self.n_fft, self.hop)
        self.net = Network(seanet_settings(4, 12, self.ratios), (1, 4096, 12), decoder)
        self.net.head.istft.window.copy_(torch.hann_window(self.n_fft))
        backbone = cast(VocosBackbone, self.net.backbone)
        blocks = cast("list[ConvNextBlock]", list(backbone.convnext))
        for block in blocks:
            block.gamma.data.fill_(0.25)
        for norm in (backbone.norm, *(block.norm for block in blocks)):
            norm.scale.weight.data.fill_(1.0)
            norm.shift.weight.data.zero_()

    def vectors(self, wav: Tensor) -> Tensor:
        return self.net.encodec.latent(wav)

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.net.head(self.net.backbone(vectors, 0))
        return audio

    def export(self, folder: Path) -> None:
        state = seanet_state(self.net.feature_extractor)
        state = {f"feature_extractor.{key}": value for key, value in state.items()}
        prefix = "feature_extractor.encodec.quantizer."
        state.update(encodec_codebooks(self.quantizer.codebooks(0), prefix))
        rest = self.net.state_dict()
        state.update({key: value for key, value in rest.items() if not key.startswith("feature_extractor.")})
        torch.save({"state_dict": half(state)}, folder / f"{self.checkpoint_stem}.ckpt")
        extractor = {"num_quantizers": 1, "dowmsamples": list(self.ratios), "vq_bins": 4096}
        backbone = {
            "input_channels": 12,
            "dim": 32,
            "intermediate_dim": 192,
            "num_layers": 4,
            "adanorm_num_embeddings": 4,
        }
        head = {"dim": 32, "n_fft": self.n_fft, "hop_length": self.hop, "padding": "same"}
        parts = {"feature_extractor": extractor, "backbone": backbone, "head": head}
        init = {"sample_rate": self.rate, **{name: {"init_args": part} for name, part in parts.items()}}
        text = yaml.safe_dump({"model": {"init_args": init}}, sort_keys=False)
        (folder / f"{self.checkpoint_stem}.yaml").write_text(text, encoding="utf-8")


class WavTokenizer40(WavTokenizer):
    variant, rate, hop = "wavtokenizer_small_40tps", 24000, 600
    ratios = (6, 5, 5, 4)
    n_fft = 1200
    checkpoint_stem = "WavTokenizer_small_600_24k_4096"


class HifiCodec(SmallCodec):
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


class AudioDec(SmallCodec):
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


class Funcodec(SmallCodec):
    variant, rate, hop = "funcodec_zh_en_nq32ds640", 16000, 640
    chains = (Chain(16, 128, (1,) * 32),)
    ratios: tuple[int, ...] = (8, 5, 4, 4)

    def __init__(self) -> None:
        from codec_adapters.families.funcodec import FuncodecNetwork
        from codec_adapters.families.funcodec_config import FuncodecConfig

        super().__init__()
        side = {
            "ratios": list(self.ratios),
            "norm": "time_group_norm",
            "causal": False,
            "n_filters": 4,
            "seq_model": "lstm",
            "seq_layer_num": 1,
        }
        self.config = {
            "model": "encodec",
            "input_size": 1,
            "encoder_conf": {**side, "dimension": 16},
            "decoder_conf": {**side},
            "quantizer": "costume_quantizer",
            "quantizer_conf": {
                "codebook_size": 128,
                "num_quantizers": 32,
                "sampling_rate": 16000,
                "encoder_hop_length": self.hop,
            },
            "model_conf": {
                "target_sample_hz": 16000,
                "audio_normalize": True,
                "segment_dur": None,
                "codec_domain": ["time", "time"],
            },
        }
        self.net = FuncodecNetwork(FuncodecConfig.model_validate(self.config))

    def levelled(self, wav: Tensor) -> Tensor:
        return wav / (wav.square().mean(dim=1, keepdim=True).sqrt() + 1e-8)

    def vectors(self, wav: Tensor) -> Tensor:
        return self.net.analyse(self.levelled(wav))

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        scale = wav.square().mean(dim=1, keepdim=True).sqrt() + 1e-8
        return self.net.synthesise(vectors) * scale

    def export(self, folder: Path) -> None:
        state = {k: v for k, v in self.net.state_dict().items() if k != "quantizer.rq.model.embed"}
        books = self.quantizer.codebooks(0)
        state["quantizer.rq.model.embed"] = books
        state["quantizer.rq.model.inited"] = torch.ones(32, 1)
        state["quantizer.rq.model.cluster_size"] = torch.ones(32, 128)
        torch.save(half(state), folder / "model.pth")
        (folder / "config.yaml").write_text(yaml.safe_dump(self.config), encoding="utf-8")


FAMILIES: dict[str, type[SmallCodec]] = {
    kind.__name__.lower(): kind
    for kind in (
        Mimi,
        SpeechTokenizer,
        Funcodec,
        Encodec,
        Facodec,
        Snac,
        WavTokenizer,
        HifiCodec,
        AudioDec,
        Dac,
        WavTokenizer40,
    )
}
"""Everything that is trained; SoundStream is Lyra's official checkpoint."""
