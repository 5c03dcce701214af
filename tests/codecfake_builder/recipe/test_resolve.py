"""Recipes that bring different things under the same names: each sees its own, in any order, while both are alive."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
from pathlib import Path

import pytest
import torch
import yaml

import codec_adapters
from codec_adapters import UnknownVariantError
from codec_adapters.loading import load_codec
from codecfake_builder.clip_class import clip_class
from codecfake_builder.errors import RecipeError
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.recipe.load import load_recipe
from codecfake_builder.recipe.resolve import Resolved
from tests.kit import external_codecs
from tests.kit.external_codecs import codec_file, facts
from tests.kit.synthetic import write_wave

PLUGIN = """
import dataclasses, codec_adapters
from codec_adapters.external.adapters.opaque import OpaqueAdapter

class Factor(OpaqueAdapter):
    def _resynthesize(self, wav, seeds):
        return wav * {factor}

base = codec_adapters.spec("dac_16khz")
for name in ("shared", "{own}"):
    spec = dataclasses.replace(base, name=name, family="{family}", label=12, checkpoint="", options={{}})
    codec_adapters.register(spec, Factor)
"""
ORDERS = [*itertools.permutations(("loud", "quiet")), ("loud", "quiet", "loud")]


@pytest.fixture
def recipes(tmp_path: Path) -> dict[str, Path]:
    """Two recipes: a plugin, a codec file and a class of their own each, with the same names and numbers."""
    return {
        "loud": written(tmp_path / "loud", "loud", factor=2.0, classes={"vintage": 14}),
        "quiet": written(tmp_path / "quiet", "quiet", factor=0.5, classes={"modern": 14}),
    }


def written(folder: Path, name: str, factor: float, classes: dict[str, int]) -> Path:
    folder.mkdir()
    (folder / "plugin.py").write_text(PLUGIN.format(factor=factor, own=f"only_{name}", family=f"family_{name}"))
    codec_file(folder, "filed", external_codecs.torchscript(folder), facts(family=f"filed_{name}", label=13))
    write_wave(folder / "clips" / "x.wav", 0.5, 16000, 1)
    document = {
        "name": name,
        "title": name,
        "plugins": ["plugin.py", "filed.yaml"],
        "classes": classes,
        "corpora": {"clips": {"kind": "imported", "root": "clips", "codec": next(iter(classes))}},
        "splits": {"test": {"share": 1.0, "variants": ["imported"]}},
        "options": {f"only_{name}": {}, "shared": {}},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def check(name: str, resolved: Resolved) -> None:
    other = {"loud": "quiet", "quiet": "loud"}[name]
    catalogue = resolved.catalogue
    assert catalogue.codec("shared").family == f"family_{name}"
    assert catalogue.codec("filed").family == f"filed_{name}"
    assert f"only_{name}" in catalogue
    assert f"only_{other}" not in catalogue
    with pytest.raises(UnknownVariantError, match=f"only_{other}"):
        catalogue.codec(f"only_{other}")
    own = {"loud": "vintage", "quiet": "modern"}
    assert catalogue.classes[own[name]] == 14
    assert own[other] not in catalogue.classes
    assert clip_class(catalogue, own[name], "x").label == 14
    assert {clip.codec for clip in make_plan(resolved).imported.values()} == {own[name]}
    wav = torch.ones(1, 320)
    for entry in (catalogue.entry("shared"), pickle.loads(pickle.dumps(catalogue.entry("shared")))):
        assert load_codec(entry).resynthesize(wav)[0, 0].item() == {"loud": 2.0, "quiet": 0.5}[name]


@pytest.mark.parametrize("order", ORDERS)
def test_each_recipe_sees_its_own(order: tuple[str, ...], recipes: dict[str, Path]) -> None:
    before = codec_adapters.default_catalogue()
    alive = [(name, load_recipe(str(recipes[name]))) for name in order]
    for name, resolved in [*alive, *reversed(alive)]:
        check(name, resolved)
    assert codec_adapters.default_catalogue() == before
    assert not {"shared", "filed", "only_loud", "only_quiet"} & set(codec_adapters.names())


def test_what_another_recipe_brought_is_unknown(recipes: dict[str, Path]) -> None:
    override = ["splits.more={share: 1, variants: [only_quiet]}"]
    for _ in range(2):
        with pytest.raises(RecipeError, match=r"splits\.more\.variants\.0: unknown variant 'only_quiet'"):
            load_recipe(str(recipes["loud"]), override)
        load_recipe(str(recipes["quiet"]))


def test_a_catalogue_is_a_value(recipes: dict[str, Path]) -> None:
    catalogue = load_recipe(str(recipes["loud"])).catalogue
    again = pickle.loads(pickle.dumps(catalogue))
    assert again == catalogue
    assert again.classes == catalogue.classes
    names = catalogue.names()
    entry = catalogue.entry("shared")
    more = catalogue.with_entries(dataclasses.replace(entry, spec=dataclasses.replace(entry.spec, name="another")))
    assert "another" in more
    assert catalogue.names() == names
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalogue.entries = ()  # type: ignore[misc]


def test_a_plugin_that_changes_is_read_anew_and_not_mixed_up(recipes: dict[str, Path]) -> None:
    before = load_recipe(str(recipes["loud"]))
    plugin = recipes["loud"].parent / "plugin.py"
    plugin.write_text(plugin.read_text().replace("wav * 2.0", "wav * 3.0"))
    after = load_recipe(str(recipes["loud"]))
    assert load_codec(after.catalogue.entry("shared")).resynthesize(torch.ones(1, 320))[0, 0].item() == 3.0
    with pytest.raises(codec_adapters.CheckpointError, match=r"plugin\.py: has changed since the recipe was read"):
        load_codec(before.catalogue.entry("shared"))


def test_two_plugins_of_one_recipe_cannot_add_the_same_variant(recipes: dict[str, Path]) -> None:
    other = recipes["quiet"].parent / "plugin.py"
    with pytest.raises(RecipeError, match=r"plugin\.py and .*plugin\.py both add shared; rename one of them"):
        load_recipe(str(recipes["loud"]), [f"plugins=[plugin.py, {other}, filed.yaml]"])
