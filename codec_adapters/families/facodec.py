"""FACodec (NaturalSpeech 3): prosody, content and residual codes, and an unquantized speaker vector per utterance.

Paper: Ju et al., "NaturalSpeech 3: Zero-Shot Speech Synthesis with Factorized Codec and Diffusion Models",
arXiv 2403.03100. Upstream: open-mmlab/Amphion, ``models/codec/ns3_codec`` (MIT). A checkpoint is two flat state dicts,
``ns3_facodec_encoder.bin`` and ``ns3_facodec_decoder.bin`` (v1), the same with ``_v2`` (v2), of one hub repository; no
configuration. 16 kHz, hop 200 (80 frames/s), codes ``[batch, 6, frames]``: prosody, content x2, residual x3, 1024
entries each, 4.8 kbit/s. v2 takes prosody from a mel spectrogram instead of the latent.

The speaker vector is ``codes.side["speaker"]``, ``[batch, width]``; nothing can be decoded without one. Outputs are as
long as the frames: up to 151 samples shorter or 48 longer than the input.
"""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor
from torch.nn.functional import pad

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.errors import CheckpointError, InputError
from codec_adapters.families.facodec_network import FacodecDecoder, FacodecEncoder
from codec_adapters.families.facodec_sizes import Shapes
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import find_file
from codec_adapters.layers.alias_free import folded_activations
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.weight_norm import folded_state

_SAMPLE_RATE = 16000
"""No file says it; the mel filters of v2 are made for it."""

_TRAINING_HEADS = (
    "f0_predictor.",
    "phone_predictor.",
    "content_f0_predictor.",
    "prosody_phone_predictor.",
    "res_f0_predictor.",
    "res_phone_predictor.",
    "x_timbre_predictor.",
)
"""Most of the decoder file is heads that keep the codes apart in training."""


class FacodecAdapter(Adapter):
    """FACodec v1.

    Option ``time_positions``: the transformers' position table is indexed by time, as it was meant, instead of giving
    every frame row 0, as upstream does for a single utterance.
    """

    suffix = ""
    """Of the file names."""
    prosody_from_mel = False

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        shapes = _read(setup.folder, f"ns3_facodec_encoder{self.suffix}.bin")
        with network_from(shapes.path):
            self.encoder = FacodecEncoder(shapes, self.prosody_from_mel).eval()
        load_strict(self.encoder, shapes.state, shapes.path)
        shapes = _read(setup.folder, f"ns3_facodec_decoder{self.suffix}.bin")
        with network_from(shapes.path):
            self.decoder = FacodecDecoder(shapes, self.prosody_from_mel, bool(setup.options["time_positions"])).eval()
        load_strict(self.decoder, shapes.state, shapes.path)
        if self.encoder.hop != self.decoder.hop:
            raise CheckpointError(
                f"{shapes.path}: has hop {self.decoder.hop}, the encoder beside it {self.encoder.hop}"
            )
        self.encoder.to(setup.device)
        self.decoder.to(setup.device)
        self.encoder.block = in_precision(self.encoder.block, setup.dtype)
        self.decoder.model = in_precision(self.decoder.model, setup.dtype)

    @property
    def sample_rate(self) -> int:
        return _SAMPLE_RATE

    @property
    def hop(self) -> int:
        return self.encoder.hop

    @property
    def codebooks(self) -> int:
        return len(self.decoder.entries)

    @property
    def bitrate(self) -> float:
        return self.frame_rate * sum(math.log2(entries) for entries in self.decoder.entries)

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        codes = self._encode(wav)
        return self.decoder(self.decoder.embed(codes[0]), codes.side["speaker"])

    def _encode(self, wav: Tensor) -> Codes:
        wav = self._padded(wav)
        if self.encoder.frames(wav.shape[1]) < 1:
            raise InputError(f"{self.spec.name}: {wav.shape[1]} samples are less than a frame")
        latent = self.encoder(wav)
        return Codes([self.decoder.encode(latent, self._mel(wav))], side={"speaker": self.decoder.speaker(latent)})

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        checked = self._checked_codes(codes, self.decoder.entries)
        speaker = codes.side.get("speaker")
        expected = [len(checked), self.decoder.width]
        if speaker is None or list(speaker.shape) != expected:
            found = "none" if speaker is None else list(speaker.shape)
            raise InputError(
                f"{self.spec.name}: cannot decode without codes.side['speaker'], {expected}; found {found}"
            )
        return self.decoder(self.decoder.embed(checked), speaker)

    def _padded(self, wav: Tensor) -> Tensor:
        return wav

    def _mel(self, wav: Tensor) -> Tensor | None:
        return None


class FacodecV2Adapter(FacodecAdapter):
    """FACodec v2: prosody comes from a mel spectrogram.

    Options: ``time_positions`` as in v1. ``demo_padding``: zeros are appended as in the authors' demo space, 200 less
    the surplus over whole frames, which is a whole frame where there is no surplus. Without it, an input is taken as it
    is, as in upstream's README, unless latent and mel would get different numbers of frames (a surplus of 152 samples
    or more), where upstream stops with an error; then the last frame is completed with zeros, as in the demo space.
    The default is without: whoever completes frames beforehand (:attr:`length_multiple`) gets the demo space's result
    without its superfluous frame.
    """

    suffix = "_v2"
    prosody_from_mel = True

    def _padded(self, wav: Tensor) -> Tensor:
        samples, hop = wav.shape[1], self.hop
        if self.options["demo_padding"] or self.encoder.frames(samples) != samples // hop:
            wav = pad(wav, (0, hop - samples % hop))
        return wav

    def _mel(self, wav: Tensor) -> Tensor | None:
        mel = self.encoder.mel_transform
        assert mel is not None
        if wav.shape[1] <= mel.margin:
            raise InputError(f"{self.spec.name}: needs more than {mel.margin} samples, got {wav.shape[1]}")
        return mel(wav, self.decoder.bands)


def _read(checkpoint: Path, name: str) -> Shapes:
    """The state dict in a file, less the training heads, weight norm and activations folded."""
    path = find_file(checkpoint, name)
    state = tensor_state(read_tensors(path), path)
    needed = {key: value for key, value in state.items() if not key.startswith(_TRAINING_HEADS)}
    return Shapes(folded_activations(folded_state(needed)), path)
