"""Read and write the folder of a training run.

::

    RUN/config.yaml         settings, classes, and hashes of the dataset and of a frozen network
    RUN/log.jsonl           a line per epoch
    RUN/best.safetensors    the model with the smallest dev loss
    RUN/last.pt             the state that training is resumed from

Every file is there whole or not at all, and ``last.pt`` is written last: a run that was killed at any moment is resumed
after the last epoch whose files are all there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from safetensors.torch import save
from torch import Tensor

from codec_adapters.errors import DocumentError
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, refuse_misfits, tensor_state
from codec_adapters.files.documents import read_mapping
from codec_adapters.files.hashing import sha256_of
from codecfake_builder.benchmark.config import RunConfig, validate_config
from codecfake_builder.benchmark.models import TracingModel, build_model, frozen_hash
from codecfake_builder.benchmark.models.config import W2v2AasistConfig
from codecfake_builder.benchmark.models.released import load_released
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.schema import class_names
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.files import replacing, write_text

CONFIG = "config.yaml"
LOG = "log.jsonl"
BEST = "best.safetensors"
LAST = "last.pt"


SPEECH = "speech.json"
"""What the dataset says of its speech: the source of each corpus."""


class RunRecord(NamedTuple):
    """Settings and inputs that a training run was started with."""

    config: RunConfig
    classes: dict[int, str]
    """Classes that the model knows: id -> name, in the order of the logits."""
    dataset: str
    """Root hash of the dataset."""
    frozen: str = ""
    """sha256 of a frozen network's weights, which the checkpoint does not hold; empty for models without one."""


class TrainedModel(NamedTuple):
    """A trained model, and what is needed to use it."""

    model: TracingModel
    classes: dict[int, str]
    """Classes that the model knows: id -> name, in the order of the logits."""
    samples: int
    """Length of its input in samples at 16 kHz."""
    sha256: str
    """sha256 of the checkpoint file."""


def write_record(run: Path, record: RunRecord) -> None:
    """Write ``config.yaml``."""
    document = {**record.config.model_dump(mode="json"), "classes": record.classes, "dataset": record.dataset}
    document["frozen"] = record.frozen
    write_text(run / CONFIG, yaml.safe_dump(document, sort_keys=False))


def write_speech(run: Path, dataset: Path) -> None:
    """Keep what a dataset says of its speech, so that whoever uses the run later can be told."""
    try:
        provenance = json.loads((dataset / layout.PROVENANCE).read_text(encoding="utf-8"))
        sources = {str(name): str(source["source"]) for name, source in provenance["sources"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # an older dataset says nothing
    write_text(run / SPEECH, json.dumps(sources, indent=1, ensure_ascii=False) + "\n")


def synthesized_speech(run: Path) -> list[str]:
    """Return the corpora of a run's training whose speech was synthesized, by what their sources say."""
    try:
        sources = json.loads((run / SPEECH).read_text(encoding="utf-8"))
        return sorted(f"{name}: {source}" for name, source in sources.items() if "synthesi" in str(source).lower())
    except (OSError, ValueError, AttributeError):
        return []


def read_record(run: Path) -> RunRecord:
    """Read ``config.yaml``.

    Raises:
        BenchmarkError: the folder is no run folder, or the file is damaged.
    """
    path = run / CONFIG
    if not path.is_file():
        raise BenchmarkError(f"{run}: no training run; expected {CONFIG}, as benchmark train writes it")
    try:
        document = read_mapping(path, "model, data, training, classes, dataset and frozen")
    except DocumentError as error:
        raise BenchmarkError(str(error)) from error
    try:
        classes = {int(label): str(name) for label, name in document.pop("classes").items()}
        dataset, frozen = str(document.pop("dataset")), str(document.pop("frozen"))
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise BenchmarkError(f"{path}: damaged ({' '.join(str(error).split())})") from error
    return RunRecord(validate_config(document, str(path)), classes, dataset, frozen)


def write_best(run: Path, model: TracingModel) -> None:
    """Write the model's own state to ``best.safetensors``."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.own_state().items()}
    with replacing(run / BEST) as temporary:
        temporary.write_bytes(save(state))


def write_last(run: Path, state: dict[str, Any]) -> None:
    """Write ``log.jsonl``, then ``last.pt`` with the state that training is resumed from."""
    write_text(run / LOG, "".join(json.dumps(line) + "\n" for line in state["log"]))
    with replacing(run / LAST) as temporary:
        torch.save(state, temporary)


def read_last(run: Path) -> dict[str, Any] | None:
    """Read the state that training is resumed from; ``None`` if no epoch was finished.

    Raises:
        CheckpointError: the file is damaged.
    """
    return read_tensors(run / LAST) if (run / LAST).is_file() else None


def load_trained(path: Path, ssl: str | None = None) -> TrainedModel:
    """Load a model from a run folder or a released checkpoint, in eval mode, on the CPU.

    Args:
        path: run folder, or file of a released checkpoint (``.pt``, ``.pth``).
        ssl: folder of XLS-R, if it is another one than in training.

    Raises:
        BenchmarkError: there is no run folder, no epoch was finished, or the checkpoint has other classes.
        CheckpointError: the checkpoint is damaged, or does not fit its settings.

    Example::

        trained = load_trained(Path("runs/aasist"))
        embedding, logits = trained.model(torch.zeros(1, trained.samples))
    """
    if path.is_file():
        return _load_released(path)
    record = read_record(path)
    best = path / BEST
    if not best.is_file():
        raise BenchmarkError(f"{path}: no epoch was finished yet; let benchmark train go on")
    config = record.config.model
    if isinstance(config, W2v2AasistConfig) and ssl is not None:
        config = config.model_copy(update={"ssl": ssl})
    if frozen_hash(config) != record.frozen:
        raise BenchmarkError(f"{path}: was trained on other weights of XLS-R than those that are there now; give --ssl")
    state: dict[str, Tensor] = tensor_state(read_tensors(best), best)
    if not isinstance(config, W2v2AasistConfig):  # whose large part is XLS-R, with a config of its own
        with network_from(best, stored=sum(value.numel() for value in state.values())):
            refuse_misfits(build_model(config, len(record.classes)), state, best)
    model = build_model(config, len(record.classes))
    prefix = model.frozen_prefix
    frozen = {key: value for key, value in model.state_dict().items() if prefix and key.startswith(prefix)}
    load_strict(model, frozen | state, best)
    return TrainedModel(model.eval(), record.classes, config.samples, sha256_of(best))


def _load_released(path: Path) -> TrainedModel:
    model = load_released(path)
    known = class_names()[:7]
    with torch.no_grad():
        logits = model(torch.zeros(1, 64600)).logits.shape[1]
    if logits != len(known):
        raise BenchmarkError(
            f"{path}: has {logits} outputs; a source-tracing model has {len(known)}: {', '.join(known)}"
        )
    return TrainedModel(model, dict(enumerate(known)), 64600, sha256_of(path))
