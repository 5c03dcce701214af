"""Causal convolutions whose left context may be silence's, as a streaming codec's is when a file begins.

A streaming codec keeps, per layer, the last input frames that the next chunk still needs. Here that state is a
constant, measured once at load (:func:`keep_context_of`) and put before every signal: nothing changes between calls,
any batch shares it, and a whole file is one chunk.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import pad


class CausalLayer(nn.Module):
    """A layer that reads ``left`` input frames before the signal.

    ``context``: ``[1, channels, left]``, those frames; ``None`` where the layer makes its own. Frames are the last
    axis; there may be one of height 1 before it (:mod:`codec_adapters.layers.channels_last`).
    """

    context: Tensor | None

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left
        self.register_buffer("context", None, persistent=False)

    def extended(self, hidden: Tensor) -> Tensor:
        """``hidden`` ``[batch, channels, frames]`` with its left context before it."""
        padded = pad(hidden, (self.left, 0))  # keeps the memory layout, which a concatenation would not
        context = self._own_context(hidden) if self.context is None else self.context
        if context is not None:
            padded[..., : self.left] = context
        return padded

    def _own_context(self, hidden: Tensor) -> Tensor | None:
        return None


class CausalConv1d(CausalLayer):
    """Convolution in which frame ``i`` of the output sees input up to frame ``i * stride`` only.

    Its own left context is zeros. ``frames`` become ``ceil(frames / stride)``.
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
    """Transposed convolution of kernel ``2 * stride``: a frame makes its samples from itself and the frame before.

    Its own left context is the first frame once more. ``frames`` become ``frames * stride``.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, bias: bool = True) -> None:
        super().__init__(1)
        # torch's padding takes `stride` samples off both ends, where a frame's neighbour is missing
        self.deconv = nn.ConvTranspose1d(
            channels_in, channels_out, 2 * stride, stride=stride, padding=stride, bias=bias
        )

    def _own_context(self, hidden: Tensor) -> Tensor:
        return hidden[..., :1]

    def forward(self, hidden: Tensor) -> Tensor:
        output: Tensor = self.deconv(self.extended(hidden))
        return output


def keep_context_of(network: nn.Module, signal: Tensor) -> Tensor:
    """Give every causal layer of ``network`` the context that it holds after ``signal`` has streamed through.

    Args:
        signal: the network's input, batch of one; it streams into a network whose contexts are all zero.

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
