"""A dataset with clips of every origin but ``generated`` (see ``test_alm_build``): rows, configs, checks."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codecfake_builder.dataset.checksums import hash_files, read_checksums, root_hash, write_checksums
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.resolve import Resolved
from codecfake_builder.shards import shard
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, built, rows, small_recipe
from tests.kit.synthetic import write_wave

TAKEN = [
    {"path": "a.wav", "codec": "encodec", "alm": "valle", "prompt_id": "q1"},
    {"path": "b.wav", "codec": "encodec", "alm": "", "prompt_id": ""},
    {"path": "c.wav", "codec": "vocoder", "alm": "", "prompt_id": ""},
    {"path": "d.wav", "codec": "real", "alm": "", "prompt_id": ""},
    {"path": "e.wav", "codec": "dac", "alm": "", "prompt_id": ""},
]


def recipe_with_imports(vctk: Path, aishell3: Path, folder: Path) -> Resolved:
    for number, row in enumerate(TAKEN):
        write_wave(folder / row["path"], 0.5, 16000, number)
    with (folder / "clips.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(TAKEN[0]))
        writer.writeheader()
        writer.writerows(TAKEN)
    taken = {"kind": "imported", "root": str(folder), "table": str(folder / "clips.csv")}
    splits = {"taken": {"corpora": ["taken"], "share": 1.0, "variants": ["imported"]}}
    plugins = [FAULTY_PLUGIN]
    variants = ["real", "faulty_none"]
    return small_recipe(vctk, aishell3, variants, plugins=plugins, corpora={"taken": taken}, splits=splits)


@pytest.fixture(scope="module")
def recipe(vctk: Path, aishell3: Path, tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    return recipe_with_imports(vctk, aishell3, tmp_path_factory.mktemp("taken"))


@pytest.fixture(scope="module")
def sound(recipe: Resolved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "dataset"
    built(recipe, out)
    return out


def test_rows_say_their_origin(sound: Path) -> None:
    for row in rows(sound, "*/real-*.parquet"):
        assert (row["origin"], row["is_fake"], row["is_fake_transmission"]) == ("recorded", False, False)
    for row in rows(sound, "*/faulty_none-*.parquet"):
        assert (row["origin"], row["is_fake"], row["is_fake_transmission"]) == ("resynthesized", True, False)
    found = {
        row["utterance_id"]: (row["origin"], row["is_fake"], row["is_fake_transmission"], row["alm"])
        for row in rows(sound, "taken/*.parquet")
    }
    assert found == {
        "a": ("imported", True, True, "valle"),
        "b": ("imported", True, False, None),
        "c": ("vocoded", True, True, None),
        "d": ("recorded", False, False, None),
        "e": ("imported", True, False, None),
    }
    assert verify(sound).problems == []


def test_there_is_a_config_of_every_origin_that_has_clips(sound: Path, tmp_path: Path) -> None:
    splits = [folder.name for folder in (sound / "data").iterdir()]
    counts = Counter((row["origin"], split) for split in splits for row in rows(sound, f"{split}/*.parquet"))
    names = datasets.get_dataset_config_names(str(sound))
    origins = ("recorded", "resynthesized", "vocoded", "imported")
    assert set(names) == {"all", "metadata", "encodec", "dac", "faulty", "vocoder", *origins}
    for origin in origins:
        found = datasets.load_dataset(str(sound), origin, cache_dir=str(tmp_path))
        assert {(origin, name): split.num_rows for name, split in found.items()} == {
            key: count for key, count in counts.items() if key[0] == origin
        }
        assert {value for split in found.values() for value in split["origin"]} == {origin}


def test_card_and_croissant_tell_it(sound: Path) -> None:
    card = (sound / "README.md").read_text()
    assert "one per origin (`recorded`, `resynthesized`, `vocoded`, `imported`)" in card
    assert "`is_fake` follows the view *synthesis*" in card
    assert "takes `is_fake_transmission`" in card
    fields = json.loads((sound / "croissant.json").read_text())["recordSet"][0]["field"]
    assert {"is_fake", "origin", "is_fake_transmission"} <= {field["name"] for field in fields}


@pytest.mark.parametrize(
    ("shard", "utterance", "column", "value", "message"),
    [
        ("train/faulty_none", None, "origin", "generated", "origin is 'generated', expected 'resynthesized'"),
        ("train/faulty_none", None, "origin", "", "origin is '', expected 'resynthesized'"),
        ("train/faulty_none", None, "origin", None, "without origin"),
        ("train/faulty_none", None, "is_fake_transmission", True, "is_fake_transmission is True, expected False"),
        ("train/real", None, "origin", "imported", "origin is 'imported', expected 'recorded'"),
        ("taken/vocoder_unspecified", "c", "origin", "imported", "origin is 'imported', expected 'vocoded'"),
        ("taken/dac_unspecified", "e", "origin", "resynthesized", "is 'resynthesized', expected 'imported'"),
        ("taken/dac_unspecified", "e", "alm", "valle", "is_fake_transmission is False, expected True"),
        ("taken/encodec_unspecified", "a", "alm", None, "is_fake_transmission is True, expected False"),
        ("taken/real", "d", "alm", "valle", "alm is 'valle', expected None"),
    ],
)  # fmt: skip
def test_verify_finds_an_origin_that_contradicts_class_or_model(
    dataset: Path, shard: str, utterance: str | None, column: str, value: object, message: str
) -> None:
    path = dataset / "data" / f"{shard}-00000.parquet"
    table = pq.read_table(path)
    listed = table.to_pylist()
    row = next(row for row in listed if utterance in (None, row["utterance_id"]))
    row[column] = value
    pq.write_table(pa.Table.from_pylist(listed, schema=table.schema), path)
    card = (dataset / "README.md").read_text()
    old = root_hash(read_checksums(dataset))
    (dataset / "README.md").write_text(card.replace(old, root_hash(hash_files(dataset, {}))))
    write_checksums(dataset, hash_files(dataset, {}))
    assert any(message in problem for problem in verify(dataset).problems), verify(dataset).problems


def test_shards_of_other_columns_are_made_again(
    recipe: Resolved, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert built(recipe, dataset).shards_made == 0
    whole = len(list((dataset / "data").rglob("*.parquet")))
    with monkeypatch.context() as patched:
        patched.setattr(shard, "COLUMNS_SHA256", "of an earlier version")
        assert built(recipe, dataset).shards_made == whole
    again = built(recipe, dataset)
    assert (again.shards_made, again.shards_kept) == (whole, 0)
    assert verify(dataset).problems == []


@pytest.mark.parametrize("family", ["imported", "recorded", "generated", "all", "metadata"])
def test_a_family_cannot_have_the_name_of_a_config(family: str, vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(Path(FAULTY_PLUGIN).read_text().replace('family="faulty"', f'family="{family}"'))
    recipe = small_recipe(vctk, aishell3, ["real", "faulty_none"], plugins=[str(plugin)])
    with pytest.raises(RecipeError, match=f"codec family {family}: load_dataset has a config of that name"):
        built(recipe, tmp_path / "d")
    assert not (tmp_path / "d").exists()
