"""Make a plan: index the corpora and select the utterances of every split.

The same recipe and the same indexes give the same plan on any machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from codec_adapters.catalogue import Catalogue
from codecfake_builder.clip_class import ClipClass, clip_class
from codecfake_builder.corpora.index import CorpusIndex, index_corpus
from codecfake_builder.errors import CorpusError, PlanError
from codecfake_builder.plan.duplicates import copies, notes_on_copies, refuse_two_labels, superfluous
from codecfake_builder.plan.plan import LEFT_OUT, UTTERANCES, Note, Plan, PlannedSplit, Rows
from codecfake_builder.plan.selection import Selection
from codecfake_builder.progress import say
from codecfake_builder.recipe.resolve import Resolved
from codecfake_builder.recipe.schema import IMPORTED, Recipe, Split
from codecfake_builder.rejections import RejectionReason


def make_plan(resolved: Resolved, limit: int | None = None) -> Plan:
    """Index the corpora and select the utterances of every split.

    Args:
        resolved: a checked recipe with its catalogue.
        limit: number of utterances to which the largest split is scaled down, and the others with it (a trial).

    Raises:
        CorpusError: a corpus is not there or in another layout.
        PlanError: the corpora hold fewer utterances than the recipe asks for.
    """
    notes: list[str] = []
    catalogue = resolved.catalogue
    recipe = _without_absent(_without_weightless(resolved, notes), notes)
    rootless = [f"--set corpora.{name}.root=FOLDER" for name, config in recipe.corpora.items() if not config.located()]
    if rootless:
        raise CorpusError(
            f"corpora without a root; give {' '.join(rootless)} (=null in place of .root=... to do without)"
        )
    indexes = []
    for name, config in recipe.corpora.items():
        try:
            indexes.append(index_corpus(name, config, catalogue, recipe.execution.read_timeout))
        except CorpusError as error:
            raise CorpusError(f"corpora.{name}: {error}") from error
    utterances, left_out = _usable_and_left_out(recipe, indexes, notes)
    try:
        selection = Selection(recipe, utterances, limit)
    except PlanError as error:
        raise PlanError(
            "; ".join([str(error), *_speakers(indexes, str(error)), *_useless(indexes, left_out)])
        ) from error
    splits = tuple(
        _planned_split(name, split, selection.rows[name], utterances) for name, split in recipe.splits.items()
    )
    _check_disjoint(splits)
    notes += [f"{index.name}: {note}" for index in indexes for note in index.notes]
    notes += [said for said in _useless(indexes, left_out) if said.startswith("none ")]
    all_notes = [
        *(Note(text=note) for note in notes),
        *selection.notes,
        *_notes_on_texts(splits, utterances, catalogue),
    ]
    return Plan(
        utterances,
        {index.name: index.root for index in indexes},
        splits,
        left_out,
        tuple(all_notes),
        _imported_classes(utterances, catalogue),
    )


def _planned_split(name: str, split: Split, rows: Rows, utterances: pa.Table) -> PlannedSplit:
    """Return a split with its rows, those of imported clips by their variant."""
    made = utterances["variant"].take(pa.array(rows)).to_pylist()
    imported = {
        variant: rows[np.array([own == variant for own in made], dtype=bool)]
        for variant in sorted({own for own in made if own is not None})
    }
    speech = rows[np.array([own is None for own in made], dtype=bool)]
    variants = tuple(variant for variant in split.variants if variant != IMPORTED)
    if variants and not len(speech):
        raise PlanError(f"splits.{name}: its corpora hold no speech for {', '.join(variants)}, only finished clips")
    if not variants and not imported:
        raise PlanError(f"splits.{name}: {IMPORTED} is all it takes, and its corpora hold no finished clips for it")
    if twice := sorted(set(variants) & set(imported)):
        raise PlanError(
            f"splits.{name}: clips of {', '.join(twice)} exist already in its corpora; a split has either these or new "
            "ones of a variant"
        )
    return PlannedSplit(name, variants, speech, imported)


def _imported_classes(utterances: pa.Table, catalogue: Catalogue) -> dict[str, ClipClass]:
    """Return the class of each variant of imported clips; refuse a variant that has two."""
    codecs: dict[str, str] = {}
    pairs = utterances.select(["variant", "codec"]).filter(pc.is_valid(utterances["variant"]))
    for pair in pairs.group_by(["variant", "codec"]).aggregate([]).to_pylist():
        other = codecs.setdefault(pair["variant"], pair["codec"])
        if other != pair["codec"]:
            raise PlanError(f"clips of variant {pair['variant']} are said to be {other} and {pair['codec']} too")
    return {variant: clip_class(catalogue, codec, variant) for variant, codec in sorted(codecs.items())}


def _without_weightless(resolved: Resolved, notes: list[str]) -> Recipe:
    """Return the recipe without the optional splits of an ALM whose weights are neither official nor given."""
    recipe = resolved.recipe
    local_only = {spec.name for spec in resolved.catalogue.alms() if spec.local_only}
    lacking = (local_only & set(resolved.variants())) - set(recipe.weights)
    gone: list[str] = []
    for name, split in recipe.splits.items():
        if (split.optional and lacking & set(split.variants)) or split.same_as in gone:
            gone.append(name)
    if not gone:
        return recipe
    wanted = " ".join(f"--set weights.{name}=FOLDER" for name in sorted(lacking))
    notes.append(f"left out, since no weights are given ({wanted}): {', '.join(gone)}")
    kept = {name: split for name, split in recipe.splits.items() if name not in gone}
    return recipe.model_copy(update={"splits": kept})


def _without_absent(recipe: Recipe, notes: list[str]) -> Recipe:
    """Return the recipe without the optional corpora that have no root, and the splits that need them."""
    absent = {name for name, corpus in recipe.corpora.items() if corpus.optional and not corpus.located()}
    if not absent:
        return recipe
    recipe = recipe.model_copy(update={"splits": _without_draws(recipe, absent, notes)})
    kept = {name: split for name, split in recipe.splits.items() if not absent & set(recipe.split_corpora(name))}
    gone = [name for name in recipe.splits if name not in kept]
    notes.append(f"left out, since no root is given for {', '.join(sorted(absent))}: {', '.join(gone) or 'no split'}")
    if not kept:
        raise PlanError("no split is left: every one needs a corpus that has no root (--set corpora.NAME.root=FOLDER)")
    corpora = {name: corpus for name, corpus in recipe.corpora.items() if name not in absent}
    return recipe.model_copy(update={"corpora": corpora, "splits": kept})


def _without_draws(recipe: Recipe, absent: set[str], notes: list[str]) -> dict[str, Split]:
    """Return the splits; those that draw a number from each of several corpora draw nothing from absent ones."""
    splits = dict(recipe.splits)
    for name, split in recipe.splits.items():
        if isinstance(split.draw, dict) and absent & split.draw.keys() and split.draw.keys() - absent:
            without = sorted(absent & split.draw.keys())
            notes.append(f"{name}: without the utterances of {', '.join(without)}, for which no root is given")
            left = {corpus: number for corpus, number in split.draw.items() if corpus not in absent}
            splits[name] = split.model_copy(update={"draw": left})
    return splits


def _usable_and_left_out(recipe: Recipe, indexes: list[CorpusIndex], notes: list[str]) -> tuple[pa.Table, pa.Table]:
    """Return a table of the usable utterances of all corpora, and one of those left out."""
    usable, left_out = [], []
    for index in indexes:
        left_out.append(_with_corpus(index.unusable, index.name).select(LEFT_OUT.names))
        good = _with_corpus(index.usable, index.name)
        seconds = pc.divide(pc.cast(good["samples"], pa.float64()), good["sample_rate"])
        short = pc.less(seconds, recipe.audio.min_seconds)
        long = pc.greater(seconds, recipe.audio.max_seconds)
        for wrong, reason, limit in (
            (short, RejectionReason.TOO_SHORT, "min_seconds"),
            (long, RejectionReason.TOO_LONG, "max_seconds"),
        ):
            left_out.append(_left_out(good.filter(wrong), reason, f"audio.{limit} is {getattr(recipe.audio, limit):g}"))
        within = good.filter(pc.invert(pc.or_(short, long)))
        usable.append(within.sort_by([("utterance_id", "ascending"), ("path", "ascending")]))
    once, twice = _without_copies(recipe, pa.concat_tables(usable).combine_chunks(), notes)
    order = [("corpus", "ascending"), ("utterance_id", "ascending"), ("path", "ascending")]
    utterances = once.select(UTTERANCES.names).sort_by(order).combine_chunks()
    return utterances, pa.concat_tables([*left_out, twice]).sort_by(order)


def _without_copies(recipe: Recipe, utterances: pa.Table, notes: list[str]) -> tuple[pa.Table, pa.Table]:
    """Return the utterances without those that are the same audio as one before them, and the latter."""
    sets = list(copies(utterances))
    refuse_two_labels(sets)
    keep = recipe.assignment.duplicates == "keep"
    notes += notes_on_copies(sets, keep)
    first_of = {} if keep else superfluous(sets)
    once = np.ones(utterances.num_rows, dtype=bool)
    once[list(first_of)] = False
    columns = [utterances.take(pa.array(sorted(first_of), pa.int64()))[name] for name in LEFT_OUT.names[:3]]
    details = [f"{first_of[row]} is the same audio" for row in sorted(first_of)]
    twice = pa.table([*columns, [RejectionReason.DUPLICATE_AUDIO] * len(details), details], schema=LEFT_OUT)
    return utterances.filter(pa.array(once)), twice


def _speakers(indexes: list[CorpusIndex], problem: str) -> Iterator[str]:
    """Yield what says who speaks, where a problem is about speakers."""
    if problem.startswith("speaker_disjoint"):
        notes = [f"{index.name}: {note}" for index in indexes for note in index.notes]
        yield from (note for note in notes if ": who speaks" in note)


def _useless(indexes: list[CorpusIndex], left_out: pa.Table) -> Iterator[str]:
    """Yield per corpus how many of its utterances cannot be used, with the reasons and an example of the commonest."""
    for index in indexes:
        own = left_out.filter(pc.equal(left_out["corpus"], index.name)).to_pylist()
        counts = Counter(row["reason"] for row in own).most_common()
        if counts:
            example = next(row for row in own if row["reason"] == counts[0][0])
            number = "none" if len(own) == index.table.num_rows else f"only {index.table.num_rows - len(own)}"
            reasons = ", ".join(f"{reason} {count}" for reason, count in counts)
            yield (
                f"{number} of the {index.table.num_rows} utterances of {index.name} can be used ({reasons}; e.g. "
                f"{example['path'] or example['utterance_id']}: {example['detail']})"
            )


def _with_corpus(table: pa.Table, corpus: str) -> pa.Table:
    return table.add_column(0, UTTERANCES.field("corpus"), pa.array([corpus] * table.num_rows, pa.string()))


def _left_out(table: pa.Table, reason: RejectionReason, detail: str) -> pa.Table:
    columns = [table[name] for name in ("corpus", "utterance_id", "path")]
    return pa.table([*columns, [reason] * table.num_rows, [detail] * table.num_rows], schema=LEFT_OUT)


def _check_disjoint(splits: tuple[PlannedSplit, ...]) -> None:
    """Refuse a clip (an utterance through a variant) that is in two splits."""
    for number, first in enumerate(splits):
        for second in splits[number + 1 :]:
            variants = sorted(set(first.variants) & set(second.variants))
            common = len(np.intersect1d(first.rows, second.rows)) if variants else 0
            for variant in sorted(set(first.imported) & set(second.imported)):
                twice = len(np.intersect1d(first.imported[variant], second.imported[variant]))
                common, variants = common + twice, [*variants, variant] if twice else variants
            if common:
                raise PlanError(
                    f"splits.{second.name}: {common} of its {len(second.rows)} utterances are in {first.name} too, "
                    f"with the same variants ({', '.join(variants)}); a clip can be in one split only"
                )


def _notes_on_texts(splits: tuple[PlannedSplit, ...], utterances: pa.Table, catalogue: Catalogue) -> Iterator[Note]:
    """Yield notes on utterances that cannot prompt an ALM, since it needs a text that they do not have."""
    for split in splits:
        textless = pc.sum(pc.is_null(utterances["text"].take(pa.array(split.rows)))).as_py()
        alms = [catalogue.alm(name) for name in split.variants if catalogue.is_alm(name)]
        readers = [spec.name for spec in alms if {"text", "transcript"} & set(spec.prompt)]
        if textless and readers:
            text = (
                f"{split.name}: {textless} of {len(split.rows)} utterances have no text, so that {{names}} will make "
                "no clip of them (reason no_text)"
            )
            yield Note(text=text, split=split.name, names=tuple(readers))


def announce(plan: Plan) -> None:
    """Print the notes of a plan, and how many utterances it leaves out, on standard error."""
    for note in plan.notes:
        say(f"note: {note}")
    if plan.left_out.num_rows:
        counts = plan.left_out.group_by("reason").aggregate([("reason", "count")]).sort_by("reason").to_pylist()
        reasons = ", ".join(f"{row['reason']} {row['reason_count']}" for row in counts)
        say(f"note: {plan.left_out.num_rows} utterances cannot be used ({reasons}); rejected.parquet lists them")
