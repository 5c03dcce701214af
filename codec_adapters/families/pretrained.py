"""Models that ``transformers`` carries: loading them from local files, strictly and without network access."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codec_adapters.errors import CheckpointError, first_line
from codec_adapters.files.checkpoint import bounded_network, stored_elements
from codec_adapters.files.config import read_network_config, required_file
from codec_adapters.layers.weight_norm import fold_weight_norm

_SPARE = 2**27
"""Most elements of the parts that a file may lack: codecs within audio language models."""


def load_pretrained(
    model_class: Any, folder: Path, dtype: torch.dtype = torch.float32, spare_parts: tuple[str, ...] = ()
) -> Any:
    """Load a ``transformers`` model from a local snapshot folder; eval mode, on the CPU, weight norm folded.

    Args:
        model_class: a ``PreTrainedModel`` class, e.g. ``EncodecModel``. The folder's config must have its model type.
        folder: holds ``config.json`` and ``model.safetensors``, whole or in shards with an index (or a tensors-only
            ``pytorch_model.bin``).
        dtype: type of the parameters, whatever type the file has.
        spare_parts: submodules that are not needed. They are set to ``None``, and the file may lack their tensors.

    Raises:
        CheckpointError: a file is missing or damaged, the config is another model's, or weights are unknown, missing
            or wrongly shaped.
    """
    config_path = required_file(folder, "config.json")
    wanted = model_class.config_class.model_type
    found = read_network_config(config_path).get("model_type")
    if found != wanted:
        raise CheckpointError(f"{config_path}: model_type is {found!r}, expected {wanted!r}")
    weights = required_file(folder, "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
    stored, spare = stored_elements(weights), _SPARE if spare_parts else 0
    try:
        with _QuietTransformers(), bounded_network(config_path, stored, spare):
            model, report = model_class.from_pretrained(
                folder,
                local_files_only=True,
                dtype=dtype,
                trust_remote_code=False,
                weights_only=True,
                ignore_mismatched_sizes=True,  # they are refused below, by name
                use_safetensors=weights.suffix != ".bin",
                output_loading_info=True,
            )
    except CheckpointError:
        raise
    except Exception as error:  # transformers, safetensors and torch raise many kinds for a damaged file
        reason = first_line(error)
        raise CheckpointError(f"{weights}: cannot be loaded as {wanted} ({reason})") from error
    _refuse_misfits(weights, report, spare_parts)
    for part in spare_parts:
        setattr(model, part, None)
    model.eval()
    fold_weight_norm(model)
    return model


def model_from_state(model_class: Any, config: Any, state: dict[str, Tensor], path: Path) -> Any:
    """Build a ``transformers`` model from tensors that were not stored in the library's layout; eval mode, float32.

    Args:
        model_class: a ``PreTrainedModel`` class.
        config: a config of that class.
        state: exactly the model's tensors, under the library's names.
        path: where the tensors came from, for messages.

    Raises:
        CheckpointError: the tensors do not fit the config.
    """
    try:
        with _QuietTransformers(), bounded_network(path, sum(tensor.numel() for tensor in state.values())):
            model, report = model_class.from_pretrained(
                None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
            )
    except CheckpointError:
        raise
    except Exception as error:  # transformers and torch raise many kinds for tensors that do not fit
        reason = first_line(error)
        raise CheckpointError(f"{path}: cannot be loaded as {config.model_type} ({reason})") from error
    _refuse_misfits(path, report)
    return model.eval()


def _refuse_misfits(weights: Path, report: dict[str, Any], spare_parts: tuple[str, ...] = ()) -> None:
    """Raise :class:`CheckpointError` if the library's loading ``report`` lists weights that do not fit the model."""
    for problem, kind in (
        ("lacks", "missing_keys"),
        ("has unknown", "unexpected_keys"),
        ("misfits", "mismatched_keys"),
    ):
        misfits = report.get(kind) or ()
        keys = sorted(str(item[0] if isinstance(item, tuple) else item) for item in misfits)
        names = [key for key in keys if key.partition(".")[0] not in spare_parts]
        if names:
            raise CheckpointError(f"{weights}: does not fit its config, {problem} {', '.join(names[:3])}")


class _QuietTransformers:
    """Context in which the library prints no progress bars and load reports: a build's output has no place for them."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._verbosity = logging.get_verbosity()
        logging.set_verbosity(logging.CRITICAL)
        if not os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS"):
            logging.disable_progress_bar()

    def __exit__(self, *exc: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self._verbosity)
