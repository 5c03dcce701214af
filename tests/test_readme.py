"""The README's own commands work as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.kit.synthetic import write_wave

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = {kind: re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL) for kind in ("bash", "python")}


def block(kind: str, containing: str) -> str:
    return next(text for text in BLOCKS[kind] if containing in text)


@pytest.fixture(scope="module")
def folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first real job has been run, on the real speech beside the checkout."""
    folder = tmp_path_factory.mktemp("readme")
    command = block("bash", "build lyra").replace("\\\n", " ")
    command = command.replace("/data/VCTK-Corpus-0.92", str(shared / "speech" / "vctk"))
    command = command.replace("/data/AISHELL-3", str(shared / "speech" / "aishell3"))
    words = [sys.executable, *shlex.split(command)[1:], "--set", f"weights.lyra_v2={shared / 'weights' / 'lyra_v2'}"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_first_real_job_opens_as_shown(folder: Path) -> None:
    code = block("python", 'load_dataset("lyra-dataset"').replace(
        'split="train")', f'split="train", cache_dir="{folder / "cache"}")'
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = re.search(r"```\n(lyra_v2.*?)```", README, re.DOTALL)
    assert shown is not None
    assert done.stdout == shown[1]


@pytest.mark.slow
def test_the_checks_pass_as_shown(folder: Path) -> None:
    commands = block("bash", "sha256sum -c").replace("python -m", f"{sys.executable} -m")
    done = subprocess.run(["bash", "-e", "-c", commands], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_codec_goes_as_shown(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "lyra-dataset", tmp_path / "lyra-dataset")
    words = shlex.split(block("bash", "remove-codec"))
    done = subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "lyra-dataset").rglob("*6kbps*.parquet"))
    assert (folder / "lyra-dataset" / "data" / "train" / "lyra_v2_6kbps-00000.parquet").is_file()


@pytest.mark.slow
def test_the_tree_is_what_comes_out(folder: Path) -> None:
    for name in ("README.md", "checksums.sha256", "croissant.json", "provenance.json", "rejected.parquet", ".build"):
        assert name in README
        assert (folder / "lyra-dataset" / name).exists()


@pytest.mark.slow
def test_a_codec_alone_works_as_shown(shared: Path) -> None:
    weights = shared / "weights" / "lyra_v2"
    code = block("python", "codec_adapters.load").replace(
        '"lyra_v2_6kbps")', f'"lyra_v2_6kbps", checkpoint="{weights}")'
    )
    done = subprocess.run([sys.executable, "-c", code + "print(same_speech.shape)"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "torch.Size([1, 16000])"


def test_every_command_of_the_table_exists() -> None:
    from codecfake_builder.cli.app import app

    named = set(re.findall(r"^\| `([\w-]+)[ `]", README.split("## Commands")[1].split("\n## ")[0], re.MULTILINE))
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    groups = {group.typer_instance.info.name for group in app.registered_groups if group.typer_instance}
    assert named == known | groups


def test_the_imports_run_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from codecfake_builder.cli.app import app

    monkeypatch.chdir(tmp_path)
    for name in ("moshi/a.wav", "outputs/six/a.wav", "api/a.wav", "demo-page/response.wav", "st-codecfake/train/a.wav"):
        write_wave(tmp_path / "data" / name, 0.5, 16000, len(name))
    (tmp_path / "data" / "st-codecfake" / "label").mkdir()
    (tmp_path / "data" / "st-codecfake" / "label" / "train.txt").write_text("a.wav real 0\n")
    (tmp_path / "clips.csv").write_text("path,codec\na.wav,mimi\n")
    lines = block("bash", "import st-codecfake").strip().splitlines()
    assert len(lines) == 5
    for line in lines:
        words = shlex.split(line.replace("/data/", f"{tmp_path}/data/"), comments=True)
        assert words[:3] == ["python", "-m", "codecfake_builder"]
        app([*words[3:], "--set", "execution.workers=1"], standalone_mode=False)
        assert (tmp_path / words[-1] / "checksums.sha256").is_file()
