"""Ways in made from what lies on disk or on the hub."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codec_adapters import CheckpointError
from codec_adapters.external.onnx import OnnxBackend
from codec_adapters.external.transformers import TransformersBackend
from tests.kit import external_codecs
from tests.kit.external_codecs import loaded
from tools.small_networks.codecs.dac import random_dac

DAC: dict[str, Any] = {"hop": 320, "codebooks": 12, "bitrate": 3600.0}


def test_a_model_folder_within_and_outside_of_the_codec_files(tmp_path: Path) -> None:
    mine = tmp_path / "codecs"
    for place, said in ((mine / "dac", "dac"), (tmp_path / "elsewhere", str(tmp_path / "elsewhere"))):
        backend = TransformersBackend.from_folder(random_dac(place), mine)
        assert backend.folder == said
        assert {file.file for file in backend.files} == {"config.json", "model.safetensors"}
        assert loaded(mine, backend, **DAC).codebooks == 12
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty: expected config\.json and model\.safetensors, found nothing"):
        TransformersBackend.from_folder(tmp_path / "empty", mine)
    with pytest.raises(CheckpointError, match="absent: no such folder"):
        TransformersBackend.from_folder(tmp_path / "absent", mine)


def test_a_hub_repository_is_pinned_to_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    model = random_dac(tmp_path / "model")
    commit = "89abcdef0123456789abcdef0123456789abcdef"
    asked = []

    class Api:
        def model_info(self, repo: str, revision: str) -> Any:
            if repo != "someone/dac":
                raise OSError("404: no such repository\nand more")
            names = ("config.json", "model.safetensors", "pytorch_model.bin", "README.md", "modeling_dac.py")
            return SimpleNamespace(sha=commit, siblings=[SimpleNamespace(rfilename=name) for name in names])

    def from_hub(repo: str, name: str, revision: str, local_dir: Path) -> str:
        asked.append((name, revision))
        target = Path(local_dir) / name
        target.write_bytes((model / name).read_bytes())
        return str(target)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", from_hub)
    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path / "cache"))
    backend = TransformersBackend.from_repository("someone/dac")
    assert (backend.repo, backend.commit) == ("someone/dac", commit)
    assert asked == [("config.json", commit), ("model.safetensors", commit)]
    assert loaded(tmp_path, backend, **DAC).sample_rate == 16000
    assert len(asked) == 2
    with pytest.raises(
        CheckpointError, match=r"nobody/x: cannot be found on the hub at main \(404: no such repository\)$"
    ):
        TransformersBackend.from_repository("nobody/x")


def test_graphs_with_the_files_that_they_read(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="extra onnx is not installed")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "g.data").write_bytes(np.float32(0.5).tobytes())
    graph = external_codecs.onnx_round_trip(tmp_path / "inner" / "g.onnx", external="g.data")
    mine = tmp_path / "mine"
    mine.mkdir()
    backend = OnnxBackend.from_user(mine, (graph,))
    assert backend.round_trip is not None
    assert (backend.round_trip.file, [file.file for file in backend.data]) == ("g.onnx", ["g.data"])
    assert all((mine / file.file).is_file() for file in backend.pinned)
    pair = external_codecs.onnx_pair(tmp_path)
    graphs = (tmp_path / "encoder.onnx", tmp_path / "decoder.onnx")
    assert OnnxBackend.from_user(mine, graphs).at(Path()) == pair
    with pytest.raises(CheckpointError, match="give one graph"):
        OnnxBackend.from_user(mine, (graph,) * 3)
    with pytest.raises(CheckpointError, match="encoder and decoder need different names"):
        OnnxBackend.from_user(mine, (graph, graph))
    (tmp_path / "no.onnx").write_bytes(b"\xff\xff")
    with pytest.raises(CheckpointError, match=r"no\.onnx: no ONNX graph"):
        OnnxBackend.from_user(mine, (tmp_path / "no.onnx",))
