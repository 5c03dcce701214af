"""Recipes: what is wrong in one is named by its path, with the nearest right name; packaged ones are right."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.load import load_recipe, packaged_recipes


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("corpora.vctk.rot=/x", "corpora.vctk.rot: unknown key; did you mean root?"),
        ("corpora.vctk.kind=vtck", "corpora.vctk.kind: unknown corpus kind 'vtck'; did you mean vctk?"),
        (
            "corpora.new.root=/x",
            "corpora.new.kind: missing; one of vctk, aishell3, ncssd, asvspoof2019la, in_the_wild, hf",
        ),
        ("corpora.vctk.mic=mic3", "corpora.vctk.mic: Input should be 'mic1' or 'mic2', got 'mic3'"),
        ("splits.train.drw=3", "splits.train.drw: unknown key; did you mean draw?"),
        ("splits.train.share=x", "splits.train.share: Input should be a valid number"),
        ("splits.train.draw=5", "give exactly one of draw, share, ids, labels, same_as; found draw and share"),
        ("splits.train.variants=[lyra_v2_6kbs]", "unknown variant 'lyra_v2_6kbs'; did you mean lyra_v2_6kbps?"),
        ("splits.train.variants=[mimi]", "choose a variant of it: mimi_32codebooks, mimi_8codebooks"),
        ("splits.train.variants=[real, real]", "splits.train.variants: a variant is named twice"),
        (
            "splits.train.corpora=[vctkk]",
            "train.corpora.0: the recipe has no corpus 'vctkk'; did you mean vctk?",
        ),
        ("corpora.vctk=null", None),
        ("splits.train={variants: [real], same_as: dev}", "splits.train.same_as: 'dev' is no split above this one"),
        (
            "splits.train={variants: [real], ids: stcodecfake_eval}",
            "train: a list cannot be kept speaker-disjoint",
        ),
        ("execution.worker=1", "execution.worker: unknown key; did you mean workers?"),
        ("weights.lyra=/x", "weights.lyra: neither a checkpoint nor a variant; did you mean lyra_v2?"),
        ("options.lyra_v2_6kbps.codebook=3", "lyra_v2_6kbps: unknown option 'codebook'; its options: codebooks"),
        ("options.lyra_v2_6kbps.codebooks=many", "option 'codebooks' must be int, got 'many'"),
        ("options.lyra.codebooks=3", "options.lyra: unknown variant"),
        ("plugins=[no_such_module_xyz]", "plugins: no_such_module_xyz: cannot be loaded"),
        ("name=a b", "name: String should match pattern"),
        ("colour=red", "colour: unknown key"),
        ("audio.min_seconds=-1", "audio.min_seconds: Input should be greater than or equal to 0"),
        ("nonsense", "--set nonsense: expected KEY=VALUE"),
        ("name.first=x", "--set name.first=x: name is a value, not a group of settings"),
        ("name=[", "--set name=[: the value is not valid YAML"),
    ],
)
def test_mistakes_are_named(override: str, message: str | None) -> None:
    if message is None:
        assert "vctk" not in load_recipe("lyra", [override]).recipe.corpora
        return
    with pytest.raises(RecipeError) as caught:
        load_recipe("lyra", [override])
    assert any(message in line for line in str(caught.value).splitlines()), str(caught.value)


def test_every_problem_gets_a_line() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("lyra", ["audio.min_second=1", "execution.worker=2"])
    assert len(str(caught.value).splitlines()) == 2


def test_overrides_add_corpora_and_replace_values() -> None:
    recipe = load_recipe(
        "lyra", ["corpora.mine.kind=folder", "corpora.mine.root=~/speech", "splits.train.share=0.5"]
    ).recipe
    assert recipe.corpora["mine"].root == Path.home() / "speech"
    assert recipe.splits["train"].share == 0.5
    assert recipe.split_corpora("train") == ["vctk", "aishell3", "mine"]


def test_corpora_that_a_split_claims_are_not_drawn_from_by_others() -> None:
    recipe = load_recipe("stcodecfake").recipe
    assert recipe.split_corpora("train") == ["vctk", "aishell3"]
    assert recipe.split_corpora("id_source") == ["ncssd"]
    assert recipe.selected_by("ood_source") == recipe.selected_by("alm") == "unseen_real"


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean lyra"):
        load_recipe("lira")


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "just text", "!!python/object/apply:os.getcwd []", "[" * 5000])
def test_files_that_are_no_recipes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"r\.yaml"):
        load_recipe(str(path))


@pytest.mark.parametrize("name", packaged_recipes())
def test_packaged_recipes_load(name: str) -> None:
    assert load_recipe(name).recipe.name == name


def test_the_published_composition() -> None:
    recipe = load_recipe("stcodecfake").recipe
    assert recipe.splits["train"].draw == 10_000
    assert recipe.splits["dev"].draw == 1_000
    labels = {name: [_label(v) for v in split.variants if v != "imported"] for name, split in recipe.splits.items()}
    assert labels["train"] == labels["dev"] == labels["eval_id"] == [0, 1, 2, 3, 4, 5, 6]
    assert sorted(labels["eval_ood"]) == [7, 8, 9, 10, 11]
    assert labels["id_config"] == [3, 3, 3, 3, 4, 4, 4]
    assert labels["ood_config"] == labels["ood_source"] == [7]
    assert labels["id_source"] == [1, 6]
    assert recipe.splits["unseen_real"].draw == {"ncssd": 10_000, "asvspoof2019la": 7_355, "in_the_wild": 19_963}
    assert recipe.splits["ood_vocoder"].draw == {"asvspoof2019la": 63_882, "in_the_wild": 11_816}
    assert recipe.splits["unseen_real"].variants == ["real"]
    assert recipe.splits["ood_vocoder"].variants == ["imported"]
    assert labels["alm"] == [1, 6]
    assert labels["alm_tts"] == [4]


def _label(variant: str) -> int:
    return 0 if variant == "real" else builtin_catalogue().label(variant)


def test_a_plugin_file_adds_variants(tmp_path: Path) -> None:
    (tmp_path / "louder.py").write_text(
        "import dataclasses, codec_adapters\n"
        "spec = dataclasses.replace(codec_adapters.spec('dac_16khz'), name='louder', family='louder', label=12,\n"
        "                           checkpoint='')\n"
        "codec_adapters.register(spec, None)\n"
    )
    recipe = {
        "name": "with_plugin",
        "title": "t",
        "plugins": ["louder.py"],
        "corpora": {"f": {"kind": "folder"}},
        "splits": {"train": {"share": 1.0, "variants": ["real", "louder"]}},
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    assert load_recipe(str(tmp_path / "r.yaml")).variants() == ["real", "louder"]


def test_paths_in_a_recipe_are_relative_to_it_and_overrides_to_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("u1\n", encoding="utf-8")
    (tmp_path / "speech.csv").write_text("path\nu1.wav\n", encoding="utf-8")
    document = {
        "name": "near",
        "title": "near",
        "corpora": {
            "mine": {"kind": "folder", "root": "speech", "table": "speech.csv", "ids": "mine.txt"},
            "far": {"kind": "folder"},
        },
        "splits": {
            "train": {"ids": "mine.txt", "variants": ["real"]},
            "dev": {"ids": "stcodecfake_eval", "variants": ["real"]},
            "test": {"labels": "/data/labels.txt", "variants": ["real"]},
        },
        "weights": {"lyra_v2": "weights/lyra", "mimi": "~/mimi"},
    }
    path = tmp_path / "near.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    recipe = load_recipe(str(path), ["corpora.far.root=speech"]).recipe
    mine, far = recipe.corpora["mine"], recipe.corpora["far"]
    assert (mine.root, far.root) == (tmp_path / "speech", Path("speech"))
    assert recipe.weights == {"lyra_v2": tmp_path / "weights" / "lyra", "mimi": Path.home() / "mimi"}
    assert recipe.splits["train"].ids == str(tmp_path / "mine.txt")
    assert recipe.splits["dev"].ids == "stcodecfake_eval"
    assert recipe.splits["test"].labels == Path("/data/labels.txt")
