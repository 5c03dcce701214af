"""Checkpoints are looked at before the first clip: what is missing or damaged is said of all of them, by key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from codec_adapters import CheckpointError
from codec_adapters.files import weights
from codec_adapters.files.integrity import damage
from codecfake_builder.cli.app import main
from codecfake_builder.recipe.load import load_recipe
from codecfake_builder.recipe.variants import resolve_variants
from codecfake_builder.resources import resource_folder

MINI = resource_folder("recipes") / "mini" / "weights"


def refused(settings: list[str], variants: list[str]) -> list[str]:
    with pytest.raises(CheckpointError) as raised:
        resolve_variants(load_recipe("mini", settings), variants)
    return str(raised.value).splitlines()


def test_every_folder_that_is_not_there_is_named_by_its_key(tmp_path: Path) -> None:
    settings = ["weights.mimi=/none/mimi", "weights.dac_16khz=/none/dac"]
    lines = refused(settings, ["real", "mimi_8codebooks", "dac_16khz", "facodec_v2"])
    assert lines == [
        "weights.mimi: /none/mimi: no such folder (checkpoint of mimi_8codebooks)",
        "weights.dac_16khz: /none/dac: no such folder (checkpoint of dac_16khz)",
    ]


@pytest.mark.parametrize("cut", [0, 4, 5000])
def test_a_truncated_file_is_seen_before_anything_runs(cut: int, tmp_path: Path) -> None:
    shutil.copytree(MINI / "mimi_8codebooks", tmp_path / "w")
    file = tmp_path / "w" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:cut])
    (line,) = refused([f"weights.mimi={tmp_path / 'w'}"], ["mimi_8codebooks"])
    assert line.startswith(f"weights.mimi: {tmp_path / 'w'}: model.safetensors is ")
    assert line.endswith("(checkpoint of mimi_8codebooks)")


def test_a_truncated_torch_file_is_seen(tmp_path: Path) -> None:
    shutil.copytree(MINI / "snac_24khz", tmp_path / "w")
    file = tmp_path / "w" / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[:-100])
    (line,) = refused([f"weights.snac_24khz={tmp_path / 'w'}"], ["snac_24khz"])
    assert "pytorch_model.bin is cut" in line


def test_weights_that_cannot_be_fetched_are_listed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def fail(name: str) -> Path:
        tried.append(name)
        raise CheckpointError(f"{name}: no network; --set weights.{name}=FOLDER")

    monkeypatch.setattr(weights, "fetch", fail)
    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path))
    recipe = load_recipe("lyra")
    with pytest.raises(CheckpointError) as raised:
        resolve_variants(recipe, ["real", "lyra_v2_6kbps", "lyra_v2_9_2kbps", "dac_16khz", "mimi_8codebooks"])
    assert sorted(tried) == ["dac_16khz", "lyra_v2", "mimi"], "each once"
    assert len(str(raised.value).splitlines()) == 3


def test_whole_checkpoints_pass() -> None:
    recipe = load_recipe("mini")
    assert set(resolve_variants(recipe, recipe.variants())) == set(recipe.variants()) - {"real"}


def test_a_recipes_weights_are_fetched_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []

    def fetch(name: str) -> Path:
        tried.append(name)
        if name == "dac_16khz":
            raise CheckpointError(f"{name}: no network")
        return tmp_path / name

    monkeypatch.setattr(weights, "fetch", fetch)
    with pytest.raises(SystemExit) as exited:
        main(["fetch", "--recipe", "stcodecfake", "--set", "weights.mimi=/data/mimi"])
    assert exited.value.code == 2
    out, err = capsys.readouterr()
    assert "mimi" not in tried, "the recipe has a folder for it"
    assert {"snac_24khz", "lyra_v2", "encodec_24khz", "dac_16khz"} <= set(tried)
    assert len(tried) == len(set(tried)) == len(out.splitlines()) + 1
    assert err.splitlines()[-1] == "error: dac_16khz: no network"
    assert "lyra_v2 from https://" in err
    assert ", 3.6 MB, licence Apache-2.0" in err


def test_a_config_that_only_its_own_loader_reads_is_left_to_it(tmp_path: Path) -> None:
    """VALL-E's official args.json is no strict JSON; what a file says is for loading to judge."""
    (tmp_path / "args.json").write_text("{'a': 1}")
    assert list(damage(tmp_path, ["args.json"])) == []
    (tmp_path / "empty.json").touch()
    assert list(damage(tmp_path, ["empty.json"])) == ["empty.json is empty"]
