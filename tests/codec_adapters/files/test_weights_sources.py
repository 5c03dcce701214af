"""Where the files of an official checkpoint come from: the hub, a folder, or an address of their own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from codec_adapters.builtin import builtin_catalogue
from codec_adapters.errors import CheckpointError
from codec_adapters.files import download as downloading
from codec_adapters.files import weights


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been downloaded; each file holds its own address."""
    seen: list[str] = []

    def deliver(address: str, path: Path) -> str:
        seen.append(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(address)
        return str(path)

    def from_hub(repository: str, name: str, revision: str, local_dir: Path) -> str:
        return deliver(f"{repository}@{revision}/{name}", local_dir / name)

    def from_web(url: str, path: Path, most: int) -> Path:
        return Path(deliver(url, path))

    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", from_hub)
    monkeypatch.setattr(downloading, "download", from_web)
    return seen


def _locked(monkeypatch: pytest.MonkeyPatch, **entries: dict[str, Any]) -> None:
    lock = {name: weights._entry(name, values) for name, values in entries.items()}
    monkeypatch.setattr(weights, "lock", lambda: lock)


def test_files_of_one_checkpoint_from_two_places(downloads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://example.org/configs/network.yaml"
    config = {"url": address, "sha256": hashlib.sha256(address.encode()).hexdigest()}
    files = {"inner/weights.ckpt": None, "network.yaml": config}
    _locked(monkeypatch, toy={"licence": "none", "hub": "somebody/toy", "revision": "r1", "files": files})
    folder = weights.fetch("toy")
    assert downloads == ["somebody/toy@r1/inner/weights.ckpt", address]
    assert (folder / "inner" / "weights.ckpt").read_text() == downloads[0]
    assert (folder / "network.yaml").read_text() == address
    assert weights.cached("toy") == folder == weights.fetch("toy")
    assert len(downloads) == 2


def test_a_file_with_another_hash_is_not_used(downloads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://example.org/network.yaml"
    files = {"network.yaml": {"url": address, "sha256": "0" * 64}}
    _locked(monkeypatch, toy={"licence": "none", "hub": "somebody/toy", "revision": "r1", "files": files})
    with pytest.raises(CheckpointError, match=f"network.yaml from {address} has sha256"):
        weights.fetch("toy")
    assert weights.cached("toy") is None


def test_names_of_official_files(monkeypatch: pytest.MonkeyPatch) -> None:
    _locked(monkeypatch, toy={"licence": "none", "hub": "a/b", "files": {"a/x.yaml": None, "a/x.ckpt": None}})
    assert weights.official_files("toy", "*.ckpt") == ["a/x.ckpt"]
    assert weights.official_files("toy", "*.pt", "*.yaml") == ["a/x.yaml"]
    assert weights.official_files("toy", "a/*") == ["a/x.yaml", "a/x.ckpt"]
    assert weights.official_files("somebody_elses", "*.ckpt") == ["*.ckpt"]


@pytest.mark.parametrize("variant", [spec.name for spec in builtin_catalogue().codecs() if spec.checkpoint])
def test_every_variant_has_its_checkpoint_in_the_lock(variant: str) -> None:
    entry = weights.locked(builtin_catalogue().codec(variant).checkpoint)
    assert entry.files
    assert [bool(entry.hub and entry.revision), bool(entry.url), bool(entry.archive)].count(True) == 1
