"""The speed script's arithmetic and its words; the upstreams themselves are not there to run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import codec_adapters
from benchmarks.adapter_speed import HEADER, TABLE, Timing, document, main, parsed_size, parsed_upstreams, table
from benchmarks.report import machine, markdown_table
from benchmarks.upstreams import UPSTREAMS
from codec_adapters.loading import merged_options

TIMING = Timing(8, 3, ((1.0, 2.0), (3.0, 2.0), (1.0, 4.0)), 2e-6)


def test_ratios_are_ours_over_theirs_pair_by_pair() -> None:
    assert TIMING.ratios == [0.25, 0.5, 1.5]
    assert TIMING.cells() == ["8", "3", "1.000", "2.000", "0.50", "0.25 to 1.50", "3", "2e-06"]


def test_every_upstream_has_its_rows_or_a_reason() -> None:
    lines = table({"funcodec": [TIMING, TIMING], "facodec": "not measured: ImportError: einops"}).splitlines()
    assert len(lines) == 2 + len(UPSTREAMS) + 1
    assert all(line.count(" | ") == len(HEADER) - 1 for line in lines)
    assert sum("modelscope/FunCodec" in line and "0.25 to 1.50" in line for line in lines) == 2
    assert sum("not measured: no checkout given" in line for line in lines) == len(UPSTREAMS) - 2
    assert any("facodec_v2" in line and "einops" in line for line in lines)


@pytest.mark.parametrize("name", UPSTREAMS)
def test_upstreams_name_what_exists_here(name: str) -> None:
    upstream = UPSTREAMS[name]
    spec = codec_adapters.spec(upstream.variant)
    assert spec.repo == upstream.repo or spec.family == "facodec"
    assert set(merged_options(spec, dict(upstream.options))) == set(spec.options)
    assert re.fullmatch("[0-9a-f]{40}", upstream.commit)


def test_upstreams_are_parsed(tmp_path: Path) -> None:
    assert parsed_upstreams([f"audiodec={tmp_path}"]) == {"audiodec": tmp_path.resolve()}
    for wrong in ("audiodec", f"encodec={tmp_path}"):
        with pytest.raises(ValueError, match="expected NAME=PATH, NAME one of speechtokenizer"):
            parsed_upstreams([wrong])
    with pytest.raises(ValueError, match="give --upstream"):
        parsed_upstreams([])
    with pytest.raises(ValueError, match="clone facebookresearch/AudioDec there"):
        parsed_upstreams([f"audiodec={tmp_path / 'absent'}"])


def test_sizes_are_parsed() -> None:
    assert parsed_size("8x1") == (8, 1.0)
    assert parsed_size("1x0.5") == (1, 0.5)
    for wrong in ("8", "0x1", "8x", "8x1s"):
        with pytest.raises(ValueError, match="expected BATCHxSECONDS"):
            parsed_size(wrong)


@pytest.mark.slow
def test_a_checkout_that_is_none_is_reported_in_the_table(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, ["--upstream", f"audiodec={tmp_path}", "--out", str(tmp_path / "speed.md")])
    assert result.exit_code == 0
    assert "not measured: ModuleNotFoundError" in (tmp_path / "speed.md").read_text()
    assert CliRunner().invoke(app, ["--upstream", "nonsense"]).exit_code == 2


def test_the_committed_table_is_the_scripts() -> None:
    """Same header, every upstream at the listed commit, and no adapter slower than its upstream beyond noise."""
    text = TABLE.read_text(encoding="utf-8")
    assert text.startswith(document({}, 7).split(";")[0])
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[0] == markdown_table(HEADER, []).splitlines()[0]
    for name, upstream in UPSTREAMS.items():
        own = [line for line in lines if line.startswith(f"| {name} ({upstream.repo}@{upstream.commit[:7]}")]
        assert own, name
        ratios = [float(line.split(" | ")[HEADER.index("ratio")]) for line in own if "not measured" not in line]
        assert all(ratio <= 1.05 for ratio in ratios), (name, ratios)


def test_machine_names_date_processor_and_torch() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d, .+, torch \d+\.\d+.*", machine())


def test_markdown_cells_are_filled_and_escaped() -> None:
    assert markdown_table(["a", "b"], [["x|y"]]) == "| a | b |\n| --- | --- |\n| x\\|y |  |\n"
