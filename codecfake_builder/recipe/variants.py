"""Resolve the variants of a recipe: options, checkpoint folders, and hashes of everything that decides their output."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from codec_adapters.classes import REAL
from codec_adapters.entry import Entry, Provider
from codec_adapters.errors import CheckpointError
from codec_adapters.files import weights
from codec_adapters.files.integrity import damage
from codec_adapters.loading import merged_options
from codec_adapters.spec import AlmSpec, CodecSpec, OptionValue
from codecfake_builder.progress import say
from codecfake_builder.recipe.resolve import Resolved


@dataclass(frozen=True)
class _ResolvedEntry:
    """Everything a worker needs to load an entry of the catalogue."""

    spec: CodecSpec | AlmSpec
    options: dict[str, OptionValue]
    """All inference options, defaults included."""
    checkpoint: Path | None
    checkpoint_hashes: dict[str, str]
    provider: Provider | None
    """How it is loaded; ``None`` for one that a finished dataset tells of, which is not to be loaded."""

    def entry(self) -> Entry:
        """Return the entry in the catalogue, to load the codec or ALM from."""
        assert self.provider is not None, "a dataset's own account of a variant cannot be loaded"
        return Entry(self.spec, self.provider)

    def _fingerprint(self, beside: str) -> str:
        """Return the spec with options, weights and all else that decides the output; empty fields are left out."""
        spec = {name: value for name, value in asdict(self.spec).items() if value is not None}
        spec["options"] = self.options
        return json.dumps([spec, sorted(self.checkpoint_hashes.items()), beside], sort_keys=True)


@dataclass(frozen=True)
class ResolvedCodec(_ResolvedEntry):
    """A codec variant."""

    spec: CodecSpec
    dtype: str

    def fingerprint(self) -> str:
        """Return everything that decides this codec's output: spec, options, weights, adapter version, precision."""
        return self._fingerprint(self.dtype)


@dataclass(frozen=True)
class ResolvedAlm(_ResolvedEntry):
    """An audio language model."""

    spec: AlmSpec
    codec: ResolvedCodec
    """The codec that speaks; of a model that decodes by itself it has the spec alone, and nothing of it is loaded."""

    def fingerprint(self) -> str:
        """Return everything that decides this ALM's output: its spec, options and weights, and its codec's."""
        return self._fingerprint(self.codec.fingerprint())


ResolvedVariant = ResolvedCodec | ResolvedAlm


def speaking_codec(variant: ResolvedVariant) -> ResolvedCodec:
    """Return the codec that makes a variant's waveforms: itself, or the codec that an ALM speaks through."""
    return variant.codec if isinstance(variant, ResolvedAlm) else variant


def resolve_variants(resolved: Resolved, names: Iterable[str]) -> dict[str, ResolvedVariant]:
    """Resolve variants, all but ``real``, in order; fetches weights and makes environments that are not there.

    Raises:
        CheckpointError: folders of ``weights:`` are not there or damaged, or weights cannot be had; one line for each,
            after all were tried.
    """
    made: dict[str, ResolvedVariant] = {}
    problems: list[str] = []
    failed: set[str] = set()
    for name in dict.fromkeys(name for name in names if name != REAL):
        checkpoint = resolved.catalogue.entry(name).spec.checkpoint
        if checkpoint in failed:
            continue  # said already, and its download was tried long enough
        try:
            made[name] = _alm(resolved, name) if resolved.catalogue.is_alm(name) else _codec(resolved, name)
        except CheckpointError as error:
            if str(error) not in problems:
                problems.append(str(error))
            if checkpoint and name not in resolved.recipe.weights:
                failed.add(checkpoint)
    if problems:
        raise CheckpointError("\n".join(problems))
    return made


def _codec(resolved: Resolved, name: str) -> ResolvedCodec:
    entry, spec = resolved.catalogue.entry(name), resolved.catalogue.codec(name)
    folder, hashes = _checkpoint(resolved, entry)
    options = merged_options(spec, resolved.recipe.options.get(name))
    return ResolvedCodec(spec, options, folder, hashes, entry.provider, resolved.recipe.execution.dtype)


def _alm(resolved: Resolved, name: str) -> ResolvedAlm:
    entry, spec = resolved.catalogue.entry(name), resolved.catalogue.alm(name)
    folder, hashes = _checkpoint(resolved, entry)
    if folder is None and spec.local_only:
        raise CheckpointError(f"{name}: has no official weights; give a folder (--set weights.{name}=FOLDER)")
    options = merged_options(spec, resolved.recipe.options.get(name))
    if spec.decodes_itself:
        codec = resolved.catalogue.entry(spec.codec_variant)
        speaks = resolved.catalogue.codec(spec.codec_variant)
        dtype = resolved.recipe.execution.dtype
        return ResolvedAlm(
            spec, options, folder, hashes, entry.provider, ResolvedCodec(speaks, {}, None, {}, codec.provider, dtype)
        )
    return ResolvedAlm(spec, options, folder, hashes, entry.provider, _codec(resolved, spec.codec_variant))


def _checkpoint(resolved: Resolved, entry: Entry) -> tuple[Path | None, dict[str, str]]:
    """Return the checkpoint folder of an entry, and the sha256 of every file that decides its output."""
    spec, recipe = entry.spec, resolved.recipe
    given = recipe.weights_key(spec)
    folder = recipe.weights[given] if given else None
    if folder is None and spec.checkpoint:
        if weights.cached(spec.checkpoint) is None:
            say(f"fetching {weights.locked(spec.checkpoint).described}")
        folder = weights.fetch(spec.checkpoint)
    key = f"weights.{given or spec.checkpoint}"
    if folder is not None and not folder.is_dir():
        raise CheckpointError(f"{key}: {folder}: no such folder (checkpoint of {spec.name})")
    hashes = weights.checkpoint_hashes(spec.checkpoint, folder) if folder else {}
    if folder is not None and (wrong := next(damage(folder, list(hashes)), None)):
        raise CheckpointError(f"{key}: {folder}: {wrong} (checkpoint of {spec.name})")
    if pending := entry.provider.pending():
        say(f"{spec.name}: {pending}")
    hashes |= entry.provider.prepare()  # here, and not in every worker at once
    return folder and folder.resolve(), hashes
