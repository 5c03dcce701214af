"""Load the checkpoints of tracing models that their authors released.

These are xieyuankun/ST-Codecfake's ``anti-spoofing_feat_model.pt`` and clovaai/aasist's ``AASIST*.pth``, both bare
state dicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor

from codec_adapters.errors import CheckpointError
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import ConfigModel, read_json, required_file, validated
from codecfake_builder.benchmark.models import AnyModelConfig, TracingModel, build_model
from codecfake_builder.benchmark.models.config import AasistConfig, MelLcnnConfig, W2v2AasistConfig

_OUTPUT = {"mel_lcnn": "fc_mu.bias", "aasist": "out_layer.bias", "w2v2_aasist": "w2vaasist.out_layer.bias"}
"""Entry in each kind's state whose length is the number of classes."""


class _ClovaModel(ConfigModel):
    """Section ``model_config`` of a clovaai/aasist configuration file."""

    nb_samp: PositiveInt
    first_conv: PositiveInt
    filts: Annotated[list[int | list[PositiveInt]], Field(min_length=5, max_length=5)]
    gat_dims: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    pool_ratios: Annotated[list[float], Field(min_length=3)]
    temperatures: Annotated[list[float], Field(min_length=3)]


def load_released(path: Path, config: AnyModelConfig | None = None) -> TracingModel:
    """Load a model with released weights, in eval mode, on the CPU.

    Args:
        path: the checkpoint file.
        config: settings of the model; by default read from the ``.conf`` file beside a clovaai checkpoint, else the
            published ones.

    Raises:
        CheckpointError: the file is no checkpoint of a model of this benchmark, or one of other sizes.
    """
    state = tensor_state(read_tensors(path), path)
    kind = _kind_of(state, path)
    chosen = config or _default_config(kind, path)
    if chosen.kind != kind:
        raise CheckpointError(f"{path}: holds {kind}, expected {chosen.kind}")
    model = _without_weights(chosen, len(state[_OUTPUT[kind]]), path)
    if isinstance(chosen, W2v2AasistConfig):
        state = _without_late_layers(state, chosen.layer)
    load_strict(model, state, path)
    return model.eval()


def _kind_of(state: Mapping[str, Tensor], path: Path) -> str:
    for kind, key in _OUTPUT.items():
        if key in state and state[key].ndim == 1:
            return kind
    raise CheckpointError(f"{path}: no Mel-LCNN, AASIST or W2V2-AASIST; expected one of {', '.join(_OUTPUT.values())}")


def _default_config(kind: str, path: Path) -> AnyModelConfig:
    configuration = path.with_suffix(".conf")
    if kind == "aasist" and configuration.is_file():
        return _read_clova_config(configuration)
    kinds: dict[str, AnyModelConfig] = {
        "mel_lcnn": MelLcnnConfig(),
        "aasist": AasistConfig(),
        "w2v2_aasist": W2v2AasistConfig(),
    }
    return kinds[kind]


def _read_clova_config(path: Path) -> AasistConfig:
    given = validated(_ClovaModel, read_json(path).get("model_config"), path)
    filters, first, _, last, _ = given.filts
    if not isinstance(filters, int) or not isinstance(first, list) or not isinstance(last, list):
        raise CheckpointError(f"{path}: model_config.filts: expected a number and four pairs of channels")
    return AasistConfig(
        samples=given.nb_samp,
        filters=filters,
        taps=given.first_conv,
        widths=(first[-1], last[-1]),
        gat_dims=(given.gat_dims[0], given.gat_dims[1]),
        pool_ratios=(given.pool_ratios[0], given.pool_ratios[1], given.pool_ratios[2]),
        temperatures=(given.temperatures[0], given.temperatures[1], given.temperatures[2]),
    )


def _without_weights(config: AnyModelConfig, classes: int, path: Path) -> TracingModel:
    """Build the network; XLS-R gets no weights here, since the released W2V2-AASIST holds them."""
    if not isinstance(config, W2v2AasistConfig):
        return build_model(config, classes)
    from transformers import Wav2Vec2Config

    from codecfake_builder.benchmark.models.w2v2_aasist import FrozenWav2Vec2, W2v2Aasist
    from codecfake_builder.benchmark.models.xls_r import ssl_config

    if config.ssl is None:
        ssl = Wav2Vec2Config(**XLS_R_SIZES, num_hidden_layers=config.layer)
    else:
        required_file(Path(config.ssl), "config.json")
        ssl = ssl_config(Path(config.ssl), config.layer)
    with network_from(path):
        frozen = FrozenWav2Vec2(ssl)
        frozen.drop_layers_after(config.layer)
    return W2v2Aasist(config, classes, frozen)


def _without_late_layers(state: dict[str, Tensor], layer: int) -> dict[str, Tensor]:
    from codecfake_builder.benchmark.models.xls_r import ssl_state

    frozen = {key: value for key, value in state.items() if key.startswith("wav2vec2.")}
    head = {key: value for key, value in state.items() if key not in frozen}
    return head | {f"wav2vec2.{key}": value for key, value in ssl_state(frozen, layer).items()}


XLS_R_SIZES = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "conv_dim": [512] * 7,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
"""Sizes of facebook/wav2vec2-xls-r-300m, whose weights a released W2V2-AASIST holds without their configuration."""
