"""The layers of HiFi-GAN-type codecs against what they stand for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from codec_adapters.layers.causal import CausalConv1d, CausalConvTranspose1d, keep_context_of
from codec_adapters.layers.channels_last import ChannelsLast, fastest_layout
from codec_adapters.layers.hifigan import GroupedFusion, ResidualBlock, fused, split_groups
from codec_adapters.layers.quantization import GroupedResidualVectorQuantizer, ResidualVectorQuantizer
from codec_adapters.layers.weight_norm import folded_state


def causal_stack() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        CausalConv1d(1, 4, 7, dilation=2),
        CausalConv1d(4, 8, 6, stride=3),
        nn.ELU(),
        CausalConvTranspose1d(8, 4, 3),
        CausalConv1d(4, 1, 3),
    ).requires_grad_(False)


def test_kept_context_is_what_streaming_leaves() -> None:
    stack = causal_stack()
    silence, wav = torch.zeros(1, 1, 300), torch.randn(3, 1, 90, generator=torch.Generator().manual_seed(1))
    plain = stack(wav)
    keep_context_of(stack, silence)
    streamed = stack(wav)
    keep_context_of(stack, torch.zeros(1, 1, 3))
    whole = stack(torch.cat([silence.expand(3, -1, -1), wav], dim=2))[:, :, 300:]
    assert torch.allclose(streamed, whole, atol=1e-6)
    assert not torch.allclose(plain, whole, atol=1e-3)


def test_causal_layers_do_not_look_ahead() -> None:
    stack = causal_stack()
    wav = torch.randn(1, 1, 91, generator=torch.Generator().manual_seed(2))
    assert stack(wav).shape == (1, 1, 93)
    later = wav.clone()
    later[:, :, 60:] = 0.0
    assert torch.equal(stack(wav)[:, :, :60], stack(later)[:, :, :60])


def test_transposed_convolution_begins_with_its_first_frame_twice() -> None:
    layer = CausalConvTranspose1d(2, 2, 4).requires_grad_(False)
    hidden = torch.randn(1, 2, 5, generator=torch.Generator().manual_seed(3))
    twice = torch.cat([hidden[:, :, :1], hidden], dim=2)
    expected = nn.functional.conv_transpose1d(twice, layer.deconv.weight, layer.deconv.bias, stride=4)[:, :, 4:-4]
    assert torch.allclose(layer(hidden), expected, atol=1e-6)


def test_grouped_fusion_is_a_grouped_block() -> None:
    torch.manual_seed(4)
    grouped = ResidualBlock(12, 3, (1, 3), groups=3).requires_grad_(False)
    conv_out = nn.Conv1d(12, 4, 1, bias=False).requires_grad_(False)
    fusion = GroupedFusion(4, [ResidualBlock(4, 3, (1, 3)) for _ in range(3)]).requires_grad_(False)
    state = {f"x.{key}": value for key, value in grouped.state_dict().items()} | {"x.conv_out.weight": conv_out.weight}
    fusion.load_state_dict({key.removeprefix("x."): value for key, value in split_groups(state, 3).items()})
    hidden = torch.randn(2, 4, 20)
    assert torch.allclose(fusion(hidden), conv_out(grouped(hidden.repeat(1, 3, 1))), atol=1e-6)


def test_residual_blocks_and_their_mean() -> None:
    torch.manual_seed(5)
    paired = ResidualBlock(4, 3, (1, 3)).requires_grad_(False)
    single = ResidualBlock(4, 5, (1, 2), paired=False, slope=0.3).requires_grad_(False)
    hidden = torch.randn(2, 4, 20)
    kept = hidden.clone()
    expected = hidden
    for step in range(2):
        branch = paired.convs1[step](leaky_relu(expected, 0.1))
        assert paired.convs2 is not None
        expected = expected + paired.convs2[step](leaky_relu(branch, 0.1))
    other = hidden
    for conv in single.convs1:
        other = other + conv(leaky_relu(other, 0.3))
    assert torch.allclose(paired(hidden), expected, atol=1e-6)
    assert torch.allclose(fused([paired, single], hidden), (expected + other) / 2, atol=1e-6)
    assert torch.equal(hidden, kept)


def test_channels_last_changes_nothing() -> None:
    def stack() -> nn.Sequential:
        torch.manual_seed(6)
        return nn.Sequential(
            nn.Conv1d(1, 8, 7, padding=3),
            ResidualBlock(8, 3, (1, 3)),
            nn.GroupNorm(2, 8),
            nn.Conv1d(8, 16, 4, stride=2, padding=1, bias=False),
            nn.ConvTranspose1d(16, 1, 4, stride=2, padding=1),
        ).requires_grad_(False)

    wav = torch.randn(2, 1, 50)
    assert torch.allclose(ChannelsLast(stack())(wav), stack()(wav), atol=1e-6)
    assert isinstance(fastest_layout(stack(), torch.device("cpu")), ChannelsLast)
    for narrow in (nn.Conv1d(8, 4, 1), nn.ReLU()):
        assert not isinstance(fastest_layout(nn.Sequential(narrow), torch.device("cpu")), ChannelsLast)


def test_grouped_quantizer_orders_codes_by_stage() -> None:
    torch.manual_seed(7)
    quantizer = GroupedResidualVectorQuantizer(groups=2, stages=3, entries=16, dim=8)
    for group in quantizer.groups:
        assert isinstance(group, ResidualVectorQuantizer)
        group.embed.normal_()
    latent = torch.randn(2, 8, 5)
    codes = quantizer.encode(latent)
    alone = [group.encode(part) for group, part in zip(quantizer.groups, latent.chunk(2, dim=1), strict=True)]  # type: ignore[operator]
    assert torch.equal(codes, torch.stack(alone, dim=2).flatten(1, 2))
    assert torch.equal(codes[:, 3], alone[1][:, 1])
    expected: Tensor = torch.cat([g.decode(own) for g, own in zip(quantizer.groups, alone, strict=True)], dim=1)  # type: ignore[operator]
    assert torch.equal(quantizer.decode(codes), expected)


def test_gains_that_do_not_fit_are_left_for_the_strict_load() -> None:
    state = {"a.weight_v": torch.zeros(2, 3, 1), "a.weight_g": torch.ones(5, 1, 1), "b.weight_v": torch.tensor(1.0)}
    assert folded_state(state).keys() == state.keys()
