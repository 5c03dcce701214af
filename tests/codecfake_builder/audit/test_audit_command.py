"""The command ``audit``, the certificate in the card, and builds that end with an audit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codecfake_builder.changes.build import build
from codecfake_builder.dataset.description.certificate import Certificate, with_section
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import CheckFailedError
from codecfake_builder.recipe.resolve import Resolved
from tests.kit.datasets_for_tests import changed

Run = Callable[..., Any]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line; returns exit code, output and messages."""
    from codecfake_builder.cli.app import main

    def call(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return call


def test_audit_of_a_dataset_prints_each_line_and_writes_json(dataset: Path, run: Run, tmp_path: Path) -> None:
    code, out, _ = run("audit", dataset, "--json", tmp_path / "audit.json", "--workers", 1)
    document = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    assert code == (0 if document["passed"] else 1)
    assert document["root"] in out
    for finding in document["findings"]:
        assert f"{finding['status']:7} {finding['line']}" in out
    lines = {finding["line"] for finding in document["findings"]}
    assert {"readable", "container", "length", "lag", "level", "speakers", "duplicates", "signal"} <= lines


def test_a_codec_that_changes_nothing_is_found(dataset: Path, run: Run) -> None:
    """The small dataset's codec gives back what it gets: two variants with the same audio."""
    code, out, _ = run("audit", dataset, "--workers", 1)
    assert code == 1
    assert "fail    identical variants" in out


def test_the_card_carries_the_certificate_for_the_root_hash(dataset: Path, run: Run) -> None:
    run("audit", dataset, "--certify", "--workers", 1)
    root = verify(dataset)
    assert root.problems == []
    card = (dataset / "README.md").read_text(encoding="utf-8")
    assert card.count("## Audit") == 1
    assert f"root hash `{root.root}`" in card
    assert "**failed**" in card
    before = card
    run("audit", dataset, "--certify", "--workers", 1)
    assert (dataset / "README.md").read_text(encoding="utf-8") == before


def test_a_certificate_stays_as_long_as_the_dataset_does(dataset: Path, recipe: Resolved, run: Run) -> None:
    run("audit", dataset, "--certify", "--workers", 1)
    with pytest.raises(CheckFailedError, match="its audit failed in"):
        build(recipe, dataset)
    assert "## Audit" in (dataset / "README.md").read_text(encoding="utf-8")
    (dataset / "README.md").unlink()  # made again, with the certificate
    with pytest.raises(CheckFailedError, match="its audit failed in"):
        build(recipe, dataset)
    assert "## Audit" in (dataset / "README.md").read_text(encoding="utf-8")
    fewer = changed(recipe, splits={name: recipe.recipe.splits[name] for name in ("train", "dev")})
    build(fewer, dataset, replace=True)
    assert "## Audit" not in (dataset / "README.md").read_text(encoding="utf-8")


def test_a_build_can_end_with_an_audit_and_never_hides_what_failed(recipe: Resolved, tmp_path: Path) -> None:
    audited = changed(recipe, audit=recipe.recipe.audit.model_copy(update={"after_build": True}))
    for _ in range(2):  # and says so again where nothing is to do
        with pytest.raises(CheckFailedError, match="identical variants"):
            build(audited, tmp_path / "d")
    card = (tmp_path / "d" / "README.md").read_text(encoding="utf-8")
    assert "**failed**" in card
    assert "identical variants" in card
    assert verify(tmp_path / "d").problems == []
    with pytest.raises(CheckFailedError):
        build(audited, tmp_path / "again")
    assert (tmp_path / "again" / "README.md").read_text(encoding="utf-8") == card


def test_mistakes_are_one_line(dataset: Path, run: Run, tmp_path: Path) -> None:
    for words in (
        ("audit",),
        ("audit", dataset, "--files", dataset),
        ("audit", dataset, "--real", dataset),
        ("audit", "--files", dataset, "--certify"),
        ("audit", tmp_path / "none"),
        ("audit", tmp_path),
        ("audit", "--files", tmp_path),
        ("audit", dataset, "--against", tmp_path / "none"),
    ):
        code, _, err = run(*words)
        assert code == 2
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1


def test_a_damaged_clip_is_a_line_and_the_others_are_audited(dataset: Path, run: Run) -> None:
    shard = next((dataset / "data" / "train").glob("faulty*.parquet"))
    table = pq.read_table(shard)
    audio = table["audio"].to_pylist()
    audio[0]["bytes"] = audio[0]["bytes"][:100]
    column = pa.array(audio, table.schema.field("audio").type)
    pq.write_table(table.set_column(table.schema.get_field_index("audio"), "audio", column), shard)
    code, out, _ = run("audit", dataset, "--workers", 1)
    assert code == 1
    assert "fail    readable: 1 of " in out
    assert "pass    length" in out


@pytest.mark.parametrize("damage", ["shard", "provenance"])
def test_a_damaged_dataset_is_one_line(dataset: Path, run: Run, damage: str) -> None:
    if damage == "shard":
        next((dataset / "data" / "train").glob("*.parquet")).write_bytes(b"PAR1 no more")
    else:
        (dataset / "provenance.json").write_text("[", encoding="utf-8")
    code, _, err = run("audit", dataset, "--workers", 1)
    assert code == 2
    assert "verify tells more" in err
    assert len([line for line in err.splitlines() if line.startswith("error")]) == 1


def test_a_dataset_without_the_builders_state_is_certified_too(dataset: Path, run: Run) -> None:
    shutil.rmtree(dataset / ".build")
    run("audit", dataset, "--certify", "--workers", 1)
    assert verify(dataset).problems == []
    assert "## Audit" in (dataset / "README.md").read_text(encoding="utf-8")


def test_names_make_no_markup_in_the_card() -> None:
    line = ("edges", "all", "fail", "tells <script>alert(1)</script> | a\nb")
    section = Certificate("r", passed=False, clips=1, lines=(line,)).section()
    assert "<script>" not in section
    assert "\\|" in section
    card = with_section("# Card\n", Certificate("r", passed=True, clips=1, lines=()))
    assert with_section(card, Certificate("s", passed=True, clips=2, lines=())).count("## Audit") == 1
