"""Load codecs of a catalogue: check options, device, precision and checkpoint, then let the provider load."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from codec_adapters.entry import Entry
from codec_adapters.errors import CheckpointError, CodecfakeError, OptionError
from codec_adapters.files import weights
from codec_adapters.spec import AlmSpec, CodecSpec, OptionValue

if TYPE_CHECKING:
    import torch

    from codec_adapters.base import Adapter

Options = Mapping[str, OptionValue]


def load_codec(
    entry: Entry,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    options: Options | None = None,
) -> Adapter:
    """Load a codec variant, ready to run; arguments and errors as of :func:`codec_adapters.load`."""
    from codec_adapters.base import Setup

    spec = entry.spec
    assert isinstance(spec, CodecSpec)
    merged = merged_options(spec, options)
    target, precision = checked_target(spec.name, device, dtype)
    folder = checkpoint_folder(spec, checkpoint)
    with explained(spec.name, folder):
        adapter: Adapter = entry.provider.load(Setup(spec, merged, folder, target, precision))
    _refuse_impossible(spec.name, adapter)
    return adapter


@contextmanager
def explained(name: str, folder: Path | None) -> Iterator[None]:
    """Turn what loading raises in this context into one line: a checkpoint's values, or added code, may lead anywhere.

    Errors of a device (out of memory, CUDA) and of reading files are raised as they are.

    Args:
        name: of the codec variant or ALM.
        folder: of its checkpoint.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    import torch

    try:
        yield
    except (CodecfakeError, OSError, KeyboardInterrupt, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except BaseException as error:
        if "CUDA" in str(error):
            raise
        reason = " ".join(str(error).split())[:300]
        said = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        raise CheckpointError(f"{name}: cannot be loaded{f' from {folder}' if folder else ''} ({said})") from error


_FIGURES = {"sample_rate": 1.0, "hop": 1.0, "length_multiple": 1.0, "codebooks": 1.0, "bitrate": 0.0}
"""Least values of what a loaded codec tells of itself."""


def _refuse_impossible(name: str, adapter: Adapter) -> None:
    """Raise :class:`CheckpointError` where a loaded codec tells figures that no codec has."""
    for figure, least in _FIGURES.items():
        try:
            value = float(getattr(adapter, figure))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a config may lead to a division by zero, and an added codec may raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise CheckpointError(f"{name}: its checkpoint or code gives no {figure} ({reason})") from error
        if not least <= value < math.inf:
            raise CheckpointError(
                f"{name}: its checkpoint or code gives {figure} {value:g}; expected {least:g} or more"
            )


def checked_target(name: str, device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    """Return a device and a precision as torch has them.

    Args:
        name: of the codec variant or ALM, for messages.

    Raises:
        OptionError: the device cannot be used, or codecs do not run in that dtype.
    """
    import torch

    if dtype not in ("float32", "bfloat16", "float16"):
        raise OptionError(f"{name}: dtype {dtype!r} is not one of float32, bfloat16, float16")
    try:
        target = torch.device(device)
        torch.empty(0, device=target)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"{name}: device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    return target, getattr(torch, dtype)


def merged_options(spec: CodecSpec | AlmSpec, options: Options | None) -> dict[str, OptionValue]:
    """Return the spec's options with ``options`` in place of their defaults; an int may be given for a float.

    Raises:
        OptionError: an unknown option, or a value of another type than the default.
    """
    merged = dict(spec.options)
    for key, value in (options or {}).items():
        if key not in merged:
            known = ", ".join(merged) or "none"
            raise OptionError(f"{spec.name}: unknown option {key!r}; its options: {known}")
        kind = type(merged[key])
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise OptionError(f"{spec.name}: option {key!r} must be {kind.__name__}, got {value!r}")
        merged[key] = value
    return merged


def checkpoint_folder(spec: CodecSpec | AlmSpec, checkpoint: str | Path | None) -> Path | None:
    """Return the folder to load from: the given one, else the official one; ``None`` for a spec without weights.

    Raises:
        CheckpointError: the folder is not there, or the official weights cannot be had.
    """
    if checkpoint is None:
        return weights.fetch(spec.checkpoint) if spec.checkpoint else None
    folder = Path(checkpoint)
    if not folder.is_dir():
        raise CheckpointError(f"{spec.name}: checkpoint folder {folder} does not exist or is no folder")
    return folder
