"""What external codecs return: waveforms, read or refused by one line that says what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codec_adapters.code_form import shown
from codec_adapters.errors import OutputError

_WAVEFORM_NAMES = ("audio_values", "audio", "waveform", "wav", "audio_hat", "sample")
"""Names of the waveform in dictionaries and output classes; the first that is there counts."""


def as_wave(name: str, made: object, batch: int) -> Tensor:
    """Return what a codec made as float32 ``[batch, samples]``; a channel axis of one is removed.

    Args:
        name: of the codec, for messages.
        made: a tensor or a numpy array; a list or tuple of one, or of one for each item; or a dictionary or an output
            class (of ``transformers``, a dataclass) in which the waveform has one of its usual names.
        batch: number of items that it must have.

    Raises:
        OutputError: it is no float waveform of that batch; integers, complex numbers and several outputs are refused.
    """
    wave = _only_tensor(made, batch)
    if wave is not None and wave.ndim == 1 and batch == 1:
        wave = wave[None]
    if wave is not None and wave.ndim == 3 and wave.shape[1] == 1:
        wave = wave[:, 0]
    if wave is None or wave.ndim != 2 or wave.shape[0] != batch or not wave.shape[1] or not wave.is_floating_point():
        raise OutputError(
            f"{name}: gave {shown(made)}, expected a float waveform [{batch}, samples] or [{batch}, 1, samples]"
        )
    return wave.float()


def _only_tensor(made: object, batch: int) -> Tensor | None:
    """Return the one tensor that ``made`` is or holds; ``None`` where there is none, or where there are several."""
    if isinstance(made, np.ndarray):
        return _of_array(made)
    if isinstance(made, Tensor):
        return None if made.is_meta or made.layout != torch.strided else made
    if (parts := named_parts(made)) is not None:
        found = next((parts[key] for key in _WAVEFORM_NAMES if parts.get(key) is not None), None)
        return _only_tensor(next(iter(parts.values())) if len(parts) == 1 else found, batch)
    if not isinstance(made, list | tuple):
        return None
    if len(made) == 1:
        return _only_tensor(made[0], batch)
    items = [_only_tensor(item, 1) for item in made] if isinstance(made, list) and len(made) == batch else []
    waves = [item.reshape(-1) for item in items if item is not None and item.numel() == item.shape[-1]]
    if not items or len(waves) != batch or len({len(wave) for wave in waves}) > 1:
        return None
    return torch.stack(waves)


def _of_array(array: np.ndarray[Any, Any]) -> Tensor | None:
    try:
        return torch.from_numpy(np.ascontiguousarray(array))
    except TypeError:  # of objects, texts, extended precision
        return None


def named_parts(value: Any) -> dict[str, Any] | None:
    """Return the parts of a dictionary or an output class by name, without those that are ``None``; else ``None``.

    >>> named_parts({"codes": 1, "scale": None})
    {'codes': 1}
    """
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type | Mapping):
        value = {key: getattr(value, key, None) for key in value.__dataclass_fields__}
    elif isinstance(value, tuple) and (fields := getattr(value, "_fields", None)):
        value = dict(zip(fields, value, strict=True))
    if not isinstance(value, Mapping):
        return None
    return {str(key): part for key, part in value.items() if part is not None}
