"""Weight normalisation at inference: folded into plain weights once, at load."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize

_SPELLINGS = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)


def fold_weight_norm(module: nn.Module) -> None:
    """Replace every weight-normalised weight ``g * v / |v|`` under ``module`` by its value."""
    for part in module.modules():
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)


def folded_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in which each pair (g, v), in torch's old or new spelling, has become ``<layer>.weight``.

    The norm runs over all axes but the first, which is torch's default; for transposed convolutions that axis is the
    input channel. Everything else passes through.
    """
    plain = dict(state)
    for suffix_g, suffix_v in _SPELLINGS:
        for key_v in [key for key in state if key.endswith(suffix_v)]:
            layer = key_v.removesuffix(suffix_v)
            direction = state[key_v]
            gain = state.get(layer + suffix_g)
            norm_shape = [*direction.shape[:1], *[1] * (direction.ndim - 1)]
            if (
                gain is None
                or direction.ndim < 2
                or list(gain.shape) != norm_shape
                or not direction.is_floating_point()
            ):
                continue  # not a pair: left for the strict load to name
            norm = direction.flatten(1).norm(dim=1).view(norm_shape)
            plain[f"{layer}.weight"] = direction * (gain / norm)
            del plain[key_v], plain[layer + suffix_g]
    return plain
