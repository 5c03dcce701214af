"""How to load what a recipe names: options, checkpoint folders and their hashes, for codecs and ALMs alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import codec_adapters
from codec_adapters import AlmSpec, CheckpointError, CodecSpec, alm
from codec_adapters.files import weights
from codec_adapters.registry import merged_options
from codecfake_builder.clip_class import REAL
from codecfake_builder.codecs.plugins import added_codecs, plugin_hashes
from codecfake_builder.codecs.variants import is_alm, is_builtin
from codecfake_builder.progress import say
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.shards.shard import AlmJob, CodecJob, Job

if TYPE_CHECKING:
    from codec_adapters.external.worker import Isolated


def make_jobs(recipe: Recipe, variants: Iterable[str], isolated: Mapping[str, Isolated]) -> dict[str, Job]:
    """A job for each variant but ``real``, in order; fetches weights and makes environments that are not in the cache.

    Raises:
        CheckpointError: a folder of ``weights:`` is not there, or weights cannot be had.
    """
    names = dict.fromkeys(variant for variant in variants if variant != REAL)
    return {
        name: _alm_job(recipe, name, isolated) if is_alm(name) else _codec_job(recipe, name, isolated) for name in names
    }


def _codec_job(recipe: Recipe, name: str, isolated: Mapping[str, Isolated]) -> CodecJob:
    spec = codec_adapters.spec(name)
    folder, hashes = _checkpoint(recipe, spec, isolated)
    options = merged_options(spec, recipe.options.get(name))
    return CodecJob(spec, options, folder, hashes, recipe.execution.dtype)


def _alm_job(recipe: Recipe, name: str, isolated: Mapping[str, Isolated]) -> AlmJob:
    spec = alm.spec(name)
    folder, hashes = _checkpoint(recipe, spec, isolated)
    if folder is None and spec.local_only:
        raise CheckpointError(f"{name}: has no official weights; give a folder (--set weights.{name}=FOLDER)")
    options = merged_options(spec, recipe.options.get(name))
    if spec.decodes_itself:
        codec = CodecJob(codec_adapters.spec(spec.codec_variant), {}, None, {}, recipe.execution.dtype)
    else:
        codec = _codec_job(recipe, spec.codec_variant, isolated)
    return AlmJob(spec, options, folder, hashes, codec)


def _checkpoint(
    recipe: Recipe, spec: CodecSpec | AlmSpec, isolated: Mapping[str, Isolated]
) -> tuple[Path | None, dict[str, str]]:
    """The checkpoint folder of a codec or ALM, and the sha256 of all that makes its output what it is."""
    folder = recipe.weights.get(spec.name) or recipe.weights.get(spec.checkpoint)
    if folder is None and spec.checkpoint:
        if weights.cached(spec.checkpoint) is None:
            say(f"fetching {spec.checkpoint} from {weights.locked(spec.checkpoint).source}")
        folder = weights.fetch(spec.checkpoint)
    elif folder is not None and not folder.is_dir():
        raise CheckpointError(f"weights: {folder}: no such folder (checkpoint of {spec.name})")
    hashes = weights.checkpoint_hashes(spec.checkpoint, folder) if folder else {}
    if (added := added_codecs(recipe.plugins).get(spec.name)) is not None:
        if absent := [file for file in added.way.files if not file.path.is_file()]:
            say(f"{spec.name}: fetching {len(absent)} files from {spec.repo or 'where its codec file says'}")
        added.way.prepare()  # here, and not in every worker at once
        hashes |= added.hashes()
    elif not is_builtin(spec.name):
        hashes |= plugin_hashes(recipe.plugins, spec.name)
    if spec.name in isolated:
        say(f"{spec.name}: runs in an environment of its own, which is made now unless it is there")
        hashes |= isolated[spec.name].prepare()
    return folder and folder.resolve(), hashes
