"""Count what a dataset holds: the clips, seconds and files of every split and variant.

The card, Croissant and the table that ``build`` ends with are written from these counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from codec_adapters import AlmSpec, CodecSpec
from codec_adapters.classes import NO_LABEL, REAL
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.records import ShardRecord
from codecfake_builder.errors import RecipeError
from codecfake_builder.origin import Origin, clip_origin
from codecfake_builder.recipe.schema import IMPORTED, Recipe
from codecfake_builder.recipe.variants import ResolvedAlm, ResolvedVariant, speaking_codec

NO_AUDIO_CONFIG = "metadata"
ALL_CONFIG = "all"
_RESERVED_CONFIGS = frozenset({ALL_CONFIG, NO_AUDIO_CONFIG, *Origin})
"""Names of Hugging Face configs that no codec family can have."""


@dataclass(frozen=True)
class Cell:
    """The clips of one variant in one split, counted: a cell of the table with a line for each split and a column for
    each variant."""

    split: str
    variant: str
    clips: int
    seconds: float
    """Speech in these clips."""
    rejected: int
    """Number of clips that were left out."""
    files: tuple[str, ...]
    """The shards that hold the clips, named as in :mod:`codecfake_builder.dataset.layout`."""
    endings: dict[str, int]
    """How an ALM's clips ended, see :class:`~codecfake_builder.dataset.records.ShardRecord`."""


@dataclass(frozen=True)
class Contents:
    """What a dataset holds: its counted clips, and what is known of the variants that made them."""

    recipe: Recipe
    cells: tuple[Cell, ...]
    """In the recipe's order of splits."""
    specs: dict[str, CodecSpec]
    """By variant: the codec that makes its waveforms, for an ALM the one it speaks through."""
    alms: dict[str, AlmSpec]
    """By variant: the audio language models."""
    classes: tuple[str, ...]
    """Class names by label."""
    imported: Mapping[str, ClipClass] = field(default_factory=dict)
    """The class of every variant of which clips were imported; it may have none in the dataset."""

    @property
    def splits(self) -> list[str]:
        """Return the names of the splits that hold clips, in the recipe's order."""
        return list(dict.fromkeys(cell.split for cell in self.cells if cell.clips))

    @property
    def families(self) -> list[str]:
        """Return the codec families in label order; fakes that no codec made come last."""
        labels = {spec.family: spec.label for spec in self.specs.values()}
        there = {cell.variant for cell in self.cells}
        labels |= {own.codec: own.label for variant, own in self.imported.items() if variant in there}
        labels.pop(REAL, None)
        return sorted(labels, key=lambda family: (labels[family] == NO_LABEL, labels[family]))

    @property
    def codecs(self) -> list[CodecSpec]:
        """Return the codec variants that made clips, in label order."""
        codecs = {spec.name: spec for spec in self.specs.values()}
        return sorted(codecs.values(), key=lambda spec: (spec.label, spec.name))

    def family(self, variant: str) -> str:
        """Return the class name of a variant."""
        if variant in self.specs:
            return self.specs[variant].family
        return REAL if variant == REAL else self.imported[variant].codec

    def origin(self, cell: Cell) -> Origin:
        """Return the origin of a cell's clips, which all have the same."""
        built = cell.variant in self.recipe.splits[cell.split].variants
        imported = cell.variant in self.imported and not built
        alm = cell.variant if cell.variant in self.alms else None
        return clip_origin(self.family(cell.variant), alm, imported)

    def files(self, split: str) -> list[str]:
        """Return the shards of a split."""
        return [file for cell in self.cells if cell.split == split for file in cell.files]

    def _patterns(self, split: str, family: str) -> list[str]:
        """Return glob patterns of the shards that hold one class of a split."""
        cells = [cell for cell in self.cells if cell.split == split and self.family(cell.variant) == family]
        return _shard_patterns(cell for cell in cells if cell.files)

    def _real(self, split: str) -> list[str]:
        """Return glob patterns of the real speech that a split's fake clips are compared with: the split's own, or that
        of a split with the same utterances."""
        source = self.recipe.selected_by(split)
        twins = [split, *(name for name in self.splits if self.recipe.selected_by(name) == source)]
        return next((files for name in twins if (files := self._patterns(name, REAL))), [])

    def configs(self) -> dict[str, dict[str, list[str]]]:
        """Return the Hugging Face configs, each as file patterns by split.

        There is one with everything, one for each codec family together with real speech, one for each origin that has
        clips, and one without audio.
        """
        configs = {ALL_CONFIG: {split: [layout.shard_pattern(split)] for split in self.splits}}
        for family in self.families:
            own = {split: self._patterns(split, family) for split in self.splits}
            configs[family] = {split: [*self._real(split), *files] for split, files in own.items() if files}
        for origin in Origin:
            cells = [cell for cell in self.cells if cell.files and self.origin(cell) is origin]
            found = {split: _shard_patterns(cell for cell in cells if cell.split == split) for split in self.splits}
            if cells:
                configs[origin.value] = {split: files for split, files in found.items() if files}
        configs[NO_AUDIO_CONFIG] = {split: [layout.metadata(split)] for split in self.splits}
        return configs


def refuse_config_names(families: Iterable[str]) -> None:
    """Refuse codec families with the name of a Hugging Face config that holds other clips.

    Raises:
        RecipeError: there is one; names it.
    """
    for family in sorted(set(families) & _RESERVED_CONFIGS):
        raise RecipeError(
            f"codec family {family}: load_dataset has a config of that name with other clips; choose another name"
        )


def _shard_patterns(cells: Iterable[Cell]) -> list[str]:
    """Return the glob pattern of each cell's shards."""
    return [layout.shard_pattern(cell.split, cell.variant) for cell in cells]


def count_contents(
    recipe: Recipe,
    splits: Iterable[str],
    records: Iterable[ShardRecord],
    made_by: dict[str, ResolvedVariant],
    classes: tuple[str, ...],
    imported: Mapping[str, ClipClass],
) -> Contents:
    """Count the clips of every split and variant.

    Args:
        recipe: recipe of the dataset.
        splits: names of its splits, in the recipe's order.
        records: of all shards.
        made_by: what makes the clips of each variant but ``real``.
        classes: class names by label.
        imported: the class of every variant of which clips were imported.
    """
    grouped: dict[tuple[str, str], list[ShardRecord]] = {}
    for record in sorted(records, key=lambda record: record.file):
        grouped.setdefault(layout.cell_of(record.file), []).append(record)
    cells = []
    for split in splits:
        listed = [variant for variant in recipe.splits[split].variants if variant != IMPORTED]
        exist = sorted({variant for own_split, variant in grouped if own_split == split} - set(listed))
        for variant in [*listed, *exist]:
            own = grouped.get((split, variant), [])
            cells.append(
                Cell(
                    split=split,
                    variant=variant,
                    clips=sum(record.clips for record in own),
                    seconds=sum(record.seconds for record in own),
                    rejected=sum(len(record.rejected) for record in own),
                    files=tuple(record.file for record in own if record.clips),
                    endings=dict(sum((Counter(record.endings) for record in own), Counter())),
                )
            )
    specs = {name: speaking_codec(made).spec for name, made in made_by.items()}
    alms = {name: made.spec for name, made in made_by.items() if isinstance(made, ResolvedAlm)}
    return Contents(recipe, tuple(cells), specs, alms, classes, imported)
