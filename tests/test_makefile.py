"""The Makefile hands paths on as they are, whatever characters they have."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def made(**variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``make build-stcodecfake`` with a program in the builder's place that prints its arguments in lines."""
    given = [f"{name}={value}" for name, value in {"RUN": "printf '%s\\n'", **variables}.items()]
    command = ["make", "--silent", "-o", ".venv/.installed", "build-stcodecfake", *given]
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "OUT", "VCTK", "AISHELL3", "NCSSD", "ARGS")  # of the make that tests
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=environment)


def test_paths_may_hold_spaces_and_quotes() -> None:
    vctk, aishell3, ncssd, out = "/data/my corpora/VC'TK", '/a (b) #1/"x"', "/n c", "my out; echo no"
    done = made(VCTK=vctk, AISHELL3=aishell3, NCSSD=ncssd, OUT=out, ARGS="--limit 3")
    roots = {"vctk": vctk, "aishell3": aishell3, "ncssd": ncssd}
    settings = [word for name, root in roots.items() for word in ("--set", f"corpora.{name}.root={root}")]
    assert done.stdout.splitlines() == ["build", "stcodecfake", "--out", out, *settings, "--limit", "3"]


def test_the_embedded_edition_takes_a_folder_with_a_space() -> None:
    assert made(OUT="my out").stdout.splitlines()[:4] == ["build", "mini", "--out", "my out"]
    assert made().stdout.splitlines()[:4] == ["build", "mini", "--out", "build/st-codecfake-mini"]


def test_one_corpus_without_the_other_is_one_line() -> None:
    done = made(VCTK="/data/my corpora")
    assert done.returncode == 2
    assert done.stderr.startswith("error: give both corpora: make build-stcodecfake VCTK=")
