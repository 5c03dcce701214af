"""FACodec (NaturalSpeech 3): prosody, content and residual codes, and an unquantized speaker vector per utterance.

Paper: Ju et al., "NaturalSpeech 3: Zero-Shot Speech Synthesis with Factorized Codec and Diffusion Models",
arXiv 2403.03100. Upstream: open-mmlab/Amphion, ``models/codec/ns3_codec`` (MIT). A checkpoint is two flat state dicts
from one hub repository: ``ns3_facodec_encoder.bin`` and ``ns3_facodec_decoder.bin`` for v1, the same names with ``_v2``
for v2. There is no configuration file; all sizes are read from the tensors' shapes.
"""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor
from torch.nn.functional import pad

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.errors import CheckpointError, InputError
from codec_adapters.families.facodec_config import Shapes
from codec_adapters.families.facodec_network import FacodecDecoder, FacodecEncoder
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import find_file
from codec_adapters.layers.alias_free import folded_activations
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.weight_norm import folded_state

_SAMPLE_RATE = 16000
"""Hz. No file states it; the mel filters of v2 are made for it."""

_TRAINING_HEADS = (
    "f0_predictor.",
    "phone_predictor.",
    "content_f0_predictor.",
    "prosody_phone_predictor.",
    "res_f0_predictor.",
    "res_phone_predictor.",
    "x_timbre_predictor.",
)
"""Beginnings of the keys of training's prediction heads, which are most of the decoder file.

They make the codes of prosody, content and residual carry different information.
"""


class FacodecAdapter(Adapter):
    """Adapter of FACodec v1 (Ju et al., arXiv 2403.03100; open-mmlab/Amphion).

    16 kHz, hop 200 (80 frames/s), 4.8 kbit/s. ``encode`` gives one tensor ``[batch, 6, frames]`` of codes below 1024:
    prosody, content (2), residual (3). Beside it, ``codes.side["speaker"]`` ``[batch, width]`` is the speaker vector of
    the whole utterance, without which nothing can be decoded. Outputs have ``frames * hop`` samples: up to 151 fewer or
    48 more than the input. Nothing is random. Quirk: upstream indexes the transformers' position table by the item's
    place in the batch, so that a single utterance gets row 0 in every frame; here every item does. Option
    ``time_positions`` indexes the table by time instead, which is what it was made for.
    """

    suffix = ""
    """What the file names end with, before ``.bin``."""
    prosody_from_mel = False
    """Whether prosody is coded from a mel spectrogram instead of the latent."""

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

    def _code_form(self) -> CodeForm:
        return CodeForm([Scale(self.decoder.entries)])

    def _encode(self, wav: Tensor) -> Codes:
        wav = self._padded(wav)
        if self.encoder.frames(wav.shape[1]) < 1:
            raise InputError(f"{self.spec.name}: {wav.shape[1]} samples are less than a frame")
        latent = self.encoder(wav)
        return Codes([self.decoder.encode(latent, self._mel(wav))], side={"speaker": self.decoder.speaker(latent)})

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        speaker = codes.side.get("speaker")
        expected = [len(codes[0]), self.decoder.width]
        if speaker is None or list(speaker.shape) != expected:
            found = "none" if speaker is None else list(speaker.shape)
            raise InputError(
                f"{self.spec.name}: cannot decode without codes.side['speaker'], {expected}; found {found}"
            )
        return self.decoder(self.decoder.embed(codes[0]), speaker)

    def _padded(self, wav: Tensor) -> Tensor:
        """Return ``wav`` with the padding that upstream appends; v1 has none."""
        return wav

    def _mel(self, wav: Tensor) -> Tensor | None:
        """Return the mel spectrogram ``[batch, bands, frames]`` that prosody is coded from; ``None`` for v1."""
        return None


class FacodecV2Adapter(FacodecAdapter):
    """Adapter of FACodec v2, which codes prosody from a mel spectrogram instead of the latent; otherwise as v1.

    Option ``time_positions`` is as in v1. Option ``demo_padding`` appends zeros as the authors' demo space does: up to
    the next multiple of 200 samples, and a whole frame if the length is a multiple already.

    Without ``demo_padding``, the default, the input is taken as it is, as in upstream's README. There is one exception:
    if 152 samples or more follow the last whole frame, latent and mel would have different numbers of frames, and
    upstream stops with an error. Here the last frame is then completed with zeros, as in the demo space. Input that has
    whole frames already (:attr:`length_multiple`) gets the demo space's result without its superfluous frame.
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
    """Read a file's state dict, leave out the training heads, and fold weight norm and activations."""
    path = find_file(checkpoint, name)
    state = tensor_state(read_tensors(path), path)
    needed = {key: value for key, value in state.items() if not key.startswith(_TRAINING_HEADS)}
    return Shapes(folded_activations(folded_state(needed)), path)
