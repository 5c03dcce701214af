"""Finished datasets that grow and shrink: what a build from scratch would have made, and never anything between."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import yaml

import codec_adapters
from codec_adapters.builtin import builtin_catalogue
from codec_adapters.external.plugins import with_plugins
from codecfake_builder.benchmark.scoring.truth import dataset_classes
from codecfake_builder.changes import remove_codec as removal
from codecfake_builder.changes.build import build
from codecfake_builder.changes.remove_codec import remove_codec
from codecfake_builder.cli.app import main
from codecfake_builder.dataset import layout
from codecfake_builder.dataset import versions as staging
from codecfake_builder.dataset.records import ShardRecord
from codecfake_builder.dataset.saved import load_plan_summary, saved_document
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import DatasetError, RecipeError
from codecfake_builder.recipe.edit import next_free_label, with_codec, without_codec
from codecfake_builder.recipe.load import load_recipe
from codecfake_builder.recipe.resolve import Resolved
from codecfake_builder.shards import run
from codecfake_builder.shards.shard import Shard
from codecfake_builder.shards.worker import WorkerSettings, make_shard
from tests.codecfake_builder.shards.test_isolated_codecs import G711
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, changed, files, rows, small_recipe

SPLITS = ["train", "dev", "eval_id"]
CATALOGUE = with_plugins(builtin_catalogue(), [FAULTY_PLUGIN])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("extension")


@pytest.fixture(scope="module")
def recipe(vctk: Path, aishell3: Path, tiny: dict[str, Path], folder: Path) -> Path:
    """A recipe file with ``real`` and DAC."""
    weights = {name: tiny[name] for name in ("dac_16khz", "encodec_24khz_6kbps")}
    document = small_recipe(vctk, aishell3, ["real", "dac_16khz"], weights).recipe.model_dump(mode="json")
    path = folder / "recipe.yaml"
    path.write_text("# mine\n" + yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def first(recipe: Path, folder: Path) -> Path:
    """The dataset of the recipe; not to be changed."""
    build(load_recipe(str(recipe)), folder / "first")
    return folder / "first"


def document_of(recipe: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(recipe.read_text())
    return document


def loaded(document: dict[str, Any], folder: Path) -> Resolved:
    (folder / "edited.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return load_recipe(str(folder / "edited.yaml"))


@pytest.fixture(scope="module")
def extended(recipe: Path, folder: Path) -> Path:
    """The extended recipe's dataset, built from scratch: with EnCodec, and a family of a plugin."""
    build(larger(recipe, folder), folder / "extended")
    return folder / "extended"


def larger(recipe: Path, folder: Path) -> Resolved:
    document = with_codec(document_of(recipe), "encodec_24khz_6kbps", SPLITS, CATALOGUE)
    document = with_codec(document, "faulty_none", ["train"], CATALOGUE, plugin=FAULTY_PLUGIN)
    return loaded(document, folder)


@pytest.fixture
def dataset(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path / "d")
    return tmp_path / "d"


def nothing_beside(dataset: Path) -> bool:
    return not [path for path in dataset.parent.iterdir() if path.name.startswith(f".{dataset.name}.")]


def inodes(dataset: Path) -> dict[str, int]:
    return {name: (dataset / name).stat().st_ino for name in files(dataset) if name.startswith("data/")}


def test_an_extension_is_what_a_build_from_scratch_makes(
    recipe: Path, dataset: Path, extended: Path, tmp_path: Path
) -> None:
    before, old = inodes(dataset), files(dataset)
    handle = (dataset / "data/train/dac_16khz-00000.parquet").open("rb")
    result = build(larger(recipe, tmp_path), dataset)
    assert files(dataset) == files(extended)
    assert verify(dataset).problems == []
    assert {name: inode for name, inode in inodes(dataset).items() if name in before} == before
    assert {name: content for name, content in files(dataset).items() if name in before} == {
        name: content for name, content in old.items() if name in before
    }
    assert (result.shards_kept, result.shards_made) == (len(before), len(inodes(dataset)) - len(before))
    assert handle.read() == old["data/train/dac_16khz-00000.parquet"]
    handle.close()
    assert nothing_beside(dataset)
    build(larger(recipe, tmp_path), dataset)
    assert inodes(dataset).items() >= before.items()


