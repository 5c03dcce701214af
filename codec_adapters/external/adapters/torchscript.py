"""Adapter of backend ``torchscript``: ``encode`` and ``decode`` where the module has both, else the round trip.

A TorchScript archive is a program for torch's own interpreter. It cannot run Python; an archive that
calls an operator which reads or writes files, or one of another library, is refused before it is loaded.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codec_adapters.base import Setup
from codec_adapters.errors import CheckpointError
from codec_adapters.external.adapters.code_order import code_form, from_order, to_order
from codec_adapters.external.adapters.functions import (
    Functions,
    FunctionsAdapter,
    failing_clips,
    is_codes,
    last_line,
    seeded,
)
from codec_adapters.external.axes import CodeOrder, WaveLayout
from codec_adapters.files.zip_archives import packed, read_members

_TOUCHES_FILES = re.compile(
    rb"\b(?:torch|ops\.aten)\.(from_file|save|load)\(|\bops\.(?!prim\b|aten\b|quantized\b)\w+\.(\w+)\("
)
_ORIGINAL_SOURCE = ".debug_pkl"
"""Suffix of members that quote the Python source for error messages; they are no program."""


def make_adapter(setup: Setup, path: Path, layout: WaveLayout, codes: CodeOrder | None) -> FunctionsAdapter:
    """Make the adapter of a TorchScript module.

    Args:
        path: of the archive.
        layout: axes of the waveforms that it takes.
        codes: order of the codes' axes; ``None`` finds it.

    Raises:
        CheckpointError: no TorchScript archive, one that touches files or needs a library, or the order of its codes
            cannot be found.
    """
    name = setup.spec.name
    module = _loaded(path, setup)
    if not (hasattr(module, "encode") and hasattr(module, "decode")):

        def round_trip(wav: Tensor, seeds: Any) -> Any:
            with seeded(seeds[0], setup.device), failing_clips(name):
                return module(_laid_out(wav, layout))

        return FunctionsAdapter(setup, Functions(round_trip=round_trip))

    def raw(wav: Tensor) -> Any:
        return _only(module.encode(_laid_out(wav, layout)))

    try:
        with torch.inference_mode(), seeded(0, setup.device):
            order, codebooks = code_form(setup, raw, codes, setup.device)
    except (RuntimeError, torch.jit.Error) as error:
        raise CheckpointError(
            f"{path}: encode fails on silence as {layout} ({last_line(error)}); "
            "torchscript.layout may be the other one, BS or BCS"
        ) from error

    def encode(wav: Tensor) -> Any:
        with failing_clips(name):
            codes = raw(wav)
        return from_order(name, codes, order) if order else codes

    takes = len(module.decode.schema.arguments) - 1  # the module itself is one

    def decode(codes: Any) -> Any:
        with failing_clips(name):
            if isinstance(codes, tuple) and len(codes) == takes > 1:
                return module.decode(*codes)
            return module.decode(to_order(codes, order) if order and is_codes(codes) else codes)

    return FunctionsAdapter(setup, Functions(encode=encode, decode=decode, codebooks=codebooks))


def _loaded(path: Path, setup: Setup) -> Any:
    """Check an archive and load it; raises as :func:`make_adapter` does."""
    members = read_members(path)
    for member, data in members.items():
        found = None if member.endswith(_ORIGINAL_SOURCE) else _TOUCHES_FILES.search(data)
        if found:
            call = found[0].decode("utf-8", "replace")
            raise CheckpointError(f"{path}: refused, since it calls {call}...), which is no arithmetic of torch's own")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit as a whole
            torch.jit.set_fusion_strategy([])  # kernels fused after the first runs would round otherwise than those
            return torch.jit.load(packed(members), map_location=setup.device).eval()
    except Exception as error:  # torch raises many kinds for what it cannot read
        raise CheckpointError(f"{path}: no TorchScript archive that can be loaded ({last_line(error)})") from error


def _laid_out(wav: Tensor, layout: WaveLayout) -> Tensor:
    return wav[:, None] if layout == "BCS" else wav


def _only(made: Any) -> Any:
    return made[0] if isinstance(made, list | tuple) and len(made) == 1 else made
