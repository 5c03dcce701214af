"""Settings of a training run, read from YAML presets and overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from codec_adapters.files.documents import nearest
from codecfake_builder.benchmark.models.config import AnyModelConfig
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.recipe.load import apply_override

PRESETS = Path(__file__).parent / "presets"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Settings):
    """Settings of the training examples. Evaluation always takes the first samples, and repeats short clips."""

    crop: Literal["first", "random"] = "first"
    """Part of a clip that the model gets. ``first``: as published. ``random``: another part in every epoch."""
    augment: bool = False
    """Whether to change level and polarity and add noise at random; not in the publication."""


class TrainingConfig(_Settings):
    """Settings of the optimisation. The defaults are the publication's."""

    seed: int = Field(default=688, ge=0)
    epochs: PositiveInt = 50
    batch_size: PositiveInt = 24
    optimizer: Literal["adam", "adamw"] = "adam"
    """``adam`` adds the weight decay to the gradient, as published; ``adamw`` decouples it."""
    learning_rate: float = Field(default=5e-4, gt=0)
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["halving", "cosine"] = "halving"
    """``halving``: half the rate every ``halve_every`` epochs. ``cosine``: down to zero over all epochs."""
    halve_every: PositiveInt = 10
    patience: PositiveInt | None = None
    """Number of epochs without a smaller dev loss after which training stops; not in the publication."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the network's arithmetic (automatic mixed precision); parameters and front end stay in float32."""
    workers: int = Field(default=0, ge=0)
    """Number of processes that read and decode clips; 0 for the training process itself."""
    cache_gb: float = Field(default=2.0, ge=0)
    """Memory in GB for the front end's output, which is kept where clips are the same in every epoch; the output for a
    split that needs more is computed again in every epoch."""


class RunConfig(_Settings):
    """All settings of a training run."""

    model: AnyModelConfig
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()


def presets() -> list[str]:
    """Return the names of the packaged presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_config(preset: str, overrides: list[str] | None = None) -> RunConfig:
    """Read a preset and apply overrides to it.

    Args:
        preset: path of a YAML file, or name of a packaged preset.
        overrides: ``a.b=value`` each; the value is YAML.

    Example:
        >>> load_config("resnet_small", ["training.epochs=3"]).training.epochs
        3

    Raises:
        BenchmarkError: there is no such preset, or the settings are not valid; one line per problem, each with the path
            of the field.
    """
    path = next((path for path in (PRESETS / f"{preset}.yaml", Path(preset)) if path.is_file()), None)
    if path is None:
        raise BenchmarkError(f"{preset}: neither a file nor a packaged preset; {nearest(preset, presets())}")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BenchmarkError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise BenchmarkError(f"{path}: expected a mapping with model, data and training")
    for override in overrides or []:
        apply_override(document, override)
    return validate_config(document, preset)


def validate_config(document: dict[str, Any], where: str) -> RunConfig:
    """Return a parsed YAML document as settings.

    Args:
        document: mapping with ``model``, ``data`` and ``training``.
        where: its name in messages.

    Raises:
        BenchmarkError: the settings are not valid; one line per problem, each with the path of the field.
    """
    try:
        return RunConfig.model_validate(document)
    except ValidationError as error:
        raise BenchmarkError("\n".join(f"{where}: {_line(problem)}" for problem in error.errors())) from error


def _line(problem: Any) -> str:
    parts = list(problem["loc"])
    if parts[:1] == ["model"] and len(parts) > 2:
        del parts[1]  # pydantic puts the kind of model there
    place = ".".join(map(str, parts))
    if problem["type"] == "extra_forbidden":
        parents: dict[str, type[BaseModel]] = {"training": TrainingConfig, "data": DataConfig}
        settings = parents.get(str(problem["loc"][0]))
        hint = f"; {nearest(str(problem['loc'][-1]), list(settings.model_fields))}" if settings else ""
        return f"{place}: unknown key{hint}"
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}, got {problem['input']!r:.60}"