@pytest.mark.slow
def test_a_handful_of_shards_starts_no_processes(
    recipe: Path, dataset: Path, extended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def here(shard: Shard, settings: WorkerSettings) -> ShardRecord:
        made.append(os.getpid())
        return make_shard(shard, settings)

    monkeypatch.setattr(run, "make_shard", here)
    wider = larger(recipe, tmp_path)
    wider = changed(wider, execution=wider.recipe.execution.model_copy(update={"workers": 2}))
    build(wider, dataset)
    assert set(made) == {os.getpid()}
    assert files(dataset) == files(extended)


@pytest.mark.slow
def test_readers_of_the_old_version_go_on(recipe: Path, dataset: Path, tmp_path: Path) -> None:
    files_of_train = [str(path) for path in sorted((dataset / "data" / "train").glob("*.parquet"))]
    wanted = [row["id"] for path in files_of_train for row in pq.read_table(path).to_pylist()]
    stream = iter(
        datasets.load_dataset("parquet", data_files=files_of_train, split="train", streaming=True).cast_column(
            "audio", datasets.Audio(decode=False)
        )
    )
    got = [next(stream)["id"]]
    mapped = pq.read_table(files_of_train[-1], memory_map=True)
    build(larger(recipe, tmp_path), dataset)
    got += [row["id"] for row in stream]
    assert got == wanted
    assert mapped["id"].to_pylist() == wanted[-mapped.num_rows :]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("config", ["all", "dac", "faulty", "metadata"])
def test_class_names_come_from_the_card(extended: Path, tmp_path: Path, config: str, streaming: bool) -> None:
    shard = pq.read_schema(extended / "data/train/dac_16khz-00000.parquet")
    assert b"faulty" not in shard.metadata[b"huggingface"]
    assert b"names" not in shard.metadata[b"huggingface"]
    found = datasets.load_dataset(
        str(extended), config, split="train", streaming=streaming, cache_dir=str(tmp_path / "cache")
    )
    label = found.features["label"]
    assert label.names == dataset_classes(extended)
    assert label.names[11:] == ["dac", "faulty"]
    rows = found.cast_column("audio", datasets.Audio(decode=False)) if config != "metadata" else found
    assert {(row["codec"], row["label"]) for row in rows} >= {("dac", 11)} or config == "faulty"
    assert all(label.int2str(row["label"]) == row["codec"] for row in rows)


@pytest.mark.slow
def test_a_removal_is_what_a_build_of_the_reduced_recipe_makes(
    recipe: Path, extended: Path, first: Path, tmp_path: Path
) -> None:
    """The family's class stays, retired, so it is not the dataset before; without the family it would be."""
    shutil.copytree(extended, tmp_path / "d")
    before = inodes(tmp_path / "d")
    result = remove_codec(tmp_path / "d", "faulty")
    assert result.shards_made == 0
    reduced = without_codec(
        with_codec(
            with_codec(document_of(recipe), "encodec_24khz_6kbps", SPLITS, CATALOGUE),
            "faulty_none",
            ["train"],
            CATALOGUE,
            "x.py",
        ),
        "faulty_none",
        CATALOGUE,
    )
    reduced.pop("plugins")
    assert reduced["retired_labels"] == {12: "faulty"}
    build(loaded(reduced, tmp_path), tmp_path / "scratch")
    assert files(tmp_path / "d") == files(tmp_path / "scratch")
    assert dataset_classes(tmp_path / "d")[12] == "faulty"
    assert verify(tmp_path / "d").problems == []
    after = inodes(tmp_path / "d")
    assert after == {name: inode for name, inode in before.items() if "faulty" not in name}
    assert next_free_label(saved_document(tmp_path / "d"), CATALOGUE) == 13
    remove_codec(tmp_path / "d", "encodec_24khz_6kbps")
    assert {name: content for name, content in files(tmp_path / "d").items() if name.startswith("data/")} == {
        name: content for name, content in files(first).items() if name.startswith("data/")
    }
    assert nothing_beside(tmp_path / "d")


@pytest.mark.slow
def test_a_trial_stays_one(recipe: Path, tmp_path: Path) -> None:
    build(larger(recipe, tmp_path), tmp_path / "d", limit=2)
    assert load_plan_summary(tmp_path / "d").limit == 2
    remove_codec(tmp_path / "d", "encodec_24khz_6kbps")
    reduced = without_codec(document_of(tmp_path / "edited.yaml"), "encodec_24khz_6kbps", CATALOGUE)
    build(loaded(reduced, tmp_path), tmp_path / "scratch", limit=load_plan_summary(tmp_path / "d").limit)
    assert files(tmp_path / "d") == files(tmp_path / "scratch")


def test_the_kept_recipe_builds_the_same_again(extended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(extended, tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    result = build(load_recipe(str(tmp_path / "d" / layout.RECIPE)), tmp_path / "d")
    assert result.shards_made == 0
    assert files(tmp_path / "d") == files(extended)


@pytest.mark.slow
def test_a_recipe_file_is_edited_too_and_corpora_and_weights_are_not_needed(
    recipe: Path, vctk: Path, aishell3: Path, tiny: dict[str, Path], tmp_path: Path
) -> None:
    corpora = shutil.copytree(vctk, tmp_path / "vctk"), shutil.copytree(aishell3, tmp_path / "aishell3")
    plugin = Path(shutil.copy(FAULTY_PLUGIN, tmp_path / "plugin.py"))
    weights = shutil.copytree(tiny["dac_16khz"], tmp_path / "weights")
    variants = ["real", "dac_16khz", "faulty_none", "faulty_loud"]
    given = small_recipe(*corpora, variants, {"dac_16khz": weights}, plugins=[str(plugin)])
    mine = tmp_path / "mine.yaml"
    document = {**given.recipe.model_dump(mode="json"), "plugins": ["plugin.py"]}
    mine.write_text("# mine\n" + yaml.safe_dump(document, sort_keys=False) + "# the end\n")
    build(load_recipe(str(mine)), tmp_path / "d")
    for gone in (*corpora, weights):
        shutil.rmtree(gone)
    plugin.unlink()
    with pytest.raises(SystemExit) as ended:
        main(["remove-codec", "faulty", "--from", str(tmp_path / "d"), "--recipe", str(mine)])
    assert ended.value.code == 0
    assert verify(tmp_path / "d").problems == []
    text = mine.read_text()
    assert text.startswith("# mine\n")
    assert "\n# the end\n" in text
    edited = yaml.safe_load(text)
    assert edited["retired_labels"] == {12: "faulty"}
    assert "plugins" not in edited
    assert all(split["variants"] == ["real", "dac_16khz"] for split in edited["splits"].values())


def test_a_plugin_beside_another_leaves_its_shards_alone(recipe: Path, dataset: Path, tmp_path: Path) -> None:
    one = with_codec(document_of(recipe), "faulty_none", ["train"], CATALOGUE, plugin=FAULTY_PLUGIN)
    build(loaded(one, tmp_path), dataset)
    code = Path(FAULTY_PLUGIN).read_text().replace("faulty_", "second_")
    (tmp_path / "second.py").write_text(code.replace('family="faulty", label=12', 'family="second", label=13'))
    two = with_codec(one, "second_none", ["train"], CATALOGUE, plugin=str(tmp_path / "second.py"))
    made = build(loaded(two, tmp_path), dataset).shards_made
    assert made == len(list((dataset / "data" / "train").glob("second*")))
    assert verify(dataset).problems == []


def test_an_isolated_codec_extends_a_dataset(recipe: Path, dataset: Path, tmp_path: Path) -> None:
    made = with_codec(document_of(recipe), "g711_64kbps", ["dev"], CATALOGUE, isolated=G711)
    assert build(loaded(made, tmp_path), dataset).shards_made == 1
    remove_codec(dataset, "g711_64kbps")
    assert "isolated" not in saved_document(dataset) or not saved_document(dataset)["isolated"]
    assert saved_document(dataset)["retired_labels"] == {12: "g711"}
    assert verify(dataset).problems == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dac_16kHz", "has no codec dac_16kHz; did you mean dac_16khz"),
        ("real", "cannot be removed"),
        ("dac", "no other codec is in"),
        ("dac_16khz", "delete the folder instead"),
        ("snac_24khz", "has no codec snac_24khz"),
    ],
)
def test_what_cannot_be_removed(dataset: Path, name: str, words: str) -> None:
    before = files(dataset)
    with pytest.raises(RecipeError, match=words):
        remove_codec(dataset, name)
    assert files(dataset) == before
    assert nothing_beside(dataset)


def test_folders_that_nothing_can_be_removed_from(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        remove_codec(tmp_path / "absent", "dac")
    assert not (tmp_path / "absent").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no finished dataset"):
        remove_codec(tmp_path / "empty", "dac")
    (dataset / ".build" / "plan.json").write_text("{")
    with pytest.raises(DatasetError, match=r"plan\.json: is damaged"):
        remove_codec(dataset, "dac")
    shutil.rmtree(dataset / ".build")
    with pytest.raises(DatasetError, match=r"recipe\.yaml: cannot be read"):
        remove_codec(dataset, "dac")


def test_a_damaged_dataset_is_not_made_smaller(extended: Path, tmp_path: Path) -> None:
    shutil.copytree(extended, tmp_path / "d")
    (tmp_path / "d" / "data" / "train" / "real-00000.parquet").write_bytes(b"x")
    with pytest.raises(DatasetError, match="is not as it was built"):
        remove_codec(tmp_path / "d", "faulty")
    (tmp_path / "d" / "provenance.json").write_text("{")
    with pytest.raises(DatasetError, match=r"provenance\.json: is not as it was built"):
        remove_codec(tmp_path / "d", "faulty")


def test_a_recipe_file_without_the_codec_is_refused_before_anything_is_done(
    recipe: Path, extended: Path, tmp_path: Path
) -> None:
    shutil.copytree(extended, tmp_path / "d")
    before, text = files(tmp_path / "d"), recipe.read_text()
    for mine, words in ((recipe, "no split of the recipe names"), (tmp_path / "none.yaml", "No such file")):
        with pytest.raises(RecipeError, match=words):
            remove_codec(tmp_path / "d", "faulty", mine)
    assert files(tmp_path / "d") == before
    assert recipe.read_text() == text


@pytest.mark.slow
def test_a_run_that_was_cut_off_before_the_recipe_file_is_ended_by_the_next(
    extended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(extended, tmp_path / "d")
    mine = tmp_path / "mine.yaml"
    mine.write_text((tmp_path / "d" / layout.RECIPE).read_text())

    def cut(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(removal, "write_edited", cut)
        with pytest.raises(KeyboardInterrupt):
            remove_codec(tmp_path / "d", "faulty", mine)
    assert "faulty" not in {row["codec"] for row in rows(tmp_path / "d")}
    assert "faulty_none" in mine.read_text()
    remove_codec(tmp_path / "d", "faulty", mine)
    assert "is removed already" in capsys.readouterr().err
    assert verify(tmp_path / "d").problems == []
    assert "faulty_none" not in mine.read_text()
    assert nothing_beside(tmp_path / "d")


@pytest.mark.slow
def test_splits_go_with_their_last_codec_unless_others_hang_on_them(
    vctk: Path, tiny: dict[str, Path], tmp_path: Path
) -> None:
    document = {
        "name": "r",
        "title": "R",
        "corpora": {"vctk": {"kind": "vctk", "root": str(vctk)}},
        "splits": {
            "train": {"share": 0.5, "variants": ["real", "dac_16khz"]},
            "own": {"share": 0.5, "variants": ["snac_24khz"]},
            "same": {"same_as": "train", "variants": ["encodec_24khz_6kbps"]},
        },
        "weights": {name: str(tiny[name]) for name in ("dac_16khz", "snac_24khz", "encodec_24khz_6kbps")},
        "execution": {"workers": 1, "device": "cpu"},
    }
    out = tmp_path / "d"
    build(loaded(document, tmp_path), out)
    with pytest.raises(RecipeError, match=r"splits\.own: would be left without a variant"):
        remove_codec(out, "snac_24khz")
    remove_codec(out, "encodec")
    assert not (out / "data" / "same").exists()
    assert not (out / "metadata" / "same.parquet").exists()
    build(loaded(without_codec(document, "encodec_24khz_6kbps", CATALOGUE), tmp_path), tmp_path / "scratch")
    assert files(out) == files(tmp_path / "scratch")


def test_other_files_in_the_folder_stay(recipe: Path, dataset: Path, tmp_path: Path) -> None:
    (dataset / "LICENSE").write_text("mine")
    (dataset / ".git" / "refs").mkdir(parents=True)
    (dataset / ".git" / "HEAD").write_text("main")
    (dataset / "paper.pdf").symlink_to("LICENSE")
    build(larger(recipe, tmp_path), dataset)
    assert (dataset / "LICENSE").read_text() == "mine"
    assert (dataset / ".git" / "refs").is_dir()
    assert (dataset / ".git" / "HEAD").read_text() == "main"
    assert (dataset / "paper.pdf").is_symlink()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["no exchange", "no links"])
def test_file_systems_that_can_do_less(
    recipe: Path, dataset: Path, extended: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*args: object, **kwargs: object) -> None:
        raise OSError("not here")

    if way == "no links":
        monkeypatch.setattr(Path, "hardlink_to", refusing)
    else:
        monkeypatch.setattr(staging, "_exchange", lambda first, second: False)
    build(larger(recipe, tmp_path), dataset)
    assert files(dataset) == files(extended)
    assert nothing_beside(dataset)


@pytest.mark.slow
@pytest.mark.parametrize("renames", [1, 2])
def test_two_renames_that_were_cut_off_are_ended_by_the_next_run(
    recipe: Path, dataset: Path, extended: Path, tmp_path: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    original, left = Path.rename, renames

    def cutting(self: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise PowerCut
        left -= 1
        return original(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(staging, "_exchange", lambda first, second: False)
        patch.setattr(Path, "rename", cutting)
        with pytest.raises(PowerCut):
            build(larger(recipe, tmp_path), dataset)
    assert dataset.exists() == (renames == 2)
    result = build(larger(recipe, tmp_path), dataset)
    assert result.shards_made == 0
    assert files(dataset) == files(extended)
    assert nothing_beside(dataset)


def test_a_folder_that_cannot_be_replaced_is_refused(dataset: Path, recipe: Path, tmp_path: Path) -> None:
    shutil.move(dataset / "data", tmp_path / "elsewhere")
    (dataset / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="data: is a link"):
        build(larger(recipe, tmp_path), dataset)
    assert (dataset / "checksums.sha256").is_file()


def test_whoever_waits_for_a_version_that_is_gone_looks_again(dataset: Path) -> None:
    with staging.locked(dataset) as held:
        with pytest.raises(DatasetError, match="another build is running"), staging.locked(dataset):
            pass
        stage = staging.prepare(dataset, lambda name: False)
        shutil.copy(dataset / "checksums.sha256", stage)
        staging.publish(stage, dataset, held)
        with pytest.raises(DatasetError, match="another build is running"), staging.locked(dataset):
            pass
        staging.discard(dataset)
        with pytest.raises(DatasetError, match="another build is running"), staging.locked(dataset):
            pass
    with staging.locked(dataset):
        pass


def test_an_extension_that_fails_leaves_the_dataset_as_it_was(recipe: Path, dataset: Path, tmp_path: Path) -> None:
    before = files(dataset)
    broken = with_codec(document_of(recipe), "snac_24khz", ["train"], CATALOGUE, weights=str(tmp_path))
    with pytest.raises(codec_adapters.CheckpointError):
        build(loaded(broken, tmp_path), dataset)
    assert files(dataset) == before
    assert verify(dataset).problems == []
    build(load_recipe(str(recipe)), dataset)
    assert files(dataset) == before
    assert nothing_beside(dataset)
