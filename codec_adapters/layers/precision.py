"""Half precision where it is safe: convolution stacks, never quantizer searches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class InPrecision(nn.Module):
    """Runs ``module`` in ``dtype``; tensors come in and go out as float32."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module.to(dtype)
        self.dtype = dtype

    def forward(self, hidden: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        output: Tensor = self.module(hidden.to(self.dtype), *args, **kwargs)
        return output.float()


def in_precision(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """``module`` itself for float32, else a wrapper that runs it in ``dtype``."""
    return module if dtype == torch.float32 else InPrecision(module, dtype)
