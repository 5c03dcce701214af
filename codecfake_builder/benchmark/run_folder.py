"""What a training run leaves: settings, log, the best model, and the state that training goes on from.

::

    RUN/config.yaml         settings, and what they were used on
    RUN/log.jsonl           a line per epoch
    RUN/best.safetensors    the model with the smallest dev loss
    RUN/last.pt             everything that training needs to go on

Every file is there whole or not at all, and ``last.pt`` is written last: whenever a run is killed, it goes on from the
last epoch whose files are all there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from safetensors.torch import save
from torch import Tensor

from codec_adapters.files.checkpoint import load_strict, read_tensors, tensor_state
from codec_adapters.files.weights import sha256_of
from codecfake_builder.benchmark.config import RunConfig, checked
from codecfake_builder.benchmark.models import TracingModel, build_model, frozen_hash
from codecfake_builder.benchmark.models.config import W2v2AasistConfig
from codecfake_builder.benchmark.models.released import load_released
from codecfake_builder.dataset.schema import class_names
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.files import replacing, write_text

CONFIG = "config.yaml"
LOG = "log.jsonl"
BEST = "best.safetensors"
LAST = "last.pt"


class RunFacts(NamedTuple):
    """What a run was started with."""

    config: RunConfig
    classes: dict[int, str]
    """Classes that the model knows: id and name, in the order of the logits."""
    dataset: str
    """Root hash of the dataset."""
    frozen: str = ""
    """sha256 of a frozen network's weights, which the checkpoint does not hold."""


class TrainedModel(NamedTuple):
    """A model that can judge clips."""

    model: TracingModel
    classes: dict[int, str]
    samples: int
    """Length of its input at 16 kHz."""
    sha256: str
    """Of the checkpoint file."""


def write_facts(run: Path, facts: RunFacts) -> None:
    """Write ``config.yaml``."""
    document = {**facts.config.model_dump(mode="json"), "classes": facts.classes, "dataset": facts.dataset}
    document["frozen"] = facts.frozen
    write_text(run / CONFIG, yaml.safe_dump(document, sort_keys=False))


def read_facts(run: Path) -> RunFacts:
    """Read ``config.yaml``.

    Raises:
        BenchmarkError: the folder is no run, or the file is damaged.
    """
    path = run / CONFIG
    if not path.is_file():
        raise BenchmarkError(f"{run}: no training run; expected {CONFIG}, as benchmark train writes it")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        classes = {int(label): str(name) for label, name in document.pop("classes").items()}
        dataset, frozen = str(document.pop("dataset")), str(document.pop("frozen"))
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, KeyError, ValueError, TypeError) as error:
        raise BenchmarkError(f"{path}: damaged ({' '.join(str(error).split())})") from error
    return RunFacts(checked(document, str(path)), classes, dataset, frozen)


def write_best(run: Path, model: TracingModel) -> None:
    """Write the model's own state to ``best.safetensors``."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.own_state().items()}
    with replacing(run / BEST) as temporary:
        temporary.write_bytes(save(state))


def write_last(run: Path, state: dict[str, Any]) -> None:
    """Write the log, then the state that training goes on from."""
    write_text(run / LOG, "".join(json.dumps(line) + "\n" for line in state["log"]))
    with replacing(run / LAST) as temporary:
        torch.save(state, temporary)


def read_last(run: Path) -> dict[str, Any] | None:
    """The state that training goes on from, if an epoch was finished.

    Raises:
        CheckpointError: the file is damaged.
    """
    return read_tensors(run / LAST) if (run / LAST).is_file() else None


def load_trained(path: Path, ssl: str | None = None) -> TrainedModel:
    """A model from a run folder, or a released checkpoint (``.pt``, ``.pth``), in eval mode on the CPU.

    Args:
        ssl: folder of XLS-R, where it is elsewhere than at training.

    Raises:
        BenchmarkError: no run folder, a run without a finished epoch, or a checkpoint of other classes.
        CheckpointError: the checkpoint is damaged, or does not fit its settings.
    """
    if path.is_file():
        return _released(path)
    facts = read_facts(path)
    best = path / BEST
    if not best.is_file():
        raise BenchmarkError(f"{path}: no epoch was finished yet; let benchmark train go on")
    config = facts.config.model
    if isinstance(config, W2v2AasistConfig) and ssl is not None:
        config = config.model_copy(update={"ssl": ssl})
    if frozen_hash(config) != facts.frozen:
        raise BenchmarkError(f"{path}: was trained on other weights of XLS-R than those that are there now; give --ssl")
    model = build_model(config, len(facts.classes))
    state: dict[str, Tensor] = tensor_state(read_tensors(best), best)
    prefix = model.frozen_prefix
    frozen = {key: value for key, value in model.state_dict().items() if prefix and key.startswith(prefix)}
    load_strict(model, frozen | state, best)
    return TrainedModel(model.eval(), facts.classes, config.samples, sha256_of(best))


def _released(path: Path) -> TrainedModel:
    model = load_released(path)
    known = class_names()[:7]
    with torch.no_grad():
        logits = model(torch.zeros(1, 64600)).logits.shape[1]
    if logits != len(known):
        raise BenchmarkError(
            f"{path}: has {logits} outputs; a source-tracing model has {len(known)}: {', '.join(known)}"
        )
    return TrainedModel(model, dict(enumerate(known)), 64600, sha256_of(path))
