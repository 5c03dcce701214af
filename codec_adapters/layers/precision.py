"""Half precision for convolution stacks. Quantizer searches stay in float32: a rounding there changes codes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class InPrecision(nn.Module):
    """Wrapper that runs ``module`` in ``dtype``; its input and output are float32.

    Args:
        float32: classes of submodules that stay in float32. Such a submodule must cast its own input and output.
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
    """Cast the floating-point tensors of ``module`` to ``dtype``, except below modules of the classes ``float32``."""
    if isinstance(module, float32):
        return
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)
    for child in module.children():
        _convert(child, dtype, float32)


def in_precision(module: nn.Module, dtype: torch.dtype, float32: tuple[type[nn.Module], ...] = ()) -> nn.Module:
    """Return ``module`` itself if ``dtype`` is float32, else ``module`` wrapped in :class:`InPrecision`."""
    return module if dtype == torch.float32 else InPrecision(module, dtype, float32)
