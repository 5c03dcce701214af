"""Two changes of one dataset or recipe file at a time, and builds of something else in a finished dataset's folder."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from codecfake_builder.changes.build import build
from codecfake_builder.changes.target import Target
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.saved import load_plan_summary
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import BuilderError, DatasetError
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.recipe.edit_file import write_edited
from codecfake_builder.recipe.resolve import Resolved
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, changed, files, small_recipe

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def real_only(vctk: Path, aishell3: Path) -> Resolved:
    return small_recipe(vctk, aishell3, ["real"], plugins=[FAULTY_PLUGIN])


@pytest.fixture(scope="module")
def sound(real_only: Resolved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sound") / "d"
    build(real_only, out)
    return out


def with_faulty(document: dict[str, Any]) -> dict[str, Any]:
    document["splits"]["train"]["variants"] = ["real", "faulty_none"]
    return document


def test_what_was_read_is_what_is_replaced(recipe: Resolved, dataset: Path) -> None:
    """Two ``add-codec --into`` at a time: the one that ends later would take the other's codec out again."""
    first, second = Target.of(None, dataset), Target.of(None, dataset)
    resolved = second.edited(lambda document: document)
    build(first.edited(with_faulty) or recipe, dataset, based_on=first.state)
    whole = files(dataset)
    with pytest.raises(DatasetError, match="was changed by another command meanwhile; run this one again") as error:
        build(resolved or recipe, dataset, based_on=second.state)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2
    with pytest.raises(DatasetError, match="changed by another command"):
        second.refuse_changed()
    assert files(dataset) == whole
    assert verify(dataset).problems == []


def test_a_build_that_planned_while_the_dataset_changed(
    recipe: Resolved, real_only: Resolved, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_plan(*arguments: Any) -> Any:
        monkeypatch.undo()
        build(recipe, dataset)
        return make_plan(*arguments)

    monkeypatch.setattr("codecfake_builder.changes.build.make_plan", slow_plan)
    with pytest.raises(DatasetError, match="changed by another command"):
        build(real_only, dataset)
    assert (dataset / "data/train/faulty_none-00000.parquet").is_file()


def test_two_edits_of_a_recipe_file_at_a_time_both_stay(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: r\ncorpora: {}\nsplits: {}  # kept\nnotes: []\n")

    def adding(word: str) -> None:
        def edit(document: dict[str, Any]) -> dict[str, Any]:
            copied = dict(document)
            copied["notes"] = [*document["notes"], word]
            return copied

        write_edited(path, edit)

    threads = [threading.Thread(target=adding, args=(f"note{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(f"note{number}" in path.read_text() for number in range(8))


def test_an_extension_of_a_trial_keeps_its_limit(real_only: Resolved, tmp_path: Path) -> None:
    build(real_only, tmp_path / "d", limit=2)
    assert Target.of(None, tmp_path / "d").limit == 2


def test_a_finished_dataset_of_another_recipe_is_not_replaced(recipe: Resolved, dataset: Path) -> None:
    whole = files(dataset)
    other = changed(recipe, name="other")
    with pytest.raises(DatasetError, match=r"recipe lyra \(3 splits, 20 clips, \d+\.\d MB\).* add --replace"):
        build(other, dataset)
    assert files(dataset) == whole
    build(other, dataset, replace=True)
    assert verify(dataset).problems == []


def test_nor_one_of_other_corpora(recipe: Resolved, dataset: Path) -> None:
    corpora = {name: corpus for name, corpus in recipe.recipe.corpora.items() if name != "vctk"}
    with pytest.raises(DatasetError, match="with clips of vctk, which this recipe does not have so"):
        build(changed(recipe, corpora=corpora), dataset)
    (dataset / layout.PROVENANCE).write_bytes(b"\xff")  # its state says it too
    with pytest.raises(DatasetError, match="with clips of vctk"):
        build(changed(recipe, corpora=corpora), dataset)


def test_nor_one_of_a_limit_that_would_take_most_of_it(real_only: Resolved, dataset: Path) -> None:
    with pytest.raises(DatasetError, match=r"made without --limit, of which 1[0-9] of 20 planned clips would go"):
        build(real_only, dataset, limit=1)
    build(real_only, dataset, limit=1, replace=True)
    build(real_only, dataset)  # a larger one loses nothing
    assert load_plan_summary(dataset).limit is None


def test_more_variants_and_a_moved_corpus_are_free(recipe: Resolved, dataset: Path, tmp_path: Path) -> None:
    vctk = recipe.recipe.corpora["vctk"]
    shutil.copytree(vctk.audio_folder(), tmp_path / "moved")
    corpora = {**recipe.recipe.corpora, "vctk": vctk.model_copy(update={"root": tmp_path / "moved"})}
    result = build(changed(recipe, corpora=corpora), dataset)
    assert result.shards_kept > 0


def test_a_full_disk_is_refused_before_the_first_clip(
    recipe: Resolved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9, 1000))
    with pytest.raises(BuilderError, match=r"needs about 0.\d+ GB .* 0.000 GB free; make room") as error:
        build(recipe, tmp_path / "d")
    assert str(tmp_path) in str(error.value)
    assert not list((tmp_path / "d").rglob("*.parquet"))
