"""``provenance.json``: what a dataset was made from and with. Holds nothing that differs between two equal builds."""

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
from codecfake_builder.audio import AUDIO_CHAIN_VERSION
from codecfake_builder.dataset.records import ShardRecord
from codecfake_builder.plan.summary import PlanSummary
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.shards.shard import AlmJob, CodecJob, Job

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


def provenance(
    recipe: Recipe, summary: PlanSummary, jobs: Mapping[str, Job], records: Iterable[ShardRecord]
) -> dict[str, Any]:
    """The document as data.

    Args:
        jobs: of each variant but ``real``.
        records: of all shards; they say on which kinds of device (``cpu``, ``cuda``) the codecs ran.
    """
    return {
        "format": FORMAT,
        "builder": {"version": codecfake_builder.__version__, "commit": _commit()},
        "packages": {name: _version(name) for name in _PACKAGES},
        "devices": sorted({record.device for record in records if record.device}),
        "dtype": recipe.execution.dtype,
        "audio_chain": AUDIO_CHAIN_VERSION,
        "recipe": _portable(recipe),
        "corpora": {name: {"usable_utterances": count} for name, count in summary.corpora.items()},
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
        "variants": {name: _made_with(job) for name, job in sorted(jobs.items()) if not isinstance(job, AlmJob)},
        "alms": {
            name: {**_made_with(job), "codec": _made_with(job.codec)}
            for name, job in sorted(jobs.items())
            if isinstance(job, AlmJob)
        },
        "imported": {variant: asdict(own) for variant, own in summary.imported.items()},
        "notes": [str(note) for note in summary.notes],
    }


def _made_with(job: Job) -> dict[str, Any]:
    return {"spec": asdict(job.spec), "options": job.options, "checkpoint_sha256": job.checkpoint_hashes}


def jobs_of(document: Mapping[str, Any]) -> dict[str, Job]:
    """The jobs that a document tells of, by variant: what was loaded, but for where it lies."""
    dtype = document["dtype"]
    codecs: dict[str, Job] = {name: _codec_job(made, dtype) for name, made in document["variants"].items()}
    for name, made in document["alms"].items():
        spec = AlmSpec(**{**made["spec"], "prompt": tuple(made["spec"]["prompt"])})
        codec = _codec_job(made["codec"], dtype)
        codecs[name] = AlmJob(spec, made["options"], None, made["checkpoint_sha256"], codec)
    return codecs


def _codec_job(made: Mapping[str, Any], dtype: str) -> CodecJob:
    spec = CodecSpec(**{**made["spec"], "taxonomy": Taxonomy(**made["spec"]["taxonomy"])})
    return CodecJob(spec, made["options"], None, made["checkpoint_sha256"], dtype)


def provenance_text(document: dict[str, Any]) -> str:
    """The document as it stands in the file."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _portable(recipe: Recipe) -> dict[str, Any]:
    """The recipe without what says where things lie or how the work is spread."""
    document = recipe.model_dump(mode="json", exclude={"execution": True, "weights": True})
    for corpus in document["corpora"].values():
        for key in ("root", "table"):
            corpus.pop(key, None)
        if corpus.get("ids"):
            corpus["ids"] = Path(corpus["ids"]).name
    for entry in document["isolated"].values():
        entry["driver"] = Path(entry["driver"]).name
        if entry["repo"] and "://" not in entry["repo"]:
            entry["repo"] = Path(entry["repo"]).name
    document["plugins"] = [Path(plugin).name for plugin in document["plugins"]]
    for split in document["splits"].values():
        for key in ("labels", "ids", "only"):
            if split.get(key):
                split[key] = Path(split[key]).name
    return document


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The builder's own commit, when it runs from a checkout."""
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
