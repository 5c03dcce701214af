"""Causal convolutions that can start in the state that a streamed signal, such as silence, leaves behind.

A streaming codec keeps, in each layer, the last input frames that the next chunk still needs: the left context. Here
that context is a constant. :func:`keep_context_of` measures it once at load, and every signal starts from it. A whole
file is one chunk, calls change nothing, and all items of a batch share the context.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import pad


class CausalLayer(nn.Module):
    """Layer that reads ``left`` input frames before the start of the signal.

    Buffer ``context`` ``[1, channels, left]`` holds those frames; ``None`` means that the layer's own rule fills them.
    Frames are the last axis. An axis of height 1 may stand before it (:mod:`codec_adapters.layers.channels_last`).
    """

    context: Tensor | None

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left
        self.register_buffer("context", None, persistent=False)

    def extended(self, hidden: Tensor) -> Tensor:
        """Return ``hidden`` ``[batch, channels, frames]`` with the left context put before it."""
        padded = pad(hidden, (self.left, 0))  # unlike a concatenation, padding keeps the memory layout
        context = self._own_context(hidden) if self.context is None else self.context
        if context is not None:
            padded[..., : self.left] = context
        return padded

    def _own_context(self, hidden: Tensor) -> Tensor | None:
        """Return the frames to use where no context is set; ``None`` means zeros."""
        return None


class CausalConv1d(CausalLayer):
    """Causal convolution: output frame ``i`` depends on input frames up to ``i * stride`` only.

    ``[batch, channels_in, frames]`` to ``[batch, channels_out, ceil(frames / stride)]``. Without a set context, the
    left context is zeros.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__((kernel - 1) * dilation)
        self.conv = nn.Conv1d(
            channels_in, channels_out, kernel, stride=stride, dilation=dilation, groups=groups, bias=bias
        )

    def forward(self, hidden: Tensor) -> Tensor:
        output: Tensor = self.conv(self.extended(hidden))
        return output


class CausalConvTranspose1d(CausalLayer):
    """Causal transposed convolution of kernel ``2 * stride``: each output depends on its frame and the one before.

    ``[batch, channels_in, frames]`` to ``[batch, channels_out, frames * stride]``. Without a set context, the left
    context is a copy of the first frame.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, bias: bool = True) -> None:
        super().__init__(1)
        # this padding makes torch cut `stride` samples off both ends, where only one of the two frames contributes
        self.deconv = nn.ConvTranspose1d(
            channels_in, channels_out, 2 * stride, stride=stride, padding=stride, bias=bias
        )

    def _own_context(self, hidden: Tensor) -> Tensor:
        return hidden[..., :1]

    def forward(self, hidden: Tensor) -> Tensor:
        output: Tensor = self.deconv(self.extended(hidden))
        return output


def keep_context_of(network: nn.Module, signal: Tensor) -> Tensor:
    """Set the context of every causal layer in ``network`` to what the layer holds after streaming ``signal``.

    Args:
        signal: input of the network, batch of one. All contexts are zero while it runs through.

    Returns:
        The network's output for ``signal``.
    """
    kept: dict[CausalLayer, Tensor] = {}

    def keep(layer: CausalLayer, inputs: tuple[Tensor]) -> None:
        (hidden,) = inputs
        layer.context = hidden.new_zeros(1, *hidden.shape[1:-1], layer.left)
        seen = layer.extended(hidden)
        kept[layer] = seen.narrow(-1, seen.shape[-1] - layer.left, layer.left).clone()

    layers = [module for module in network.modules() if isinstance(module, CausalLayer)]
    hooks = [layer.register_forward_pre_hook(keep) for layer in layers]
    output: Tensor = network(signal)
    for hook in hooks:
        hook.remove()
    for layer, context in kept.items():
        layer.context = context
    return output
