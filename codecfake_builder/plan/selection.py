"""Select the utterances of each split: by list, by drawing a number or a share, or by speaker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from codecfake_builder.corpora.base import UNKNOWN_SPEAKER
from codecfake_builder.corpora.utterance_lists import as_known, read_ids, read_labels, unlike
from codecfake_builder.errors import PlanError
from codecfake_builder.files import sha256_text
from codecfake_builder.plan.plan import Note, Rows
from codecfake_builder.plan.speakers import Speaker, assign_speakers, language_targets
from codecfake_builder.recipe.schema import IMPORTED, Recipe, Split


class Selection:
    """The rows of every split: listed utterances are selected first, then drawn ones, then shares of the rest.

    Drawn utterances come in the order of a hash of seed, corpus and id, which is the same on any machine.

    Args:
        recipe: with the splits and the seed.
        utterances: the usable utterances, schema ``planning.UTTERANCES``.
        limit: number of utterances to which the largest split is scaled down; ``None`` for no trial.

    Raises:
        PlanError: a split asks for utterances that the corpora do not have.
    """

    def __init__(self, recipe: Recipe, utterances: pa.Table, limit: int | None) -> None:
        self.recipe = recipe
        self.utterances = utterances
        self.notes: list[Note] = []
        self.rows: dict[str, Rows] = {}
        self._corpus = np.asarray(utterances["corpus"].to_pylist(), dtype=object)
        self._ids = utterances["utterance_id"].to_pylist()
        self._is_imported = np.asarray([codec is not None for codec in utterances["codec"].to_pylist()], dtype=bool)
        self._order = _by_priority(recipe.assignment.seed, self._corpus, self._ids)
        self._free = np.ones(utterances.num_rows, dtype=bool)
        self._listed = {name: self._read_list(name) for name, s in recipe.splits.items() if s.ids or s.labels}
        self._limit = limit
        self._scale = self._scaling()
        for name, listed in self._listed.items():
            self._take(name, self._rows_listed(name, listed))
        if recipe.assignment.method == "speaker_disjoint":
            self._select_speakers()
        else:
            self._select_drawn()
        for name, split in recipe.splits.items():
            if split.same_as is None:
                continue
            parent = self.rows[split.same_as]
            rows = self._narrowed(name, split.only, parent) if split.only else parent
            self.rows[name] = rows if split.corpora is None else rows[np.isin(self._corpus[rows], split.corpora)]
            if not len(self.rows[name]):
                raise PlanError(f"splits.{name}: {split.same_as} has no utterance of {split.corpora or 'its list'}")

    def _read_list(self, name: str) -> list[str]:
        split = self.recipe.splits[name]
        return read_ids(split.ids) if split.ids else read_labels(split.labels or Path())

    def _scaling(self) -> float:
        """Return the factor that scales the largest split down to the limit; 1 without one."""
        sizes = [float(len(ids)) for ids in self._listed.values()]
        for name, split in self.recipe.splits.items():
            sizes.append(float(sum(_draws(split).values())))
            sizes.append((split.share or 0) * len(self._pool(name)))
        return min(1.0, self._limit / max(sizes)) if self._limit else 1.0

    def _scaled(self, number: float) -> int:
        return max(1, round(number * self._scale))

    def _pool(self, name: str) -> Rows:
        """Return the free rows of the split's corpora in drawing order: speech, imported clips, or both."""
        order = self._order[self._free[self._order]]
        order = order[np.isin(self._corpus[order], self.recipe.split_corpora(name))]
        variants = self.recipe.splits[name].variants
        if IMPORTED not in variants:
            return order[~self._is_imported[order]]
        return order if len(variants) > 1 else order[self._is_imported[order]]

    def _take(self, name: str, rows: Rows) -> None:
        if not len(rows):
            raise PlanError(f"splits.{name}: no utterance is left for it; the corpora are too small for this recipe")
        self._free[rows] = False
        self.rows[name] = np.sort(rows)

    def _rows_listed(self, name: str, listed: list[str]) -> Rows:
        """Return the rows of the listed utterances that the split's corpora have."""
        pool = self._pool(name)
        there = {self._ids[row] for row in pool}
        wanted = set(as_known(listed, there))
        rows = np.array([row for row in pool if self._ids[row] in wanted], dtype=np.int64)
        absent = sorted(wanted - there)
        corpora = ", ".join(self.recipe.split_corpora(name))
        if not len(rows):
            raise PlanError(
                f"splits.{name}: none of its {len(wanted)} listed utterances is left in {corpora}"
                f"{unlike(listed, there)}"
            )
        self._check_absent(name, wanted, absent, f"in {corpora} (or belong to an earlier split)")
        self._free[rows] = False  # all of them: a trial must not draw the rest of an evaluation list for training
        return rows[: self._scaled(len(wanted))]

    def _narrowed(self, name: str, listing: str, parent: Rows) -> Rows:
        """Return the rows of another split that are on a list."""
        listed, there = read_ids(listing), {self._ids[row] for row in parent}
        wanted = set(as_known(listed, there))
        rows = np.array([row for row in parent if self._ids[row] in wanted], dtype=np.int64)
        if self._limit is None:
            self._check_absent(name, wanted, sorted(wanted - there), f"in {self.recipe.splits[name].same_as}")
            if not len(rows):
                raise PlanError(
                    f"splits.{name}: none of the {len(wanted)} utterances of its list is there{unlike(listed, there)}"
                )
        return rows

    def _check_absent(self, name: str, wanted: set[str], absent: list[str], where: str) -> None:
        """Refuse listed utterances that cannot be had, or note them where the split skips them."""
        if absent and self.recipe.splits[name].missing == "error" and self._limit is None:
            raise PlanError(
                f"splits.{name}: {len(absent)} of its {len(wanted)} listed utterances are not {where}, e.g. "
                f"{', '.join(absent[:3])}; set splits.{name}.missing=skip to build without them"
            )
        if absent:
            text = f"{name}: {len(absent)} of {len(wanted)} listed utterances are not {where}"
            self.notes.append(Note(text=text, split=name))

    def _select_drawn(self) -> None:
        for name, split in self.recipe.splits.items():
            if split.draw:
                drawn = [self._draw(name, corpus, self._scaled(number)) for corpus, number in _draws(split).items()]
                self._take(name, np.concatenate(drawn))
        shares = {name: split.share for name, split in self.recipe.splits.items() if split.share}
        pools = {name: self._pool(name) for name in shares}
        for name, share in shares.items():
            free = pools[name][self._free[pools[name]]]
            self._take(name, free[: self._scaled(share * len(pools[name]))])

    def _draw(self, name: str, corpus: str | None, number: int) -> Rows:
        """Return the first ``number`` rows of the split's pool, or of one corpus in it."""
        pool = self._pool(name)
        if corpus is not None:
            pool = pool[self._corpus[pool] == corpus]
        if self.recipe.splits[name].missing == "skip" and len(pool) < number:
            text = f"{name}: {len(pool)} of {number} utterances to draw are in {corpus or 'its corpora'}"
            self.notes.append(Note(text=text, split=name))
        else:
            self._refuse_small(name, number, len(pool), corpus)
        return pool[:number]

    def _refuse_small(self, name: str, wanted: int, found: int, corpus: str | None = None) -> None:
        if found < wanted:
            place = f"splits.{name}.draw" if corpus is None else f"splits.{name}.draw.{corpus}"
            raise PlanError(
                f"splits.{name}: asks for {wanted} utterances, {found} are left in "
                f"{corpus or ', '.join(self.recipe.split_corpora(name))}; lower {place}, set "
                f"splits.{name}.missing=skip to take what there is, or use --limit for a trial"
            )

    def _select_speakers(self) -> None:
        """Select speaker-disjoint splits, separately for each set of splits that draw from the same corpora."""
        groups: dict[tuple[str, ...], dict[str, Split]] = {}
        for name, split in self.recipe.splits.items():
            if split.draw or split.share:
                groups.setdefault(tuple(self.recipe.split_corpora(name)), {})[name] = split
        for corpora, splits in groups.items():
            if len({IMPORTED in split.variants for split in splits.values()}) > 1:
                raise PlanError(
                    f"speaker_disjoint: splits of finished clips and splits of speech ({', '.join(splits)}) cannot "
                    f"share {', '.join(corpora)}; use assignment.method: paper"
                )
            self._select_group(splits)

    def _select_group(self, splits: dict[str, Split]) -> None:
        pool = self._pool(next(iter(splits)))
        wanted = {
            name: float(sum(_draws(split).values()) or (split.share or 0) * len(pool)) for name, split in splits.items()
        }
        equal = self.recipe.assignment.languages == "equal"
        rows_of = self._rows_by_speaker(pool)
        speakers = list(rows_of)
        targets = language_targets(wanted, speakers, equal)
        seed = self.recipe.assignment.seed
        unknown = list(self._unknown_speakers(pool)) if len(splits) > 1 else []
        try:
            assigned = assign_speakers(targets, speakers, lambda s: sha256_text(f"{seed}/{s.corpus}/{s.name}"))
        except PlanError as error:
            if not unknown:
                raise
            hints = [f"{said}; {hint}" for said, hint in unknown]
            more = str(error).removeprefix("speaker_disjoint: ")
            raise PlanError(f"speaker_disjoint: {'; '.join([*hints, more])}") from error
        self.notes += [Note(text=f"{said}; they count as one speaker, in one split") for said, _ in unknown]
        for name, chosen in assigned.items():
            by_language = {
                language: np.concatenate([rows_of[s] for s in chosen if s.language == language] or [pool[:0]])
                for language in targets
            }
            self._take(
                name, self._rows_by_target(name, by_language, {lang: t[name] for lang, t in targets.items()}, equal)
            )

    def _unknown_speakers(self, pool: Rows) -> Iterator[tuple[str, str]]:
        """Yield for each corpus of whose utterances nobody says who speaks: that, and what the recipe could say."""
        names = self.utterances["speaker"].to_pylist()
        for corpus, config in self.recipe.corpora.items():
            own = pool[self._corpus[pool] == corpus]
            unknown = [row for row in own if names[row] == UNKNOWN_SPEAKER]
            if unknown and getattr(config, "speaker", None) != UNKNOWN_SPEAKER:
                given = f"give corpora.{corpus} {config.says_speaker}, or " if config.says_speaker else ""
                yield (
                    f"who speaks is not known of {len(unknown)} of the {len(own)} utterances of "
                    f"corpora.{corpus}, e.g. {min(self._ids[row] for row in unknown)}",
                    f"{given}leave them out (corpora.{corpus}.exclude_speakers=[{UNKNOWN_SPEAKER}])",
                )

    def _rows_by_target(self, name: str, by_language: dict[str, Rows], targets: dict[str, float], equal: bool) -> Rows:
        """Return the rows of one split out of those of its speakers: as many of each language as its target says."""
        rank = np.empty(len(self._order), dtype=np.int64)
        rank[self._order] = np.arange(len(self._order))
        split = self.recipe.splits[name]
        numbers = {lang: self._scaled(target) if target else 0 for lang, target in targets.items()}
        if split.draw:
            for language, rows in by_language.items():
                self._refuse_small(f"{name} ({language})", numbers[language], len(rows))
        if split.share and self._scale == 1.0 and not equal:
            numbers = {language: len(rows) for language, rows in by_language.items()}
        if equal:
            least = min(min(numbers[language], len(rows)) for language, rows in by_language.items())
            numbers = dict.fromkeys(numbers, least)
        return np.concatenate(
            [rows[np.argsort(rank[rows])][: numbers[language]] for language, rows in by_language.items()]
        )

    def _rows_by_speaker(self, pool: Rows) -> dict[Speaker, Rows]:
        names = self.utterances["speaker"].to_pylist()
        languages = self.utterances["language"].to_pylist()
        rows: dict[tuple[str, str], list[int]] = {}
        for row in np.sort(pool):
            rows.setdefault((self._corpus[row], names[row]), []).append(int(row))
        return {
            Speaker(corpus, name, languages[own[0]], len(own)): np.array(own) for (corpus, name), own in rows.items()
        }


def _draws(split: Split) -> dict[str | None, int]:
    """Return how many utterances a split draws, by corpus; ``None`` stands for all of its corpora together."""
    if isinstance(split.draw, dict):
        return dict(split.draw.items())
    return {None: split.draw} if split.draw else {}


def _by_priority(seed: int, corpora: Any, ids: list[str]) -> Rows:
    """Return row numbers in drawing order: sorted by a hash of seed, corpus and id, the same on any machine."""
    keys = [
        hashlib.sha256(f"{seed}/{corpus}/{identity}".encode()).digest()
        for corpus, identity in zip(corpora, ids, strict=True)
    ]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
