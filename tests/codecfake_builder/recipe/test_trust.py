"""Code that comes with data runs only where the user allows it: codec files, and the recipe inside a dataset."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from codec_adapters.external.backend import copy_pinned
from codecfake_builder.changes.build import build
from codecfake_builder.changes.target import Target
from codecfake_builder.cli.app import main
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.load import load_recipe
from tests.kit.datasets_for_tests import small_recipe
from tests.kit.external_codecs import facts

FACTS = facts(family="theirs").model_dump(mode="json", exclude_unset=True)
PLUGIN = "from pathlib import Path\nPath({mark!r}).touch()\n"


def strangers_recipe(folder: Path, vctk: Path, **parts: Any) -> Path:
    """Write a recipe that names ``parts``, in ``folder``."""
    document = {
        "name": "theirs",
        "title": "Theirs",
        "corpora": {"vctk": {"kind": "vctk", "root": str(vctk)}},
        "splits": {"train": {"share": 1.0, "variants": ["real"]}},
        **parts,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def command_file(folder: Path, mark: Path) -> str:
    """Write a codec file whose command leaves a mark; return its name."""
    steps = [["touch", str(mark)], ["cp", "{in}", "{out}"]]
    document = {"name": "theirs", "command": {"steps": steps, "version": ["touch", str(mark)]}, "codec": FACTS}
    (folder / "codec.yaml").write_text(yaml.safe_dump(document))
    return "codec.yaml"


def python_file(folder: Path, mark: Path) -> str:
    """Write a codec file that names Python code which leaves a mark; return its name."""
    (folder / "evil.py").write_text(PLUGIN.format(mark=str(mark)))
    file = copy_pinned(folder / "evil.py", folder / "theirs" / "evil.py", folder).model_dump(mode="json")
    document = {"name": "theirs", "python": {"name": "Codec", "file": file}, "codec": FACTS}
    (folder / "codec.yaml").write_text(yaml.safe_dump(document))
    return "codec.yaml"


@pytest.fixture(autouse=True)
def nothing_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("make", [command_file, python_file])
def test_a_codec_file_runs_nothing_until_it_is_allowed(make: Any, vctk: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    recipe = strangers_recipe(tmp_path, vctk, plugins=[make(tmp_path, mark)])
    with pytest.raises(RecipeError, match=r"would run .*which came with data; it was not run \(--trust allows it\)"):
        load_recipe(str(recipe))
    assert not mark.exists()
    assert "theirs" in load_recipe(str(recipe), trust=True).catalogue
    assert "theirs" in load_recipe(str(recipe)).catalogue, "allowed once, it stays so until it changes"
    (tmp_path / "codec.yaml").write_text((tmp_path / "codec.yaml").read_text().replace("name: theirs", "name: another"))
    assert "another" in load_recipe(str(recipe)).catalogue, "a name is no code"
    text = (tmp_path / "codec.yaml").read_text()
    (tmp_path / "codec.yaml").write_text(text.replace("{in}", "{in}.x").replace("name: Codec", "name: Other"))
    with pytest.raises(RecipeError, match="would run"):
        load_recipe(str(recipe))


@pytest.mark.parametrize("command", ["plan", "build", "codecs", "alms", "conformance", "add-codec"])
def test_every_command_that_reads_a_recipe_refuses_in_one_line(
    command: str, vctk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "mark"
    recipe = str(strangers_recipe(tmp_path, vctk, plugins=[command_file(tmp_path, mark)]))
    arguments = {
        "plan": [recipe],
        "build": [recipe, "--out", str(tmp_path / "out")],
        "codecs": ["--recipe", recipe],
        "alms": ["--recipe", recipe],
        "conformance": ["theirs", "--recipe", recipe],
        "add-codec": ["mine", "--torchscript", str(tmp_path / "x.pt"), "--recipe", recipe],
    }[command]
    with pytest.raises(SystemExit) as exited:
        main([command, *arguments])
    said = capsys.readouterr().err.splitlines()
    assert exited.value.code == 2
    assert len(said) == 1
    assert f"would run the command touch {mark}; cp" in said[0]
    assert not mark.exists()
    assert not (tmp_path / "out").exists()


def test_a_users_own_recipe_runs_its_plugins(vctk: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.format(mark=str(tmp_path / "mark")))
    load_recipe(str(strangers_recipe(tmp_path, vctk, plugins=["mine.py"])))
    assert (tmp_path / "mark").exists()


@pytest.fixture
def strangers_dataset(vctk: Path, aishell3: Path, tmp_path: Path) -> Path:
    """A finished dataset whose kept recipe somebody has given a plugin."""
    dataset = tmp_path / "dataset"
    build(small_recipe(vctk, aishell3, ["real"]), dataset)
    shutil.rmtree(tmp_path / "cache")  # it came from somewhere else
    return dataset


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plugin", "module", "isolated", "command"])
def test_the_recipe_inside_a_dataset_runs_nothing_until_it_is_allowed(
    kind: str, strangers_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, kept = tmp_path / "mark", strangers_dataset / ".build" / "recipe.yaml"
    document = yaml.safe_load(kept.read_text())
    code = tmp_path / "their_code.py"
    code.write_text(PLUGIN.format(mark=str(mark)))
    monkeypatch.syspath_prepend(tmp_path)
    if kind == "isolated":
        document["isolated"] = {"theirs": {"driver": str(code), "codec": FACTS}}
    else:
        plugins = {"plugin": str(code), "module": "their_code", "command": str(tmp_path / "codec.yaml")}
        command_file(tmp_path, mark)
        document["plugins"] = [plugins[kind]]
    kept.write_text(yaml.safe_dump(document))
    with pytest.raises(RecipeError, match=r"would run .*--trust allows it"):
        Target.of(None, strangers_dataset)
    assert not mark.exists()
    with pytest.raises(SystemExit) as exited:
        main(["build", str(kept), "--out", str(strangers_dataset)])
    assert exited.value.code == 2
    assert not mark.exists()
    Target.of(None, strangers_dataset, trust=True)
    assert mark.exists() == (kind in ("plugin", "module"))
    sys.modules.pop("their_code", None)


@pytest.mark.slow
def test_a_dataset_of_ones_own_needs_no_permission(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    recipe = strangers_recipe(tmp_path, vctk, plugins=["mine.py"], card={"stoi_clips": 0})
    build(load_recipe(str(recipe)), tmp_path / "dataset")
    assert Target.of(None, tmp_path / "dataset").dataset == tmp_path / "dataset"
