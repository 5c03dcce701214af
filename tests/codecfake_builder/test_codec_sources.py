"""Ways in made from what lies on disk or on the hub."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import codec_adapters
from codec_adapters import CheckpointError
from codecfake_builder.codecs.codec_file import load_codec_file
from codecfake_builder.codecs.codec_sources import hub_repository, onnx_graphs, transformers_folder
from tests import added_codecs, tiny_checkpoints
from tests.added_codecs import codec_file, facts

DAC: dict[str, Any] = {"hop": 320, "codebooks": 12, "bitrate": 3600.0}


def test_a_model_folder_within_and_outside_of_the_codec_files(tmp_path: Path) -> None:
    mine = tmp_path / "codecs"
    for place, said in ((mine / "dac", "dac"), (tmp_path / "elsewhere", str(tmp_path / "elsewhere"))):
        way = transformers_folder(tiny_checkpoints.make_dac(place), mine)
        assert way.folder == said
        assert set(way.files) == {"config.json", "model.safetensors"}
        load_codec_file(codec_file(mine, "added", way, facts(**DAC))).register()
        assert codec_adapters.load("added").codebooks == 12
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty: expected config\.json and model\.safetensors, found nothing"):
        transformers_folder(tmp_path / "empty", mine)
    with pytest.raises(CheckpointError, match="absent: no such folder"):
        transformers_folder(tmp_path / "absent", mine)


def test_a_hub_repository_is_pinned_to_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    model = tiny_checkpoints.make_dac(tmp_path / "model")
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
    way = hub_repository("someone/dac")
    assert (way.repo, way.commit) == ("someone/dac", commit)
    assert asked == [("config.json", commit), ("model.safetensors", commit)]
    load_codec_file(codec_file(tmp_path, "added", way, facts(**DAC))).register()
    assert codec_adapters.load("added").sample_rate == 16000
    assert len(asked) == 2
    with pytest.raises(
        CheckpointError, match=r"nobody/x: cannot be found on the hub at main \(404: no such repository\)$"
    ):
        hub_repository("nobody/x")


def test_graphs_with_the_files_that_they_read(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="extra onnx is not installed")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "g.data").write_bytes(np.float32(0.5).tobytes())
    graph = added_codecs.onnx_round_trip(tmp_path / "inner" / "g.onnx", external="g.data")
    way = onnx_graphs([graph], tmp_path)
    assert way.round_trip is not None
    assert (way.round_trip.file, [file.file for file in way.data]) == ("inner/g.onnx", ["inner/g.data"])
    pair = added_codecs.onnx_pair(tmp_path)
    assert onnx_graphs([tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"], tmp_path) == pair
    with pytest.raises(CheckpointError, match="give one graph"):
        onnx_graphs([graph] * 3, tmp_path)
    with pytest.raises(CheckpointError, match="does not lie in the codec file's folder"):
        onnx_graphs([tmp_path / "encoder.onnx"], tmp_path / "inner")
    (tmp_path / "no.onnx").write_bytes(b"\xff\xff")
    with pytest.raises(CheckpointError, match=r"no\.onnx: no ONNX graph"):
        onnx_graphs([tmp_path / "no.onnx"], tmp_path)
