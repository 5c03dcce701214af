"""Weight normalisation at inference: it is folded into plain weights once, at load."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize

_SPELLINGS = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)


def fold_weight_norm(module: nn.Module) -> None:
    """Replace every weight-normalised weight ``g * v / |v|`` in ``module`` by its value, in place."""
    for part in module.modules():
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)


def folded_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` with each pair (g, v), under torch's old or new names, replaced by ``<layer>.weight``.

    The norm is over all axes but the first, torch's default; for transposed convolutions the first axis is the input
    channel. All other tensors are passed on unchanged.
    """
    plain = dict(state)
    for suffix_g, suffix_v in _SPELLINGS:
        for key_v in [key for key in state if key.endswith(suffix_v)]:
            layer = key_v.removesuffix(suffix_v)
            direction = state[key_v]
            gain = state.get(layer + suffix_g)
            norm_shape = [*direction.shape[:1], *[1] * (direction.ndim - 1)]
            is_direction = direction.ndim >= 2 and direction.is_floating_point()
            if gain is None or not is_direction or list(gain.shape) != norm_shape:
                continue  # not a pair; if it should be one, the strict load reports it
            norm = direction.flatten(1).norm(dim=1).view(norm_shape)
            plain[f"{layer}.weight"] = direction * (gain / norm)
            del plain[key_v], plain[layer + suffix_g]
    return plain
