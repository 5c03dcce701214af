"""The anti-aliased activation against its definition: up by two, activate, down by two."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose1d, pad

from codec_adapters.layers.alias_free import AliasFreeSnake, folded_activations


def _state(channels: int, taps: int) -> dict[str, Tensor]:
    """Parameters as a checkpoint stores them; the filters differ and are not symmetric, so that their sides show."""
    torch.manual_seed(taps)
    state = {".act.alpha": torch.randn(channels), ".act.beta": torch.randn(channels)}
    return {**state, ".upsample.filter": torch.rand(1, 1, taps), ".downsample.lowpass.filter": torch.rand(1, 1, taps)}


def _defined(signal: Tensor, state: dict[str, Tensor]) -> Tensor:
    up, down = state[".upsample.filter"], state[".downsample.lowpass.filter"]
    channels, taps = signal.shape[1], up.shape[2]
    margin = taps // 2 - 1
    signal = pad(signal, (margin, margin), mode="replicate")
    signal = 2 * conv_transpose1d(signal, up.repeat(channels, 1, 1), stride=2, groups=channels)
    cut = 2 * margin + taps // 2 - 1
    signal = signal[..., cut:-cut]
    alpha, beta = state[".act.alpha"].exp()[:, None], state[".act.beta"].exp()[:, None]
    signal = signal + (alpha * signal).sin() ** 2 / (beta + 1e-9)
    signal = pad(signal, (margin, margin + 1), mode="replicate")
    return conv1d(signal, down.repeat(channels, 1, 1), stride=2, groups=channels)


@pytest.mark.parametrize("taps", [4, 8, 12])
@pytest.mark.parametrize("samples", [1, 2, 5, 40])
def test_is_what_it_is_defined_as(taps: int, samples: int) -> None:
    state = _state(3, taps)
    layer = AliasFreeSnake(3, taps)
    layer.load_state_dict({key.removeprefix("."): value for key, value in folded_activations(state).items()})
    signal = torch.randn(2, 3, samples)
    kept = signal.clone()
    with torch.inference_mode():
        assert torch.allclose(layer(signal), _defined(signal, state), atol=1e-4)
    assert torch.equal(signal, kept)


@pytest.mark.parametrize("taps", [0, 6, 11])
def test_other_filters_are_refused(taps: int) -> None:
    with pytest.raises(ValueError, match=f"not {taps}"):
        AliasFreeSnake(3, taps)
