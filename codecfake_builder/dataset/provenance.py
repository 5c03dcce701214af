"""``provenance.json``: what a dataset was made from and with. Holds nothing that differs between two equal builds."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import codecfake_builder
from codecfake_builder.engine.shard import AUDIO_CHAIN_VERSION, AlmJob, Job, ShardRecord
from codecfake_builder.plan import Plan
from codecfake_builder.recipe import Recipe

FORMAT = 1
PROVENANCE = "provenance.json"
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


def provenance(recipe: Recipe, plan: Plan, jobs: dict[str, Job], records: list[ShardRecord]) -> dict[str, Any]:
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
        "corpora": _corpora(plan),
        "splits": {
            split.name: {
                "variants": list(split.variants),
                "selected_by": recipe.selected_by(split.name),
                "utterances": len(split.rows),
                "membership_sha256": plan.membership(split.rows),
                "imported": {
                    variant: {"utterances": len(rows), "membership_sha256": plan.membership(rows)}
                    for variant, rows in split.imported.items()
                },
            }
            for split in plan.splits
        },
        "variants": {name: _made_with(job) for name, job in sorted(jobs.items()) if not isinstance(job, AlmJob)},
        "alms": {
            name: {**_made_with(job), "codec": _made_with(job.codec)}
            for name, job in sorted(jobs.items())
            if isinstance(job, AlmJob)
        },
        "imported": {variant: asdict(own) for variant, own in plan.imported.items()},
        "notes": list(plan.notes),
    }


def _made_with(job: Job) -> dict[str, Any]:
    return {"spec": asdict(job.spec), "options": job.options, "checkpoint_sha256": job.checkpoint_hashes}


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


def _corpora(plan: Plan) -> dict[str, Any]:
    counts = plan.utterances.group_by("corpus").aggregate([("utterance_id", "count")]).sort_by("corpus").to_pylist()
    return {row["corpus"]: {"usable_utterances": row["utterance_id_count"]} for row in counts}


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
