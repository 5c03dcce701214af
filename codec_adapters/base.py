"""The adapter contract: waveform in, waveform out, and nothing else.

An adapter does not resample, change levels, pad to a recipe's length, read audio files or download; each of these is
done in one place elsewhere.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from codec_adapters.code_form import CodeForm, check_codes, check_side, check_tensors, shown
from codec_adapters.errors import CheckpointError, InputError, OptionError, OutputError
from codec_adapters.files import weights
from codec_adapters.files.config import find_file
from codec_adapters.spec import CodecSpec, OptionValue


class Codes(list[Tensor]):
    """Codes of a batch: int64 tensors ``[batch, codebooks_i, frames_i]``, one, or one per scale (coarse to fine).

    ``side`` has what some codecs transmit beside the codes (EnCodec 48 kHz's loudness per chunk, FunCodec's scale,
    FACodec's speaker vector), first axis the batch. Where it is missing, the
    codec decodes without it.
    """

    def __init__(self, tensors: Sequence[Tensor], side: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(tensors)
        self.side: dict[str, Tensor] = dict(side or {})


@dataclass(frozen=True)
class Setup:
    """Everything that an adapter is made from; :func:`codec_adapters.load` has checked it."""

    spec: CodecSpec
    options: Mapping[str, OptionValue]
    """All inference options of the variant, each of the type of its default."""
    checkpoint: Path | None
    """Folder in the codec's official file layout; ``None`` only for variants that name no checkpoint."""
    device: torch.device
    dtype: torch.dtype
    """For the networks; quantizer searches stay in float32."""

    @property
    def folder(self) -> Path:
        """The checkpoint folder of a codec with weights.

        Raises:
            CheckpointError: there is none.
        """
        if self.checkpoint is None:
            raise CheckpointError(f"{self.spec.name}: needs a checkpoint folder")
        return self.checkpoint

    def file(self, *patterns: str) -> Path:
        """Return the checkpoint's file whose official name matches one of ``patterns``, or the one that fits the first.

        Raises:
            CheckpointError: no such file, or several that match the first pattern, none of the official name.
        """
        return find_file(self.folder, weights.official_files(self.spec.checkpoint, *patterns)[0], only=patterns[0])

    def codebooks(self, available: int, least: int = 1) -> int:
        """Return how many of a checkpoint's codebooks are used, the first ones: the option ``codebooks``.

        Where the option has its default and the checkpoint has fewer codebooks than that, all of them are used.

        Args:
            available: codebooks of the checkpoint.
            least: fewest that the codec runs with.

        Raises:
            OptionError: the option is not the default, and not from ``least`` to ``available``.
        """
        wanted = int(self.options["codebooks"])
        if wanted == self.spec.options["codebooks"]:
            return min(wanted, available)
        if not least <= wanted <= available:
            raise OptionError(f"{self.spec.name}: codebooks must be {least} to {available}, got {wanted}")
        return wanted


class Adapter(ABC):
    """An adapter: runs one variant of one codec.

    Subclasses load their network in ``__init__`` and implement the ``_encode`` / ``_decode`` pair (and
    ``_resynthesize`` where upstream's one-call path differs from the pair). What :meth:`_code_form` states of the codes
    is checked before ``_decode`` gets them. Adapters hold no state between calls and
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
        """Sample rate of input and output, Hz, of the network that is loaded."""

    @property
    @abstractmethod
    def hop(self) -> int:
        """Samples per frame of the finest codebook."""

    @property
    @abstractmethod
    def codebooks(self) -> int:
        """Number of codebooks in use."""

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
        """The codec itself pads an input with zeros to a multiple of this many samples."""
        return self.hop

    @torch.inference_mode()
    def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Encode and decode speech, as the upstream's own inference does.

        Args:
            wav: float32 ``[batch, samples]`` at :attr:`sample_rate`, nominal range [-1, 1], equal lengths.
            seeds: one int per item for codecs with a random step; ``None`` is 0 for each.

        Returns:
            float32 ``[batch, samples_out]`` on the adapter's device. ``samples_out`` is the upstream's own.

        Raises:
            InputError: wrong type, shape or number of seeds.
            OutputError: an external codec failed, or the codec gave no waveform for each item.
            WorkerError, WorkerRefusedError: an isolated codec failed.
        """
        wav = self._checked(wav)
        out = self._resynthesize(wav, self._checked_seeds(seeds, wav.shape[0]))
        if not isinstance(out, Tensor) or not out.is_floating_point() or out.ndim != 2 or len(out) != len(wav):
            raise OutputError(f"{self.spec.name}: gave {shown(out)}, expected float32 [{len(wav)}, samples]")
        return out

    @torch.inference_mode()
    def encode(self, wav: Tensor) -> Codes:
        """Encode speech.

        Args:
            wav: as of :meth:`resynthesize`.

        Returns:
            int64 ``[batch, codebooks_i, frames_i]`` for each scale.

        Raises:
            InputError: wrong type or shape, or the codec has no codes (an isolated one, one of continuous latents).
        """
        return self._encode(self._checked(wav))

    @torch.inference_mode()
    def decode(self, codes: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Tensor:
        """Decode codes.

        Args:
            codes: int64 ``[batch, codebooks_i, frames_i]`` for each scale, as :meth:`encode` returns them.
            seeds: as of :meth:`resynthesize`.

        Returns:
            float32 ``[batch, samples]``, of whole frames: codes do not tell the input's length.

        Raises:
            InputError: wrong type, shape or number of seeds; another number of scales, codebooks or frames; a code that
                is no entry of its codebook; or the codec has no codes.
        """
        name = self.spec.name
        check_tensors(name, codes)
        batch = codes[0].shape[0]
        side = codes.side if isinstance(codes, Codes) else {}
        check_side(name, side, batch)
        if form := self._code_form():
            check_codes(name, codes, form)
        on_device = Codes(
            [c.to(self.device) for c in codes], {key: value.to(self.device) for key, value in side.items()}
        )
        return self._decode(on_device, self._checked_seeds(seeds, batch))

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return self._decode(self._encode(wav), seeds)[:, : wav.shape[1]]

    def _code_form(self) -> CodeForm | None:
        """Return what codes the codec takes; ``None`` where that is not known."""
        return None

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

    def _checked_seeds(self, seeds: Sequence[int] | None, batch: int) -> list[int]:
        if seeds is None:
            return [0] * batch
        try:
            numbers = [operator.index(seed) for seed in seeds]
        except TypeError as error:
            raise InputError(f"{self.spec.name}: seeds must be one int per item ({error})") from error
        if len(numbers) != batch:
            raise InputError(f"{self.spec.name}: {len(numbers)} seeds for a batch of {batch}; give one per item")
        return numbers
