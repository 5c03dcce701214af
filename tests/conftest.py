"""What tests share: the folder of goldens and speech beside a checkout, a cache of their own, one thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.kit import synthetic
from tests.kit.on_demand import OnDemand
from tools.small_networks.alms import ALMS
from tools.small_networks.checkpoints import RANDOM

REPOSITORY = Path(__file__).parent.parent
LIBRARY_CODECS = ("dac_16khz", "encodec_24khz_6kbps", "encodec_48khz_6kbps", "mimi_8codebooks", "snac_24khz")
"""A variant of each network that a library runs, for which the repository needs no goldens of an upstream."""
SPEAKING_CODECS = ("dac_44khz", "mimi_32codebooks")
"""More settings of the same codecs, through which audio language models speak."""
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Goldens, real speech and official weights that are kept beside a checkout, not in it."""
    folder = Path(os.environ.get("CODECFAKE_SHARED") or REPOSITORY.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: goldens and real speech are kept beside the checkout")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The builder's cache, away from the user's; inherited by every process that tests start."""
    cache = tmp_path_factory.mktemp("cache")
    os.environ["CODECFAKE_CACHE"] = str(cache)
    os.environ["HF_HUB_OFFLINE"] = "1"
    return cache


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small random checkpoint per variant of ``LIBRARY_CODECS`` and ``SPEAKING_CODECS``, in the official layout."""
    root = tmp_path_factory.mktemp("tiny")
    return {name: RANDOM[name](root / name) for name in (*LIBRARY_CODECS, *SPEAKING_CODECS)}


@pytest.fixture(scope="session")
def tiny_alms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small random checkpoint per ALM, made when it is asked for, in the official layout, without its codec's."""
    root = tmp_path_factory.mktemp("tiny_alms")
    return OnDemand(lambda name: ALMS[name](root / name))


@pytest.fixture(scope="session")
def vctk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small VCTK 0.92: 3 speakers, 4 utterances each."""
    return synthetic.make_vctk(tmp_path_factory.mktemp("vctk"))


@pytest.fixture(scope="session")
def aishell3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small AISHELL-3: 2 speakers, 4 utterances each."""
    return synthetic.make_aishell3(tmp_path_factory.mktemp("aishell3"))
