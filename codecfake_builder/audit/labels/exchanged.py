"""Find clips that carry each other's labels: within some utterances, or throughout one pool of splits.

Where two labels of an utterance fit better the other way round, clearly so and more often than the discriminant errs,
they were exchanged. Two settings of one codec may sound alike: classes that are not told apart are left out. What is
exchanged everywhere alike cannot be found.

Measured on the embedded edition, by exchanging two labels in two utterances of 8 to 24: 57 of 63 pairs of classes of
train, dev and eval_id were found, and all 21 that were exchanged throughout train. 84 drawn sets of right labels raised
no alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import binom, poisson

from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status
from codecfake_builder.audit.labels.discriminant import (
    LEAST_UTTERANCES,
    Floats,
    Grid,
    Ints,
    Told,
    advantages,
    discriminant,
    fitted,
    grid_of,
    relative,
    told_apart,
)
from codecfake_builder.audit.leakage.splits import pool_names

LINE = "labels"
FALSE_ALARMS = 0.01
"""Chance of one in an audit of clips whose labels are right."""
REVERSED = -0.5
"""Two labels of an utterance are exchanged where the discriminant, relative to its median, is below this; it is -1 for
labels that were."""


@dataclass(frozen=True)
class _Swap:
    """Labels that go round in some utterances."""

    classes: tuple[str, ...]
    utterances: Ints
    """Numbers in the grid."""
    chance: float
    """That right labels look so in as many utterances, for these classes alone."""


def labels(clips: Clips, features: Any) -> list[Finding]:
    """Find clips that carry each other's labels.

    Args:
        clips: what to look at.
        features: float ``[clips, features]``: :func:`timbre` of each.
    """
    names = pool_names(clips)
    grids = {
        pool: grid for pool in range(len(names)) if (grid := grid_of(clips, features, clips.pool == pool)) is not None
    }
    if not grids:
        said = f"no pool of splits has {LEAST_UTTERANCES} utterances with a clip of each of its classes"
        return [Finding(LINE, "all", Status.SKIPPED, said)]
    split = clips.table["split"].astype(str).to_numpy()
    parts = {
        (pool, name): part
        for pool in grids
        for name in dict.fromkeys(split[clips.pool == pool])
        if name != names[pool] and (part := grid_of(clips, features, split == name)) is not None
    }
    looks = len(grids) + len(parts)
    rest = {pool: [grid for other, grid in grids.items() if other != pool] for pool in grids}
    found = [
        finding for pool, grid in grids.items() for finding in _within(clips, names[pool], grid, rest[pool], looks)
    ]
    failing = {finding.where for finding in found}
    for (pool, name), part in parts.items():  # among fewer classes there may be none that sound like another
        if names[pool] not in failing:
            found += _within(clips, name, part, rest[pool], looks)
    for (here, first), (there, second) in combinations(grids.items(), 2):
        found += _between(f"{names[here]} / {names[there]}", first, second)
    looked = ", ".join(f"{len(grid.values)} utterances of {len(grid.classes)} classes" for grid in grids.values())
    return found or [Finding(LINE, "all", Status.PASS, f"each label fits its clip best: {looked}")]


def _within(clips: Clips, where: str, grid: Grid, others: Sequence[Grid], tests: int) -> Iterator[Finding]:
    """Yield a line where labels are exchanged in some utterances of a pool."""
    swaps, expected = _swaps(grid, others)
    number = sum(len(swap.utterances) for swap in swaps)
    together = float(poisson.sf(number - 1, expected))
    limit = FALSE_ALARMS / tests / 2
    certain = swaps if number > 1 and together <= limit else [swap for swap in swaps if swap.chance <= limit]
    if not certain:
        return
    ids = clips.table["id"].astype(str).to_numpy()
    named = [
        " <-> ".join(ids[grid.rows[utterance, grid.classes.index(name)]] for name in swap.classes)
        for swap in certain
        for utterance in swap.utterances
    ]
    kinds = [f"{', '.join(swap.classes)} in {len(swap.utterances)}" for swap in certain]
    yield Finding(
        LINE,
        where,
        Status.FAIL,
        f"labels are exchanged in some of {len(grid.values)} utterances: {'; '.join(kinds)}",
        {"exchanged": [{"classes": list(s.classes), "utterances": len(s.utterances)} for s in certain], "clips": named},
        tuple(dict.fromkeys(name for swap in certain for name in swap.classes)),
        tuple(named[:EXAMPLES]),
    )


def _swaps(grid: Grid, others: Sequence[Grid]) -> tuple[list[_Swap], float]:
    """Return what is exchanged, and how many utterances would look so by chance."""
    alone = advantages(fitted(grid)[0])  # two settings of one codec may differ otherwise in another pool
    fits, scales, assigned = fitted(grid, others)
    pairs = advantages(fits) / np.where(scales > 0, scales, 1)
    found: dict[tuple[int, ...], list[int]] = {}
    for utterance, order in enumerate(assigned):
        for cycle in _cycles(order):
            found.setdefault(_shortest(cycle, pairs[utterance]), []).append(utterance)
    first = _pairs_told(pairs, found, {})
    told = _pairs_told(pairs, found, {c: own for c, own in found.items() if all(edge in first for edge in _edges(c))})
    told = _well_told(told, len(grid.classes))
    swaps = []
    for cycle, own in sorted(found.items()):
        edges = _edges(cycle)
        if not all(edge in told for edge in edges):
            continue
        # of three classes two need not look exchanged, each holding the third one's clip
        edge = edges[0]
        clear = [
            u for u in own if len(cycle) > 2 or (told[edge].depth(pairs[u][edge]) <= REVERSED and alone[u][edge] < 0)
        ]
        if clear:
            chance = max(told[edge].chance(max(pairs[u][edge] for u in clear)) for edge in edges)
            names = tuple(grid.classes[place] for place in cycle)
            corrected = float(binom.sf(len(clear) - 1, len(pairs), chance)) * len(pairs[0]) * (len(pairs[0]) - 1) / 2
            swaps.append(_Swap(names, np.array(clear), corrected))
    expected = sum(apart.chance(REVERSED * apart.median) for apart in told.values()) * len(pairs)
    return swaps, expected


def _edges(cycle: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the pairs of classes of which one has the other's clip."""
    return [(min(pair), max(pair)) for pair in zip(cycle, (*cycle[1:], cycle[0]), strict=True)]


