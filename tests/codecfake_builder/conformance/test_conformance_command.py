"""The command: exit codes, a table and JSON, plugins and isolated codecs of a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from codecfake_builder.cli.app import main
from codecfake_builder.conformance.suite import CHECKS, NO_NETWORK
from tests.codecfake_builder.shards.test_isolated_codecs import G711
from tests.kit.datasets_for_tests import FAULTY_PLUGIN

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process: exit code, standard output, standard error."""

    def running(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["conformance", *arguments])
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return running


def recipe(folder: Path, **parts: Any) -> str:
    document = {
        "name": "r",
        "title": "R",
        "corpora": {"vctk": {"kind": "vctk", "root": str(folder)}},
        "splits": {"train": {"share": 1, "variants": ["real"]}},
        **parts,
    }
    (folder / "r.yaml").write_text(yaml.safe_dump(document))
    return str(folder / "r.yaml")


@pytest.mark.slow
def test_a_codec_of_the_embedded_edition(run: Run, tmp_path: Path) -> None:
    code, out, err = run(
        "encodec_24khz_1_5kbps", "--recipe", "mini", "--device", "cpu", "--quick", "--json", f"{tmp_path}/c.json"
    )
    assert code == 0, out + err
    lines = out.splitlines()
    assert lines[0].split() == ["check", "verdict", "measured"]
    assert lines[-1].startswith("OK: ")
    document = json.loads((tmp_path / "c.json").read_text())
    assert (document["variant"], document["device"]) == ("encodec_24khz_1_5kbps", "cpu")
    assert [result["name"] for result in document["results"]] == [*CHECKS, NO_NETWORK]
    assert {result["verdict"] for result in document["results"]} <= {"pass", "skipped"}


def test_a_plugin_that_misbehaves_is_exit_code_1(run: Run, tmp_path: Path) -> None:
    code, out, err = run(
        "faulty_nan", "--recipe", recipe(tmp_path, plugins=[FAULTY_PLUGIN]), "--device", "cpu", "--quick"
    )
    assert code == 1, out + err
    last = out.splitlines()[-1]
    assert last.startswith("FAILED: ")
    assert "output" in last
    assert "Traceback" not in err


@pytest.mark.slow
def test_an_isolated_codec_that_behaves_passes(run: Run, tmp_path: Path) -> None:
    code, out, err = run(
        "g711_64kbps", "--recipe", recipe(tmp_path, isolated={"g711_64kbps": G711}), "--device", "cpu", "--quick"
    )
    assert code == 0, out + err
    found = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "gives no codes" in found["codes"]
    assert "skipped" in found["codes"]
    assert "0 samples (correlation 1.00" in found["delay"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dac_16kHz"], "did you mean dac_16khz?"),
        (["codec_lm_mimi"], "is an audio language model; conformance judges codecs, e.g. mimi_8codebooks"),
        (["dac_16khz", "--checkpoint", "/no/such"], "checkpoint folder /no/such does not exist"),
        (["dac_16khz", "--recipe", "mini", "--option", "codebooks"], "--option codebooks: expected KEY=VALUE"),
        (["dac_16khz", "--recipe", "mini", "--option", "codebook=3"], "unknown option 'codebook'"),
        (["dac_16khz", "--recipe", "minni"], "did you mean mini?"),
        (["dac_16khz", "--recipe", "mini", "--device", "nonsense"], "device 'nonsense' cannot be used"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(run: Run, arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    assert not out
