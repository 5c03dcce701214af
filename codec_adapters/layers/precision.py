"""Half precision where it is safe: convolution stacks, never quantizer searches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class InPrecision(nn.Module):
    """Runs ``module`` in ``dtype``, its parts of the kinds ``float32`` in that; tensors come in and go out as float32.

    A part that stays float32 must cast its own input and output.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype, float32: tuple[type[nn.Module], ...] = ()) -> None:
        super().__init__()
        self.module = module
        _convert(module, dtype, float32)
        self.dtype = dtype

    def forward(self, hidden: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        output: Tensor = self.module(hidden.to(self.dtype), *args, **kwargs)
        return output.float()


def _convert(module: nn.Module, dtype: torch.dtype, float32: tuple[type[nn.Module], ...]) -> None:
    if isinstance(module, float32):
        return
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)
    for child in module.children():
        _convert(child, dtype, float32)


def in_precision(module: nn.Module, dtype: torch.dtype, float32: tuple[type[nn.Module], ...] = ()) -> nn.Module:
    """``module`` itself for float32, else a wrapper that runs it in ``dtype``, parts of the kinds ``float32`` aside."""
    return module if dtype == torch.float32 else InPrecision(module, dtype, float32)
