"""``add-codec``: load a codec, collect its facts, run conformance, write its codec file, and extend a dataset. A codec
that fails leaves no file behind.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codec_adapters.catalogue import Catalogue
from codec_adapters.entry import Entry
from codec_adapters.errors import CodecError
from codec_adapters.external.trust import codec_file_code
from codec_adapters.loading import load_codec
from codecfake_builder.changes.drafts import CODEC_FILE, FOLDER, Draft
from codecfake_builder.changes.fact_sheet import Ask, FactSheet, first_facts, learn_by_measuring, rough_hop
from codecfake_builder.changes.target import Target, codec_edit
from codecfake_builder.conformance.settings import THOROUGH, Settings
from codecfake_builder.conformance.suite import CheckResult, failed, run_suite
from codecfake_builder.conformance.under_test import load_or_explain
from codecfake_builder.devices import settle_numerics
from codecfake_builder.errors import BuilderError

if TYPE_CHECKING:
    from codec_adapters.base import Adapter
    from codecfake_builder.changes.build import BuildResult


@dataclass(frozen=True)
class Request:
    """What the user asked to add."""

    name: str
    draft: Callable[[Path], Draft]
    """Makes the draft in an empty folder."""
    given: Mapping[str, Any]
    """Facts by name; ``None`` where nothing was said."""
    target: Target
    splits: list[str] | None = None
    force: bool = False
    device: str = "cpu"
    settings: Settings = THOROUGH
    ask: Ask | None = None


@dataclass
class Added:
    """The result of adding a codec."""

    facts: FactSheet
    results: list[CheckResult]
    splits: list[str] = field(default_factory=list)
    folder: Path | None = None
    """Where the codec's files are; ``None``: it was not added."""
    build: BuildResult | None = None


def add_codec(request: Request, report: Callable[[Added], None]) -> Added:
    """Add a codec.

    Args:
        report: is told the facts and the verdicts before anything is written.

    Raises:
        BuilderError, CodecError: it cannot be loaded, its facts cannot be known, or the recipe cannot take it in.
    """
    name, target = request.name, request.target
    refuse_name(name, target.catalogue)
    settle_numerics()
    with _drafted(request) as draft:
        facts, splits = _learned(request, draft)
        entry = draft.entry(facts.codec(), facts.notes())
        adapter = _loaded(entry, request.device)
        results = run_suite(adapter, request.settings, lambda: _loaded(entry, request.device))
        added = Added(facts, results, splits)
        report(added)
        if failed(results) and not request.force:
            return added
        target.refuse_changed()
        added.folder = _settle(draft, target.folder / FOLDER / name)
        if (added.folder / CODEC_FILE).is_file() and (code := codec_file_code(added.folder / CODEC_FILE)):
            code.trust()  # the user named it
    resolved = target.edited(codec_edit(name, splits, target.catalogue.with_entries(entry), draft.recipe_entry()))
    if resolved is not None and target.dataset is not None:
        from codecfake_builder.changes.build import build

        added.build = build(resolved, target.dataset, target.limit, based_on=target.state)
    return added


def refuse_name(name: str, catalogue: Catalogue) -> None:
    """Raise :class:`BuilderError` for a name that cannot be one, or that another codec of the catalogue has."""
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise BuilderError(f"{name}: a codec's name has letters, digits and underscores only")
    if name in catalogue:
        raise BuilderError(f"{name}: a codec of this name is there already; choose another, or remove-codec it first")


@contextmanager
def _drafted(request: Request) -> Iterator[Draft]:
    """Make the draft in a temporary folder, which is deleted afterwards unless it was moved to its final place."""
    parent = request.target.folder / FOLDER
    made = not parent.exists()
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f".{request.name}-*"):  # of a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{request.name}-", dir=parent))
    try:
        draft = request.draft(folder)
        draft.copy_files()
        yield draft
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if made and not any(parent.iterdir()):
            parent.rmdir()


def _learned(request: Request, draft: Draft) -> tuple[FactSheet, list[str]]:
    """Return all facts, and the splits that the codec goes into; asks before measuring, which takes minutes."""
    name, target = request.name, request.target
    figures = draft.config_facts(request.given.get("bitrate"))
    facts = first_facts(name, request.given, figures, target.label_of)
    splits = target.splits(request.splits, facts.values["family"])
    target.check(codec_edit(name, splits, target.catalogue, {}))
    facts.complete(name, request.ask, among=("sample_rate",))
    adapter = _loaded(draft.entry(facts.codec(provisional_hop=1)), request.device)
    facts.remarks += draft.settle(adapter)
    if "hop" not in facts.values and (hop := rough_hop(adapter)) > 1:
        adapter = _loaded(draft.entry(facts.codec(provisional_hop=hop)), request.device)
    try:
        learn_by_measuring(facts, adapter)
    except CodecError as error:
        hint = "" if "hop" in facts.values else "; if it takes whole frames only, give --hop"
        raise BuilderError(f"{name}: fails on speech, so that nothing can be measured ({error}){hint}") from error
    facts.complete(name, request.ask)
    return facts, splits


def _loaded(entry: Entry, device: str) -> Adapter:
    return load_or_explain(entry.name, lambda: load_codec(entry, None, device))


def _settle(draft: Draft, place: Path) -> Path:
    """Move the prepared folder to its final place, over what an interrupted run left before the recipe named it."""
    if place.exists() and not (place / CODEC_FILE).is_file() and not (place / "driver.py").is_file():
        raise BuilderError(f"{place}: is there already, and holds no codec; move it away or choose another name")
    shutil.rmtree(place, ignore_errors=True)
    os.chmod(draft.folder, 0o755)  # noqa: PTH101, S103 - temporary folders are their owner's alone
    draft.folder.rename(place)
    draft.folder = place
    return place
