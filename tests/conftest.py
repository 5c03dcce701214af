"""What tests share: the folder of goldens and speech beside a checkout, and quiet, single-threaded numerics."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).parent.parent
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Goldens, real speech and official weights that are kept beside a checkout, not in it."""
    folder = Path(os.environ.get("CODECFAKE_SHARED") or REPOSITORY.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: goldens and real speech are kept beside the checkout")
    return folder
