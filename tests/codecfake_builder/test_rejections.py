"""Reasons of rejections: one closed set, spelled in one place, documented, and held by files as plain strings."""

from __future__ import annotations

import ast
import json
import pickle
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest

import codecfake_builder
from codecfake_builder import rejections
from codecfake_builder.dataset.records import Rejection, ShardRecord, load_record
from codecfake_builder.rejections import RejectedError, RejectionReason

PACKAGE = Path(codecfake_builder.__file__).parent
DOCUMENT = PACKAGE.parent / "docs" / "rejected_clips.md"
OTHER_MEANINGS = {"missing", "length"}
"""Also pydantic's word for an absent field, and a model's for speech that ended at its limit."""


def literals(source: str) -> Iterator[ast.Constant]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node


def test_no_module_spells_a_reason_itself() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == Path(rejections.__file__):
            continue
        source = path.read_text(encoding="utf-8")
        refused = (
            set(RejectionReason) if "codecfake_builder.rejections" in source else set(RejectionReason) - OTHER_MEANINGS
        )
        found += [f"{path}:{node.lineno}: {node.value}" for node in literals(source) if node.value in refused]
    assert not found


def test_the_document_lists_every_reason_as_the_code_does() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (yes|no) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    expected = [(str(reason), reason.meaning, "yes" if reason.of_the_moment else "no") for reason in RejectionReason]
    assert rows == expected


def test_what_says_something_of_the_moment_is_tried_again() -> None:
    of_the_moment = {"missing", "source_changed", "read_timeout", "worker_failed"}
    assert {str(reason) for reason in RejectionReason if reason.of_the_moment} == of_the_moment


@pytest.mark.parametrize("reason", RejectionReason)
def test_files_hold_a_reason_as_its_plain_string(reason: RejectionReason, tmp_path: Path) -> None:
    rejection = Rejection("train", "real", "vctk", "p225_001", reason, "why")
    assert json.loads(json.dumps(asdict(rejection)))["reason"] == reason.value
    assert pa.table([[reason]], schema=pa.schema([("reason", pa.string())])).to_pylist() == [{"reason": reason.value}]
    assert pickle.loads(pickle.dumps(reason)) is reason
    record = ShardRecord("data/train/real-00000.parquet", "key", "", 0, 0, 0.0, (rejection,))
    record.save(tmp_path)
    loaded = load_record(tmp_path, record.file)
    assert loaded == record
    assert loaded.rejected[0].reason is reason


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ("Error opening <_io.BytesIO object at 0x7f50e8d3fec0>: bad", "Error opening <_io.BytesIO object>: bad"),
        ("<function f at 0x7F50E8D3FEC0> failed", "<function f> failed"),
        ("first\n  second\tthird", "first second third"),
        (f"cannot read {tempfile.gettempdir()}/tmpabc123/in.wav: bad", "cannot read (temporary file) bad"),
        ("colours \x1b[31mred", r"colours \x1b[31mred"),
    ],
)
def test_a_detail_is_the_same_at_every_run(said: str, detail: str) -> None:
    assert RejectedError(RejectionReason.CODEC_ERROR, said).detail == detail


def test_a_detail_is_of_bounded_length() -> None:
    assert len(RejectedError(RejectionReason.CODEC_ERROR, "long " * 10000).detail) == rejections.LONGEST_DETAIL
