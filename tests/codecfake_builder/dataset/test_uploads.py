"""The builder's state, which names folders of this machine, is no part of what is uploaded or committed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.utils import filter_repo_objects

from codecfake_builder.changes.build import build
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.saved import keep_out_of_uploads
from tests.kit.datasets_for_tests import small_recipe


@pytest.fixture(scope="module")
def dataset(vctk: Path, aishell3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "d"
    build(small_recipe(vctk, aishell3, ["real"]), out)
    return out


def test_the_hub_is_given_the_rule_that_leaves_the_state_out(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """upload_folder sends the folder's ``.gitignore`` to the Hub, which applies it; here git tells what it means."""
    monkeypatch.setattr(HfApi, "_validate_yaml", lambda *args, **kwargs: None)
    additions = HfApi()._prepare_upload_folder_additions(dataset, "")
    rule = next(addition for addition in additions if addition.path_in_repo == ".gitignore")
    with rule.as_file() as stream:
        (tmp_path / ".gitignore").write_bytes(stream.read())
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    names = [addition.path_in_repo for addition in additions]
    state = {name for name in names if name.startswith(f"{layout.STATE}/")}
    assert f"{layout.STATE}/recipe.yaml" in state
    ignored = subprocess.run(
        ["git", "-C", str(tmp_path), "check-ignore", "--stdin"], input="\n".join(names), capture_output=True, text=True
    )
    assert set(ignored.stdout.splitlines()) == state


def test_the_pattern_of_the_readme_leaves_it_out_before(dataset: Path) -> None:
    names = [path.relative_to(dataset).as_posix() for path in dataset.rglob("*") if path.is_file()]
    kept = set(filter_repo_objects(names, ignore_patterns=".build/*"))
    assert {name for name in names if name not in kept} == {name for name in names if name.startswith(".build/")}


def test_git_leaves_it_out_without_the_first_file(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / ".build").mkdir()
    (tmp_path / ".build/recipe.yaml").write_text("x")
    (tmp_path / ".build/.gitignore").write_bytes((dataset / ".build/.gitignore").read_bytes())
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    status = subprocess.run(["git", "-C", str(tmp_path), "status", "--short"], capture_output=True, text=True)
    assert status.stdout == ""


def test_a_users_own_rules_stay(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"*.log\n\xe9")
    keep_out_of_uploads(tmp_path)
    keep_out_of_uploads(tmp_path)
    assert (tmp_path / ".gitignore").read_bytes() == b"*.log\n\xe9\n/.build/\n"
