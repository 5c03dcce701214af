"""Source-tracing models: which codec, if any, did a clip pass through?"""

from __future__ import annotations

from typing import assert_never

from codec_adapters.files.hashing import sha256_of
from codecfake_builder.benchmark.models.base import ModelOutput, TracingModel
from codecfake_builder.benchmark.models.config import (
    AasistConfig,
    AnyModelConfig,
    MelLcnnConfig,
    ResnetConfig,
    W2v2AasistConfig,
)

__all__ = ["AnyModelConfig", "ModelOutput", "TracingModel", "build_model", "frozen_hash"]


def frozen_hash(config: AnyModelConfig) -> str:
    """Return the sha256 of the frozen network that a model is built on, or an empty string if it has none.

    A checkpoint of the model does not hold these weights.

    Raises:
        CheckpointError: the weights of the frozen network are not there.
    """
    if not isinstance(config, W2v2AasistConfig):
        return ""
    from codecfake_builder.benchmark.models.xls_r import ssl_weights

    return sha256_of(ssl_weights(config))


def build_model(config: AnyModelConfig, classes: int) -> TracingModel:
    """Build a model with random weights; an XLS-R inside it gets its official weights.

    Args:
        config: kind and sizes of the model.
        classes: number of logits.

    Raises:
        CheckpointError: XLS-R is not in the cache and cannot be fetched, or its files are damaged.
    """
    match config:
        case MelLcnnConfig():
            from codecfake_builder.benchmark.models.mel_lcnn import MelLcnn

            return MelLcnn(config, classes)
        case AasistConfig():
            from codecfake_builder.benchmark.models.aasist import Aasist

            return Aasist(config, classes)
        case W2v2AasistConfig():
            from codecfake_builder.benchmark.models.xls_r import w2v2_aasist

            return w2v2_aasist(config, classes)
        case ResnetConfig():
            from codecfake_builder.benchmark.models.resnet import Resnet

            return Resnet(config, classes)
    assert_never(config)