def _pairs_told(
    pairs: Floats, found: dict[tuple[int, ...], list[int]], clear: dict[tuple[int, ...], list[int]]
) -> dict[tuple[int, int], Told]:
    """Return the discriminants of the pairs that are told apart.

    Args:
        pairs: ``[utterances, classes, classes]``: advantages of the labels as they are.
        found: where labels may be exchanged; left out for pairs both of whose labels are.
        clear: where they are, by classes that are told apart; left out for pairs one of whose labels is, too.
    """
    told, places = {}, np.arange(len(pairs))
    for pair in combinations(range(pairs.shape[1]), 2):
        moved = [utterance for cycle, own in found.items() if set(pair) <= set(cycle) for utterance in own]
        touched = [utterance for cycle, own in clear.items() if set(pair) & set(cycle) for utterance in own]
        if (apart := told_apart(pairs[:, *pair], ~np.isin(places, moved + touched))) is not None:
            told[pair] = apart
    return told


def _well_told(told: dict[tuple[int, int], Told], classes: int) -> dict[tuple[int, int], Told]:
    """Return the pairs whose classes are told from at least half of all others: of many that the discriminant knows
    nothing of, a few look well told apart by chance."""
    degrees = np.bincount([place for pair in told for place in pair], minlength=classes)
    return {pair: apart for pair, apart in told.items() if 2 * degrees[list(pair)].min() >= classes - 1}


def _cycles(order: Ints) -> Iterator[tuple[int, ...]]:
    """Yield the cycles of a permutation."""
    left = {place for place, label in enumerate(order) if place != label}
    while left:
        cycle = [min(left)]
        while (following := int(order[cycle[-1]])) != cycle[0]:
            cycle.append(following)
        left -= set(cycle)
        yield tuple(cycle)


def _shortest(cycle: tuple[int, ...], pairs: Floats) -> tuple[int, ...]:
    """Return a cycle, or two of its classes where exchanging these alone explains nearly as much: others only sound
    like one of them."""
    if len(cycle) == 2:
        return tuple(sorted(cycle))
    best = min(combinations(sorted(cycle), 2), key=lambda pair: pairs[pair])
    return best if pairs[best] < 1.5 * REVERSED else cycle


def _between(where: str, first: Grid, second: Grid) -> Iterator[Finding]:
    """Yield a line where two pools call two classes the other way round: each tells them apart, and what one learned
    says of most utterances of the other that they are exchanged. Chance has no part in that."""
    common = tuple(name for name in first.classes if name in second.classes)
    if len(common) < 2:
        return
    grids = first.of(common), second.of(common)
    inside = [_inside(grid) for grid in grids]
    crossed = [_crossed(*grids), _crossed(*reversed(grids))]
    for here, there in combinations(range(len(common)), 2):
        pair = here, there
        shares = [float((own[:, here, there] < 0).mean()) for own in crossed]
        depths = [float(np.median(own[:, here, there])) for own in crossed]
        reliable = all(told[pair] for told in inside)
        utterances = min(len(own) for own in crossed)
        if reliable and min(shares) > 0.5 and max(depths) < REVERSED:
            names = common[here], common[there]
            yield Finding(
                LINE,
                where,
                Status.FAIL,
                f"{names[0]} of one is called {names[1]} in the other, and the other way round, in "
                f"{min(shares):.0%} of {utterances} utterances",
                {"exchanged": list(names), "shares": shares},
                names,
            )


def _inside(grid: Grid) -> Any:
    """Return which pairs of classes a pool tells apart within itself, ``[classes, classes]``."""
    fits, scales, _ = fitted(grid)
    pairs = advantages(fits) / np.where(scales > 0, scales, 1)
    everywhere = np.ones(len(pairs), dtype=bool)
    return np.array([[told_apart(own, everywhere) is not None for own in row] for row in pairs.transpose(1, 2, 0)])


def _crossed(learn: Grid, predict: Grid) -> Floats:
    """Return the advantages of the labels of one pool by what was learned from another, 1 where they agree and -1 where
    they are exchanged."""
    centres, weights = discriminant(relative(learn))
    fits = relative(predict) @ weights
    scales = advantages((centres @ weights)[None])
    return advantages(fits) / np.where(scales > 0, scales, 1)
