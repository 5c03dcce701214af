"""The command line: exit codes, one clear line per mistake, results on standard output, help at once."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from codecfake_builder.cli.options import command_line
from codecfake_builder.recipe.load import apply_override
from tests.conftest import REPOSITORY
from tests.kit.marks import slow_unless

COMMANDS = ["build", "plan", "import", "verify", "quality", "codecs", "alms", "fetch", "conformance"]
SLOW_TO_IMPORT = {
    *("torch", "transformers", "datasets", "huggingface_hub", "numpy", "scipy", "sklearn", "pandas", "pyarrow"),
    *("pydantic", "yaml", "ruamel", "jinja2", "tabulate", "soundfile", "soxr", "joblib", "requests", "pooch"),
    *("importlib.metadata", "codec_adapters.base", "codecfake_builder.recipe.schema"),
}
"""Most of what the commands' work needs; each would make ``--help`` slower by tens of milliseconds or more."""


def run(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "codecfake_builder", *arguments],
        capture_output=True,
        text=True,
        cwd=folder or REPOSITORY,
    )


def test_help_names_every_command_and_loads_nothing_that_takes_long() -> None:
    code = (
        "import sys\n"
        "from codecfake_builder.cli.app import app\n"
        "try:\n    app(['--help'])\n"
        f"finally:\n    assert not {SLOW_TO_IMPORT} & set(sys.modules), {SLOW_TO_IMPORT} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", slow_unless(lambda command: command == "build", COMMANDS))
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "Example: python -m codecfake_builder" in " ".join(done.stdout.split())


def test_codecs_lists_every_variant_without_loading_torch() -> None:
    done = run("codecs")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    header = lines[0].split()
    assert header[:3] == ["variant", "label", "family"]
    assert any(line.split()[:3] == ["encodec_24khz_6kbps", "4", "encodec"] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    slow_unless(
        lambda case: case[0][:2] in (["plan", "lira"], ["build", "lyra"], ["frobnicate"]),
        [
            (["plan", "lira"], "did you mean lyra?"),
            (["plan", "lyra"], "corpora without a root"),
            (["plan", "lyra", "--set", "corpora.vctk.rot=/x"], "corpora.vctk.rot: unknown key; did you mean root?"),
            (["plan", "lyra", "--limit", "0"], "--limit"),
            (["build", "lyra"], "--out"),
            (["verify", "/no/such/folder"], "/no/such/folder: no such folder"),
            (["fetch", "lyra_v3"], "did you mean lyra_v2?"),
            (["fetch", "vctkk"], "did you mean vctk?"),
            (["fetch", "ncssd"], "NCSSD has no public archive"),
            (["import", "clips", "/no/such", "--out", "/tmp/never"], "/no/such: no such folder"),
            (["import", "st-codecfak", "x", "--out", "y"], "did you mean st-codecfake?"),
            (["import", "st-codecfake", "recipes", "--out", "/tmp/never"], "nothing of ST-Codecfake is there"),
            (["import", "speechgpt-gen", "recipes", "--alm", "x", "--out", "y"], "go with clips only"),
            (["frobnicate"], "frobnicate"),
        ],
    ),
)
def test_mistakes_exit_with_two_and_say_what(arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_build_from_any_folder_prints_its_table(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    arguments = ["lyra", "--set", f"corpora.vctk.root={vctk}", "--set", f"corpora.aishell3.root={aishell3}"]
    for split in ("train", "dev", "eval_id"):
        arguments += ["--set", f"splits.{split}.variants=[real]"]
    arguments += ["--set", "execution.workers=1"]
    planned = run("plan", *arguments, folder=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.splitlines()[-1].split()[:2] == ["total", "20"]
    first = run("build", *arguments, "--out", "d", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "root hash" in first.stdout
    again = run("build", *arguments, "--out", "d", folder=tmp_path)
    assert "Nothing to do: all 3 shards were there" in again.stdout
    assert run("verify", "d", folder=tmp_path).stdout.startswith("OK: ")
    shard = next((tmp_path / "d" / "data").rglob("*.parquet"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    broken = run("verify", "d", folder=tmp_path)
    assert broken.returncode == 1
    assert shard.relative_to(tmp_path / "d").as_posix() in broken.stdout


@pytest.mark.slow
def test_an_interrupted_build_says_what_is_left(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    plugin = REPOSITORY / "tests" / "kit" / "faulty_codecs.py"
    arguments = ["build", "lyra", "--out", str(tmp_path / "d"), "--set", f"plugins=['{plugin}']"]
    arguments += ["--set", f"corpora.vctk.root={vctk}", "--set", f"corpora.aishell3.root={aishell3}"]
    arguments += ["--set", "splits.dev=null", "--set", "splits.eval_id=null", "--set", "execution.workers=2"]
    arguments += ["--set", "splits.train.variants=[faulty_slow]"]
    process = subprocess.Popen(
        [sys.executable, "-m", "codecfake_builder", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests may run where interrupts are ignored
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "to make" in line:
            break
    time.sleep(5)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "error: interrupted; what is finished is kept" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_failing_corpus_root_is_one_line(tmp_path: Path) -> None:
    done = run("build", "lyra", "--out", str(tmp_path / "d"), "--set", f"corpora.vctk.root={tmp_path}",
               "--set", f"corpora.aishell3.root={tmp_path}")  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "expected wav48_silence_trimmed" in done.stderr


def test_a_cache_that_cannot_be_written_says_which_variable_moves_it(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("no folder, so that nobody can write into it")
    environment = {**os.environ, "CODECFAKE_CACHE": str(tmp_path / "home" / "cache")}
    command = [sys.executable, "-m", "codecfake_builder", "plan", "mini"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "CODECFAKE_CACHE" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("folder", ["/data/a b: c #1", "./x: y", "~/z #", "../[1]"])
def test_a_path_is_taken_from_set_as_it_stands(folder: str) -> None:
    document: dict[str, Any] = {}
    apply_override(document, f"corpora.vctk.root={folder}")
    assert document == {"corpora": {"vctk": {"root": folder}}}


def test_printed_commands_can_be_pasted_whatever_the_path() -> None:
    line = command_line("verify", Path("/data/my sets/it's"))
    assert shlex.split(line) == ["python", "-m", "codecfake_builder", "verify", "/data/my sets/it's"]
