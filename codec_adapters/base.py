"""The adapter contract: waveform in, waveform out, and nothing else.

An adapter never resamples, levels, pads to a policy's length, reads audio files or downloads; one place each, outside
of this package's adapters, does that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from codec_adapters.errors import CheckpointError, InputError, OptionError
from codec_adapters.files import weights
from codec_adapters.files.config import find_file
from codec_adapters.spec import CodecSpec, OptionValue


class Codes(list[Tensor]):
    """Codes of a batch: int64 tensors ``[batch, codebooks_i, frames_i]``, one, or one per scale (coarse to fine).

    ``side`` carries what some codecs transmit beside the codes (EnCodec 48 kHz's loudness per chunk, FunCodec's scale,
    FACodec's speaker vector), first axis the batch. Codes without it decode to what the codec does without it.
    """

    def __init__(self, tensors: Sequence[Tensor], side: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(tensors)
        self.side: dict[str, Tensor] = dict(side or {})


@dataclass(frozen=True)
class Setup:
    """What an adapter is made from; :func:`codec_adapters.load` has checked it."""

    spec: CodecSpec
    options: Mapping[str, OptionValue]
    """All inference options of the variant, each of its own kind."""
    checkpoint: Path | None
    """Folder in the codec's official file layout; ``None`` only for variants that name no checkpoint."""
    device: torch.device
    dtype: torch.dtype
    """For the networks; quantizer searches stay in float32."""

    @property
    def folder(self) -> Path:
        """The checkpoint folder, which a codec with weights always has."""
        if self.checkpoint is None:
            raise CheckpointError(f"{self.spec.name}: needs a checkpoint folder")
        return self.checkpoint

    def file(self, *patterns: str) -> Path:
        """The checkpoint's file whose official name fits one of ``patterns``, or the one file that fits the first.

        Raises:
            CheckpointError: no such file, or several of other names.
        """
        return find_file(self.folder, weights.official_files(self.spec.checkpoint, *patterns)[0], only=patterns[0])

    def codebooks(self, available: int, least: int = 1) -> int:
        """Option ``codebooks``: how many of a checkpoint's codebooks are used, the first ones.

        The variant's default means as many as that, or all where a checkpoint has fewer.

        Raises:
            OptionError: another number than the default, and not one from ``least`` to ``available``.
        """
        wanted = int(self.options["codebooks"])
        if wanted == self.spec.options["codebooks"]:
            return min(wanted, available)
        if not least <= wanted <= available:
            raise OptionError(f"{self.spec.name}: codebooks must be {least} to {available}, got {wanted}")
        return wanted


class Adapter(ABC):
    """Runs one variant of one codec.

    Subclasses load their network in ``__init__`` and implement the ``_encode`` / ``_decode`` pair (and
    ``_resynthesize`` where upstream's one-call path differs from the pair). Adapters hold no state between calls and
    may be called from several threads.
    """

    def __init__(self, setup: Setup) -> None:
        self.spec = setup.spec
        self.options = dict(setup.options)
        self.device = setup.device
        self.dtype = setup.dtype

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Rate of input and output, Hz, of the network that is loaded."""

    @property
    @abstractmethod
    def hop(self) -> int:
        """Samples per frame of the finest codebook."""

    @property
    @abstractmethod
    def codebooks(self) -> int:
        """Codebooks in use."""

    @property
    @abstractmethod
    def bitrate(self) -> float:
        """Bits per second, computed from frame rates and codebook sizes."""

    @property
    def frame_rate(self) -> float:
        """Frames per second of the finest codebook."""
        return self.sample_rate / self.hop

    @property
    def length_multiple(self) -> int:
        """Zero-padding an input to a multiple of this many samples is what the codec does by itself anyway."""
        return self.hop

    @torch.inference_mode()
    def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Speech through the codec, as the upstream's own inference does it.

        Args:
            wav: float32 ``[batch, samples]`` at :attr:`sample_rate`, nominal range [-1, 1], equal lengths.
            seeds: one int per item for codecs with a random step; ``None`` is 0 for each.

        Returns:
            float32 ``[batch, samples_out]`` on the adapter's device. ``samples_out`` is the upstream's own.

        Raises:
            InputError: wrong type, shape or number of seeds.
        """
        wav = self._checked(wav)
        return self._resynthesize(wav, self._checked_seeds(seeds, wav.shape[0]))

    @torch.inference_mode()
    def encode(self, wav: Tensor) -> Codes:
        """Codes of ``wav`` (float32 ``[batch, samples]``): int64 ``[batch, codebooks_i, frames_i]`` per scale.

        Raises:
            InputError: wrong type or shape, or this codec gives no codes.
        """
        return self._encode(self._checked(wav))

    @torch.inference_mode()
    def decode(self, codes: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Tensor:
        """Waveform float32 ``[batch, samples]`` of ``codes``; untrimmed, since codes do not know the input's length."""
        if not len(codes) or any(c.ndim != 3 or c.dtype != torch.int64 for c in codes):
            raise InputError(f"{self.spec.name}: codes must be a list of int64 tensors [batch, codebooks, frames]")
        side = codes.side if isinstance(codes, Codes) else {}
        on_device = Codes(
            [c.to(self.device) for c in codes], {name: value.to(self.device) for name, value in side.items()}
        )
        return self._decode(on_device, self._checked_seeds(seeds, codes[0].shape[0]))

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return self._decode(self._encode(wav), seeds)[:, : wav.shape[1]]

    @abstractmethod
    def _encode(self, wav: Tensor) -> Codes: ...

    @abstractmethod
    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor: ...

    def _checked(self, wav: Tensor) -> Tensor:
        if not isinstance(wav, Tensor) or wav.dtype != torch.float32 or wav.ndim != 2 or 0 in wav.shape:
            found = f"{wav.dtype} {list(wav.shape)}" if isinstance(wav, Tensor) else type(wav).__name__
            raise InputError(
                f"{self.spec.name}: input must be a float32 tensor [batch, samples], neither empty; got {found}"
            )
        return wav.to(self.device)

    def _checked_codes(self, codes: Sequence[Tensor], entries: Sequence[int], least: int | None = None) -> Tensor:
        """The one tensor of a codec with one scale, checked before it reaches a codebook.

        Args:
            entries: of each codebook.
            least: how many of the codebooks there must be at least, the first ones; ``None`` is all.

        Raises:
            InputError: more than one tensor, too few or too many codebooks, no frames, or a code that is no entry.
        """
        most = len(entries)
        if len(codes) != 1 or not (least or most) <= codes[0].shape[1] <= most or 0 in codes[0].shape:
            wanted = f"[batch, {most if least in (None, most) else f'{least} to {most}'} codebooks, frames]"
            found = ", ".join(str(list(tensor.shape)) for tensor in codes)
            raise InputError(f"{self.spec.name}: codes must be one tensor {wanted}, not empty; got {found}")
        given = codes[0].shape[1]
        limits = torch.tensor(entries[:given], device=codes[0].device)[:, None]
        if bool(((codes[0] < 0) | (codes[0] >= limits)).any()):
            low, high = codes[0].aminmax()
            sizes = ", ".join(str(size) for size in sorted(set(entries[:given])))
            raise InputError(
                f"{self.spec.name}: codes must be at least 0 and below {sizes}; got {int(low)} to {int(high)}"
            )
        return codes[0]

    def _checked_seeds(self, seeds: Sequence[int] | None, batch: int) -> list[int]:
        if seeds is None:
            return [0] * batch
        if len(seeds) != batch:
            raise InputError(f"{self.spec.name}: {len(seeds)} seeds for a batch of {batch}; give one per item")
        return [int(seed) for seed in seeds]
