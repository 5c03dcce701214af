"""Every sentence of docs/security.md names a test, and the test is there."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_named_test_exists() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py")]
    functions = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) > 15
    assert [name for name in named if name not in functions] == []
    files = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)
    assert files
    assert [name for name in files if not (REPOSITORY / name).is_file()] == []


def test_every_point_names_its_test() -> None:
    points = re.split(r"^- ", PAGE, flags=re.MULTILINE)[1:]
    without = [point for point in points if not re.search(r"`tests?[_/]", point)]
    assert [point.split(".")[0] for point in without] == [
        "Installed packages with an entry point in the group `codec_adapters`"
    ]
