"""FACodec at a few channels: its files have no configuration, so the shapes of fresh tensors say all sizes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tools.small_networks.base import SmallCodec
from tools.small_networks.codecs.facodec_state import facodec_official, facodec_states
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import (
    angular,
    factorized,
    half,
    orthonormal,
    weight_normed,
)


class Facodec(SmallCodec):
    """FACodec v2 at 16 kHz: codebooks of prosody, content and detail, and a speaker vector."""

    variant, rate, hop = "facodec_v2", 16000, 200
    chains = (Chain(7, 256, (1,)), Chain(15, 256, (1,) * 5))
    width = 32

    def __init__(self) -> None:
        from codec_adapters.families.facodec_config import Shapes
        from codec_adapters.families.facodec_network import FacodecDecoder, FacodecEncoder

        super().__init__()
        path = Path("ns3_facodec_v2")
        encoder, decoder = facodec_states(self.width, filters=4, bands=20)
        self.encoder = FacodecEncoder(Shapes(encoder, path), True)
        self.decoder = FacodecDecoder(Shapes(decoder, path), True, False)
        self.encoder.load_state_dict(encoder)
        self.decoder.load_state_dict(decoder)
        for part in (self.encoder, self.decoder):
            for name, parameter in part.named_parameters():
                parameter.requires_grad_(not name.startswith("quantizer."))
        self.register_buffer("basis", orthonormal(22, self.width, seed=8))

    basis: Tensor

    def vectors(self, wav: Tensor) -> Tensor:
        latent = self.encoder(wav)
        assert self.encoder.mel_transform is not None
        mel = self.encoder.mel_transform(wav, self.decoder.bands)
        prosody = self.decoder.melspec_encoder(self.decoder.melspec_linear(mel.transpose(1, 2)))
        frames = min(latent.shape[1], prosody.shape[1])
        first, second = self.basis[:7], self.basis[7:]
        parts = [prosody[:, :frames] @ first.t(), latent[:, :frames] @ second.t()]
        return torch.cat(parts, dim=2).transpose(1, 2)

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.decoder(vectors.transpose(1, 2) @ self.basis, self.decoder.speaker(self.encoder(wav)))
        return audio

    def export(self, folder: Path) -> None:
        encoder = facodec_official(self.encoder.state_dict())
        decoder = {k: v for k, v in self.decoder.state_dict().items() if not k.startswith("quantizer.")}
        decoder = facodec_official(decoder)
        stages = list(angular(self.quantizer.codebooks(0), self.quantizer.rms(0)))
        later = list(angular(self.quantizer.codebooks(1), self.quantizer.rms(1)))
        places = [("0.layers.0", stages[0]), *((f"1.layers.{i}", later[i]) for i in range(2))]
        places += [(f"2.layers.{i}", later[2 + i]) for i in range(3)]
        for place, (words, constant) in places:
            basis = self.basis[:7] if place.startswith("0") else self.basis[7:]
            own = {
                key: value.squeeze(-1) if key.endswith("weight") else value
                for key, value in factorized(basis, constant).items()
            }
            paired = weight_normed(own, lambda layer: True)
            decoder.update({f"quantizer.{place}.{key}": value for key, value in paired.items()})
            decoder[f"quantizer.{place}._codebook.weight"] = words
        torch.save(half(encoder), folder / "ns3_facodec_encoder_v2.bin")
        torch.save(half(decoder), folder / "ns3_facodec_decoder_v2.bin")
