"""How much of its codebooks each codec of a dataset uses: its codes for the dataset's own real clips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codec_adapters.errors import InputError
from codec_adapters.loading import explained, load_codec
from codecfake_builder.audio import RATE, Wave, resample
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.quality import ClipName, audio_of, decoded, pairs_of
from codecfake_builder.dataset.saved import saved_document
from codecfake_builder.errors import DatasetError
from codecfake_builder.progress import progress
from codecfake_builder.recipe.load import parse_recipe
from codecfake_builder.recipe.variants import ResolvedCodec, resolve_variants

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class CodebookUse:
    """What a codebook's codes say."""

    entries: int | None
    """Entries of the codebook; ``None`` where they are not known."""
    used: int
    """Entries that occur."""
    entropy: float
    """Of the codes, bits."""
    frames: int

    @property
    def share(self) -> float | None:
        """Return the share of the entries that occur."""
        return self.used / self.entries if self.entries else None

    @property
    def perplexity(self) -> float:
        """Return the number of entries that would have this entropy if all were as frequent."""
        return float(2**self.entropy)


def codebook_use(codes: Sequence[Ints], sizes: Sequence[int | None]) -> list[CodebookUse]:
    """Return the use of each codebook.

    Args:
        codes: of each codebook, ``[frames]``.
        sizes: number of entries of each; ``None`` where it is not known.

    >>> [(use.used, use.entropy, use.perplexity) for use in codebook_use([np.array([0, 1, 2, 3, 0, 1, 2, 3])], [1024])]
    [(4, 2.0, 4.0)]
    """
    found = []
    for own, size in zip(codes, sizes, strict=True):
        counts = np.unique(own, return_counts=True)[1]
        shares = counts / max(1, len(own))
        entropy = max(0.0, float(-(shares * np.log2(shares)).sum()))
        found.append(CodebookUse(size, len(counts), entropy, len(own)))
    return found


def measure_codebooks(dataset: Path, clips: int, trust: bool = False) -> dict[str, list[CodebookUse]]:
    """Encode real clips by the codecs that made clips of their utterances; return the codebooks' use by variant.

    Codecs are loaded as the dataset's saved recipe says. One without codes has no codebooks.

    Args:
        dataset: folder of a dataset that was built here.
        clips: at most so many clips of each split and variant.
        trust: whether the code that the recipe names may run.

    Raises:
        DatasetError: the folder holds no dataset of this builder, or not its recipe.
        RecipeError: the recipe is damaged, or names code that is not allowed.
        CheckpointError: weights are absent or damaged.
    """
    sources: dict[str, set[ClipName]] = defaultdict(set)
    for pair in pairs_of(dataset, clips):
        sources[pair.fake.variant].add(pair.real)
    path = dataset / layout.RECIPE
    resolved = parse_recipe(saved_document(dataset), str(path), path.parent, came_with_data=True, trust=trust)
    names = [name for name in resolved.variants() if name in sources]
    codecs = {name: made for name, made in resolve_variants(resolved, names).items() if isinstance(made, ResolvedCodec)}
    audio = audio_of(dataset, {clip for name in codecs for clip in sources[name]})
    found = {}
    with progress("codes", len(codecs), "codecs") as advance:
        for name, codec in codecs.items():
            adapter = load_codec(codec.entry(), codec.checkpoint, "cpu", codec.dtype, codec.options)
            waves = [_wave(dataset, clip, audio) for clip in sorted(sources[name], key=lambda clip: clip.id)]
            with explained(name, codec.checkpoint):
                found[name] = _use(adapter, waves)
            advance(1)
    return found


def _wave(dataset: Path, clip: ClipName, audio: dict[ClipName, bytes]) -> Wave:
    try:
        return decoded(audio[clip])
    except (KeyError, TypeError, RuntimeError) as error:  # soundfile's errors are RuntimeErrors
        raise DatasetError(f"{dataset}: clip {clip.id!r} cannot be read; verify tells more") from error


def _use(adapter: Adapter, waves: Sequence[Wave]) -> list[CodebookUse]:
    try:
        by_clip = [list(_codebooks(adapter, wave)) for wave in waves]
    except (InputError, NotImplementedError):  # it has no codes
        return []
    joined = [np.concatenate(own) for own in zip(*by_clip, strict=True)]
    form = adapter._code_form()  # no part of the contract, and ``None`` where an adapter does not say
    sizes: list[int | None] = [size for scale in form.scales for size in scale.entries] if form else []
    return codebook_use(joined, (sizes + [None] * len(joined))[: len(joined)])


def _codebooks(adapter: Adapter, wave: Wave) -> Iterator[Ints]:
    """Yield the codes of each codebook, coarse to fine."""
    import torch

    at_rate = np.ascontiguousarray(resample(wave, RATE, adapter.sample_rate))
    for scale in adapter.encode(torch.from_numpy(at_rate)[None]):
        yield from scale[0].cpu().numpy()
