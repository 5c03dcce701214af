"""Settings of a training run, read from YAML presets and overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from codec_adapters.errors import DocumentError
from codec_adapters.files.documents import nearest, read_mapping, validated_document
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
        document = read_mapping(path, "model, data and training")
    except DocumentError as error:
        raise BenchmarkError(str(error)) from error
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
        return validated_document(RunConfig, document, where)
    except DocumentError as error:
        raise BenchmarkError(str(error)) from error
