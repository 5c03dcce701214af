"""The source-tracing models, and how to build one."""

from __future__ import annotations

from typing import assert_never

from codec_adapters.files.weights import sha256_of
from codecfake_builder.benchmark.models.base import Traced, TracingModel
from codecfake_builder.benchmark.models.config import (
    AasistConfig,
    AnyModelConfig,
    MelLcnnConfig,
    ResnetConfig,
    W2v2AasistConfig,
)

__all__ = ["AnyModelConfig", "Traced", "TracingModel", "build_model", "frozen_hash"]


def frozen_hash(config: AnyModelConfig) -> str:
    """sha256 of the frozen network that a model is built on, which its checkpoints do not hold; empty where none is.

    Raises:
        CheckpointError: it is not there.
    """
    if not isinstance(config, W2v2AasistConfig):
        return ""
    from codecfake_builder.benchmark.models.pretrained import ssl_weights

    return sha256_of(ssl_weights(config))


def build_model(config: AnyModelConfig, classes: int) -> TracingModel:
    """A model with fresh weights; XLS-R, where the model has one, with its official ones.

    Args:
        classes: number of logits.

    Raises:
        CheckpointError: XLS-R is neither in the cache nor to be fetched, or its files are damaged.
    """
    match config:
        case MelLcnnConfig():
            from codecfake_builder.benchmark.models.mel_lcnn import MelLcnn

            return MelLcnn(config, classes)
        case AasistConfig():
            from codecfake_builder.benchmark.models.aasist import Aasist

            return Aasist(config, classes)
        case W2v2AasistConfig():
            from codecfake_builder.benchmark.models.pretrained import w2v2_aasist

            return w2v2_aasist(config, classes)
        case ResnetConfig():
            from codecfake_builder.benchmark.models.resnet import Resnet

            return Resnet(config, classes)
    assert_never(config)
