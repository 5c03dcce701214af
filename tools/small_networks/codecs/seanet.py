"""SEANet at a few channels, as several families have it."""

from __future__ import annotations

from typing import Any

from torch import nn

from tools.small_networks.state_dicts import (
    TensorDict,
    weight_normed,
)


def seanet_settings(filters: int, dimension: int, ratios: tuple[int, ...]) -> Any:
    """Settings of a SEANet with one LSTM layer, the rest as the family has it."""
    from codec_adapters.layers.seanet_settings import SeanetSettings

    steps = tuple((ratio,) for ratio in ratios)
    return SeanetSettings(filters=filters, dimension=dimension, ratios=steps, lstm_layers=1)


def seanet_state(network: nn.Module) -> TensorDict:
    """A SEANet's tensors, convolutions weight-normed, less codebooks."""
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("quantizer.embed")}
    return weight_normed(state, lambda layer: layer.endswith((".conv", ".convtr")))
