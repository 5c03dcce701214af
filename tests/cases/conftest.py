"""What the tests of small odd inputs share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def cases(shared: Path) -> Path:
    """The small odd inputs, which are kept beside a checkout."""
    if not (shared / "cases").is_dir():
        pytest.skip(f"{shared / 'cases'} is absent: small odd inputs are kept beside the checkout")
    return shared / "cases"
