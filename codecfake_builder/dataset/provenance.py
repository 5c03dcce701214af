"""Write and read ``provenance.json``: what a dataset was made from, and with which software.

The file holds nothing that differs between two equal builds.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import codecfake_builder
from codec_adapters import AlmSpec, CodecSpec, Taxonomy
from codec_adapters.files.paths import paths_in
from codecfake_builder.audio import CHAIN_VERSION
from codecfake_builder.dataset.description.sources import SpeechSource
from codecfake_builder.dataset.records import ShardRecord
from codecfake_builder.plan.summary import PlanSummary
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.recipe.variants import ResolvedAlm, ResolvedCodec, ResolvedVariant

FORMAT = 1
_PACKAGES = (
    "ai-edge-litert",
    "datasets",
    "numpy",
    "pyarrow",
    "safetensors",
    "snac",
    "soundfile",
    "soxr",
    "torch",
    "transformers",
)
"""The packages whose code makes the clips and the files."""


def provenance_document(
    recipe: Recipe,
    summary: PlanSummary,
    made_by: Mapping[str, ResolvedVariant],
    records: Iterable[ShardRecord],
    speech: Iterable[SpeechSource],
) -> dict[str, Any]:
    """Return the content of ``provenance.json`` as data.

    Args:
        recipe: recipe of the dataset.
        summary: summary of its plan.
        made_by: what made the clips of each variant but ``real``.
        records: of all shards; they say on which kinds of device (``cpu``, ``cuda``) the codecs ran.
        speech: the corpora that the clips come from.
    """
    return {
        "format": FORMAT,
        "builder": {"version": codecfake_builder.__version__, "commit": _commit()},
        "packages": {name: _version(name) for name in _PACKAGES},
        "devices": sorted({record.device for record in records if record.device}),
        "dtype": recipe.execution.dtype,
        "audio_chain": CHAIN_VERSION,
        "recipe": _portable(recipe),
        "corpora": {name: {"usable_utterances": count} for name, count in summary.corpora.items()},
        "sources": {source.corpus: asdict(source) for source in speech},
        "splits": {
            name: {
                "variants": list(split.variants),
                "selected_by": split.selected_by,
                "utterances": split.utterances,
                "membership_sha256": split.membership_sha256,
                "imported": {variant: members.model_dump() for variant, members in split.imported.items()},
            }
            for name, split in summary.splits.items()
        },
        "variants": {
            name: _made_with(made) for name, made in sorted(made_by.items()) if not isinstance(made, ResolvedAlm)
        },
        "alms": {
            name: {**_made_with(made), "codec": _made_with(made.codec)}
            for name, made in sorted(made_by.items())
            if isinstance(made, ResolvedAlm)
        },
        "imported": {variant: asdict(own) for variant, own in summary.imported.items()},
        "notes": [str(note) for note in summary.notes],
    }


def _made_with(made: ResolvedVariant) -> dict[str, Any]:
    """Describe what made a variant's clips."""
    return {"spec": asdict(made.spec), "options": made.options, "checkpoint_sha256": made.checkpoint_hashes}


def recorded_variants(document: Mapping[str, Any]) -> dict[str, ResolvedVariant]:
    """Return the variants that the content of ``provenance.json`` describes, by name; nothing in them can be loaded,
    since the paths of their files are not recorded."""
    dtype = document["dtype"]
    recorded: dict[str, ResolvedVariant] = {
        name: _recorded_codec(made, dtype) for name, made in document["variants"].items()
    }
    for name, made in document["alms"].items():
        spec = AlmSpec(**{**made["spec"], "prompt": tuple(made["spec"]["prompt"])})
        codec = _recorded_codec(made["codec"], dtype)
        recorded[name] = ResolvedAlm(spec, made["options"], None, made["checkpoint_sha256"], None, codec)
    return recorded


def _recorded_codec(made: Mapping[str, Any], dtype: str) -> ResolvedCodec:
    spec = CodecSpec(**{**made["spec"], "taxonomy": Taxonomy(**made["spec"]["taxonomy"])})
    return ResolvedCodec(spec, made["options"], None, made["checkpoint_sha256"], None, dtype)


def provenance_text(document: dict[str, Any]) -> str:
    """Return the text of ``provenance.json``."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _portable(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as data, without paths of this machine and without settings of how the work is spread."""
    document = recipe.model_dump(mode="json", exclude={"execution": True, "weights": True})
    for field in list(paths_in(document, Recipe)):
        field.publish()
    return document


def _version(package: str) -> str | None:
    """Return the version of an installed package, ``None`` for one that is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the builder, ``None`` where it does not run from a git checkout."""
    checkout = Path(codecfake_builder.__file__).parent.parent
    if not (checkout / ".git").exists():
        return None
    try:
        run = subprocess.run(  # noqa: S603
            ["git", "-C", str(checkout), "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()
