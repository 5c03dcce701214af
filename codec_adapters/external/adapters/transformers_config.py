"""Read the config of a ``transformers`` codec: its class, sample rate, hop, codebooks and bit rate."""

from __future__ import annotations

import math
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from codec_adapters.errors import CheckpointError
from codec_adapters.files.config import read_json, read_network_config, required_file
from codec_adapters.layers.sinc_resample import resample


def model_class(folder: Path) -> Any:
    """Return the codec class of ``transformers`` that the ``config.json`` in ``folder`` names.

    Raises:
        CheckpointError: it names no class, or one that is no audio codec; the message lists those that are.
    """
    from transformers.models.auto import modeling_auto

    path = required_file(folder, "config.json")
    kind = read_json(path).get("model_type")
    name = modeling_auto.MODEL_MAPPING_NAMES.get(kind) if kind in codec_kinds() else None
    if not isinstance(name, str):
        raise CheckpointError(
            f"{path}: model_type {kind!r} is no audio codec of the installed transformers; those are "
            f"{', '.join(codec_kinds())}"
        )
    return getattr(_module(str(kind)), name)


def codec_kinds() -> list[str]:
    """List the ``model_type`` of every audio codec of the installed ``transformers``."""
    from transformers.models.auto import modeling_auto

    return sorted({*getattr(modeling_auto, "MODEL_FOR_AUDIO_TOKENIZATION_NAMES", ()), "encodec", "mimi", "xcodec"})


def _module(kind: str) -> ModuleType:
    """Return the module of a codec class, with a stand-in for torchaudio where the module imports it.

    Of transformers' codecs, Higgs audio's (``higgs_audio_v2_tokenizer``) alone does, at the module's top and without
    asking whether it is there; it calls nothing but ``functional.resample``, which is this package's own here.
    torchaudio is no dependency, since its wheel fails to load beside a CPU build of torch, and an import that a module
    makes unconditionally can be answered through ``sys.modules`` only. The stand-in is there while this one module is
    imported, so that no other module finds torchaudio installed.
    """
    name = f"transformers.models.{kind}.modeling_{kind}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != "torchaudio":
            raise
    stand_in: Any = ModuleType("torchaudio")
    stand_in.functional = SimpleNamespace(resample=resample)
    sys.modules["torchaudio"] = stand_in
    try:
        return import_module(name)
    finally:
        del sys.modules["torchaudio"]


def figures_of(config: Any, folder: Path, bandwidth: float | None = None) -> dict[str, float]:
    """Return what a config tells of ``sample_rate`` (Hz), ``hop`` (samples), ``codebooks`` and ``bitrate`` (bits/s).

    Args:
        config: of a codec class.
        folder: may hold a ``preprocessor_config.json`` that tells the rate.
        bandwidth: in kbit/s, for classes that take one; ``None`` is their highest.

    Raises:
        CheckpointError: the config has a value from which nothing can be computed.
    """
    try:
        return _figures_of(config, folder, bandwidth)
    except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: tells no sample rate, hop and bit rate ({error})") from error


def config_of(folder: Path) -> Any:
    """Return the configuration of the codec class that the ``config.json`` in ``folder`` names.

    Raises:
        CheckpointError: as of :func:`model_class`; or it has values that the class does not take.
    """
    path = required_file(folder, "config.json")
    read_network_config(path)
    try:
        return model_class(folder).config_class.from_pretrained(folder, local_files_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # transformers raises many kinds for values that it does not take
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path}: is no configuration of its class ({reason})") from error


def _figures_of(config: Any, folder: Path, bandwidth: float | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for key in ("output_sampling_rate", "sampling_rate", "sample_rate"):
        if isinstance(value := getattr(config, key, None), int):
            found.setdefault("sample_rate", value)
    preprocessor = folder / "preprocessor_config.json"
    if "sample_rate" not in found and preprocessor.is_file():
        value = read_json(preprocessor).get("sampling_rate")
        found |= {"sample_rate": value} if isinstance(value, int) else {}
    ratios = getattr(config, "upsampling_ratios", None) or getattr(config, "downsampling_ratios", None)
    for value in (
        getattr(config, "frame_size", None),
        getattr(config, "hop_length", None),
        ratios and math.prod(ratios),
    ):
        if isinstance(value, int):
            found.setdefault("hop", value)
    if config.model_type == "mimi":
        found["hop"] = round(config.sampling_rate / config.frame_rate)
    entries = entries_of(config)
    if entries and "hop" in found and "sample_rate" in found:
        bits, frames = math.log2(entries), found["sample_rate"] / found["hop"]
        count = int(getattr(config, "n_codebooks", 0) or getattr(config, "num_quantizers", 1))
        if bandwidths := getattr(config, "target_bandwidths", None):
            wanted = bandwidths[-1] if bandwidth is None else bandwidth
            count = max(1, int(1000 * wanted // (math.ceil(frames) * bits)))
        found |= {"codebooks": count, "bitrate": count * bits * frames}
    return found


def entries_of(config: Any) -> int | None:
    """Return the number of entries of a codebook; ``None`` for a codec of continuous latents."""
    if levels := getattr(config, "quantization_levels", None):
        return math.prod(levels)
    entries = getattr(config, "codebook_size", None)
    return entries if isinstance(entries, int) else None
