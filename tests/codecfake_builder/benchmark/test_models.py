"""The tracing models against recorded outputs of the published code, and their released checkpoint formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import Wav2Vec2Config

from codec_adapters.errors import CheckpointError
from codecfake_builder.benchmark.clips import repeat_or_crop
from codecfake_builder.benchmark.models import build_model
from codecfake_builder.benchmark.models.aasist import Aasist, sinc_filters
from codecfake_builder.benchmark.models.config import AasistConfig, MelLcnnConfig, ResnetConfig, W2v2AasistConfig
from codecfake_builder.benchmark.models.mel_lcnn import MelLcnn
from codecfake_builder.benchmark.models.released import XLS_R_SIZES, load_released
from codecfake_builder.benchmark.models.w2v2_aasist import FrozenWav2Vec2, W2v2Aasist, W2vAasistHead, standardise
from codecfake_builder.benchmark.models.xls_r import w2v2_aasist

STATE = "anti-spoofing_feat_model.pt"


@pytest.fixture(scope="module")
def ncst(shared: Path) -> Path:
    return shared / "goldens" / "ncst"


def read_case(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    return json.loads((folder / "case.json").read_text()), load_file(folder / "io.safetensors")


def waves(io: dict[str, Tensor]) -> Tensor:
    count = sum(key.startswith("pcm16.") for key in io)
    pcm = [io[f"pcm16.{item}"].numpy().astype(np.float32) / np.float32(32768) for item in range(count)]
    return torch.stack([torch.from_numpy(repeat_or_crop(item, 64600)) for item in pcm])


def graph_sizes(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "widths": (config["filts"][1][1], config["filts"][4][1]),
        "gat_dims": tuple(config["gat_dims"]),
        "pool_ratios": tuple(config["pool_ratios"][:3]),
        "temperatures": tuple(config["temperatures"][:3]),
    }


def furthest(ours: Tensor, golden: Tensor) -> float:
    assert ours.shape == golden.shape
    return float((ours - golden).abs().max())


@torch.no_grad()
def test_mel_lcnn_golden(ncst: Path) -> None:
    case, io = read_case(ncst / "mel_lcnn")
    sizes = case["config"]
    config = MelLcnnConfig(channels=tuple(sizes["conv_out"]), hidden=sizes["fc_hidden"], embedding=sizes["embedding"])
    model = load_released(ncst / "mel_lcnn" / "checkpoint" / STATE, config)
    features = model.features(waves(io))
    golden_mel = io["mel_item1_every8"]
    torch.testing.assert_close(features[1, :, ::8], golden_mel, rtol=case["tolerance"]["mel_rel"], atol=1e-6)
    embedding, logits = model.classify(features)
    assert furthest(embedding, io["embedding"]) <= case["tolerance"]["embedding_max_abs"]
    assert furthest(logits, io["logits"]) <= case["tolerance"]["logits_max_abs"]


@pytest.mark.slow
@torch.no_grad()
def test_aasist_golden(ncst: Path) -> None:
    case, io = read_case(ncst / "aasist")
    tolerance = case["tolerance"]
    config = AasistConfig(**graph_sizes(case["config"]))
    model = load_released(ncst / "aasist" / "checkpoint" / STATE, config)
    assert isinstance(model, Aasist)
    assert furthest(sinc_filters(70, 128), io["sinc_filters"]) <= tolerance["sinc_filters_max_abs"]
    features = model.features(waves(io))
    assert furthest(features[1, :, ::64], io["pooled_item1_every64"]) <= tolerance["pooled_max_abs"]
    assert furthest(model.encode(features)[1], io["encoder_item1"]) <= tolerance["encoder_item1_max_abs"]
    embedding, logits = model.classify(features)
    assert furthest(embedding, io["embedding"]) <= tolerance["embedding_max_abs"]
    assert furthest(logits, io["logits"]) <= tolerance["logits_max_abs"]


@pytest.mark.slow
@torch.no_grad()
def test_aasist_l_with_its_released_weights_on_real_speech(ncst: Path) -> None:
    case, io = read_case(ncst / "aasist_l_real")
    model = load_released(ncst / "aasist_l_real" / "checkpoint" / "AASIST-L.pth")
    embedding, logits = model(waves(io))
    assert furthest(embedding, io["embedding"]) <= case["tolerance"]["embedding_max_abs"]
    assert furthest(logits, io["logits"]) <= case["tolerance"]["logits_max_abs"]


@torch.no_grad()
def test_w2v2_head_golden(ncst: Path) -> None:
    case, io = read_case(ncst / "w2v2_aasist_head")
    head = W2vAasistHead(W2v2AasistConfig(**graph_sizes(case["config"])), 7, case["config"]["feature_dim"]).eval()
    head.load_state_dict(torch.load(ncst / "w2v2_aasist_head" / "checkpoint" / STATE, weights_only=True))
    embedding, logits = head(io["features"])
    assert furthest(embedding, io["embedding"]) <= case["tolerance"]["embedding_max_abs"]
    assert furthest(logits, io["logits"]) <= case["tolerance"]["logits_max_abs"]


@pytest.mark.parametrize(("over", "suffix"), [("batch", "joint"), ("utterance", "single")])
@torch.no_grad()
def test_w2v2_aasist_golden(ncst: Path, over: Literal["utterance", "batch"], suffix: str) -> None:
    case, io = read_case(ncst / "w2v2_aasist")
    tolerance = case["tolerance"]
    folder = ncst / "w2v2_aasist" / "checkpoint"
    wave = waves(io) * io["gain"][:, None]
    config = W2v2AasistConfig(**graph_sizes(case["config"]), standardise=over, ssl=str(folder / "ssl"))
    model = load_released(folder / STATE, config)
    if over == "batch":
        assert furthest(standardise(wave, over)[:, ::64], io["input_values_joint_every64"]) <= 1e-4
    features = model.features(wave)
    assert furthest(features[:, ::4], io[f"hidden5_{suffix}_every4"]) <= tolerance["hidden5_max_abs"]
    embedding, logits = model.classify(features)
    assert furthest(embedding, io[f"embedding_{suffix}"]) <= tolerance["embedding_max_abs"]
    assert furthest(logits, io[f"logits_{suffix}"]) <= tolerance["logits_max_abs"]
    from_hub = w2v2_aasist(config, 7).train()
    torch.testing.assert_close(from_hub.features(wave), features)
    assert not any(parameter.requires_grad for parameter in from_hub.wav2vec2.parameters())
    assert not any(key.startswith("wav2vec2.") for key in from_hub.own_state())


def test_states_have_the_official_names_and_shapes(ncst: Path) -> None:
    official = json.loads((ncst / "official_state.json").read_text())
    with torch.device("meta"):
        models = {
            "Mel-LCNN": MelLcnn(MelLcnnConfig(), 7),
            "AASIST": Aasist(AasistConfig(), 7),
            "W2V2-AASIST": W2v2Aasist(
                W2v2AasistConfig(), 7, FrozenWav2Vec2(Wav2Vec2Config(**XLS_R_SIZES, num_hidden_layers=24))
            ),
        }
    for name, model in models.items():
        ours = {key: list(value.shape) for key, value in model.state_dict().items()}
        assert ours == official[name][STATE][""], name


def test_published_sizes() -> None:
    models = [
        build_model(MelLcnnConfig(), 7),
        build_model(AasistConfig(), 7),
        W2vAasistHead(W2v2AasistConfig(), 7, 1024),
    ]
    counts = [sum(parameter.numel() for parameter in model.parameters()) for model in models]
    assert counts == [973_799, 298_671, 448_047]


def test_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"layer.weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=r"x\.pt: no Mel-LCNN, AASIST or W2V2-AASIST"):
        load_released(path)
    torch.save(build_model(AasistConfig(gat_dims=(8, 8)), 7).state_dict(), path)
    with pytest.raises(CheckpointError, match=r"x\.pt: does not fit, has wrongly shaped master1"):
        load_released(path)
    with pytest.raises(CheckpointError, match="expected mel_lcnn"):
        load_released(path, MelLcnnConfig())


SMALL_RESNET = ResnetConfig(samples=8000, channels=(4, 6, 8), blocks=(1, 2, 1), bottleneck=4, embedding=10)


@torch.no_grad()
def test_resnet_looks_at_each_clip_alone_and_not_at_its_level() -> None:
    torch.manual_seed(0)
    model = build_model(SMALL_RESNET, 5).eval()
    wave = torch.randn(3, 8000) * 0.1
    traced = model(wave)
    assert traced.embedding.shape == (3, 10)
    assert traced.logits.shape == (3, 5)
    assert furthest(model(wave[:1]).logits, traced.logits[:1]) < 1e-5
    assert furthest(model(wave * 0.25).logits, traced.logits) < 1e-4
    assert furthest(model(wave.flip(1)).logits, traced.logits) > 1e-3
    assert torch.isfinite(model(torch.zeros(1, 8000)).logits).all()


def test_resnet_learns_from_every_parameter() -> None:
    torch.manual_seed(0)
    model = build_model(SMALL_RESNET, 5).train()
    model(torch.randn(4, 8000)).logits.square().sum().backward()
    still = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert still == []
    unmoved = [name for name, own in model.named_parameters() if own.grad is not None and not own.grad.any()]
    assert unmoved == []


def test_resnet_of_unequal_stages_is_refused() -> None:
    with pytest.raises(ValueError, match="3 stages in channels, 2 in blocks"):
        ResnetConfig(channels=(4, 6, 8), blocks=(1, 2))
