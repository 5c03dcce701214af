"""Load XLS-R for W2V2-AASIST, from a local snapshot in the hub's layout or the official one of ``weights.lock``."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from transformers import Wav2Vec2Config

from codec_adapters.errors import CheckpointError
from codec_adapters.files import weights
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import read_json, required_file
from codecfake_builder.benchmark.models.config import W2v2AasistConfig
from codecfake_builder.benchmark.models.w2v2_aasist import FrozenWav2Vec2, W2v2Aasist

XLS_R = "xls_r_300m"
"""Entry of ``weights.lock``."""
_PRETRAINING = ("quantizer.", "project_hid.", "project_q.")
"""Parts of a pre-training checkpoint that do not belong to the encoder."""
_WEIGHT_NORM = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
"""Names of the positional convolution's weight norm: in older files -> in torch since 2.1."""


def ssl_folder(config: W2v2AasistConfig) -> Path:
    """Return the folder of the XLS-R snapshot, fetching the official one if it is not in the cache.

    Raises:
        CheckpointError: there is no such folder, or the official one cannot be fetched.
    """
    if config.ssl is None:
        return weights.fetch(XLS_R)
    folder = Path(config.ssl)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; model.ssl names the folder of an XLS-R snapshot")
    return folder


def ssl_weights(config: W2v2AasistConfig) -> Path:
    """Return the path of the file that holds XLS-R's weights.

    Raises:
        CheckpointError: there is no such file.
    """
    return required_file(ssl_folder(config), "model.safetensors", "pytorch_model.bin")


def ssl_config(folder: Path, layer: int) -> Wav2Vec2Config:
    """Read the configuration of the snapshot in ``folder``, cut to ``layer`` layers.

    Raises:
        CheckpointError: the snapshot has another architecture, or fewer than ``layer`` layers.
    """
    path = required_file(folder, "config.json")
    document = read_json(path)
    if document.get("model_type") != "wav2vec2" or not document.get("do_stable_layer_norm"):
        raise CheckpointError(f"{path}: no wav2vec 2.0 model with stable layer norm, as XLS-R is one")
    try:
        config = Wav2Vec2Config(**document)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: no valid configuration ({str(error).splitlines()[0]})") from error
    if config.num_hidden_layers < layer:
        raise CheckpointError(f"{path}: has {config.num_hidden_layers} layers, model.layer asks for {layer}")
    config.num_hidden_layers = layer
    return config


def w2v2_aasist(config: W2v2AasistConfig, classes: int) -> W2v2Aasist:
    """Build W2V2-AASIST with XLS-R's weights up to layer ``config.layer`` and a head with random weights.

    Raises:
        CheckpointError: XLS-R is not there, or its files are damaged.
    """
    ssl = ssl_config(ssl_folder(config), config.layer)
    path = ssl_weights(config)
    with network_from(path):
        frozen = FrozenWav2Vec2(ssl)
        frozen.drop_layers_after(config.layer)
    load_strict(frozen, ssl_state(tensor_state(read_tensors(path), path), config.layer), path)
    return W2v2Aasist(config, classes, frozen)


def ssl_state(state: dict[str, Tensor], layer: int) -> dict[str, Tensor]:
    """Return the state of :class:`FrozenWav2Vec2`, cut at ``layer``, from that of a hub file or a released model."""
    kept = {}
    for key, value in state.items():
        name = key.removeprefix("wav2vec2.").removeprefix("model.")
        for old, new in _WEIGHT_NORM.items():
            if name.endswith(f"pos_conv_embed.conv.{old}"):
                name = name.removesuffix(old) + new
        number = name.removeprefix("encoder.layers.").partition(".")[0]
        dropped = name.startswith("encoder.layer_norm.") or (number.isdigit() and int(number) >= layer)
        if not dropped and not name.startswith(_PRETRAINING):
            kept[f"model.{name}"] = value
    return kept
