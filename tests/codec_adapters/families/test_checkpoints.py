"""Checkpoints that are not what they should be: one clear error each, and nothing in them is ever executed."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
from pathlib import Path

import pytest
import torch

import codec_adapters
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, stored_elements
from codec_adapters.files.config import read_network_config
from codec_adapters.layers.weight_norm import folded_state
from tests.conftest import LIBRARY_CODECS

VARIANTS = sorted(LIBRARY_CODECS)


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def weights_of(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin"))


def refused(name: str, folder: Path, *words: str) -> None:
    with pytest.raises(codec_adapters.CheckpointError) as caught:
        codec_adapters.load(name, checkpoint=folder)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize("name", VARIANTS)
def test_truncated_weights(tiny: dict[str, Path], tmp_path: Path, name: str) -> None:
    folder = copied(tiny[name], tmp_path / "c")
    weights = weights_of(folder)
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    refused(name, folder, weights.name)


@pytest.mark.parametrize("name", VARIANTS)
def test_missing_weights(tiny: dict[str, Path], tmp_path: Path, name: str) -> None:
    folder = copied(tiny[name], tmp_path / "c")
    weights_of(folder).unlink()
    refused(name, folder, str(folder), "expected", "config.json")


@pytest.mark.parametrize("name", VARIANTS)
def test_another_codecs_folder(tiny: dict[str, Path], name: str) -> None:
    other = "dac_16khz" if name != "dac_16khz" else "mimi_8codebooks"
    refused(name, tiny[other], str(tiny[other]))


def test_config_that_does_not_fit_its_weights(tiny: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(tiny["snac_24khz"], tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "codebook_size": 32}))
    refused("snac_24khz", folder, "pytorch_model.bin", "wrongly shaped", "codebook.weight")
    (folder / "config.json").write_text(json.dumps({**config, "colour": "red"}))
    refused("snac_24khz", folder, "config.json", "colour")
    (folder / "config.json").write_text("{")
    refused("snac_24khz", folder, "config.json", "not valid JSON")


def test_config_of_other_sizes_is_refused_by_transformers_models_too(tiny: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(tiny["encodec_24khz_6kbps"], tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_filters": 8}))
    refused("encodec_24khz_6kbps", folder, "model.safetensors")


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("name", ["snac_24khz", "encodec_24khz_6kbps"])
def test_a_pickle_that_runs_code_is_refused(tiny: dict[str, Path], tmp_path: Path, name: str) -> None:
    folder = copied(tiny[name], tmp_path / "c")
    weights_of(folder).unlink()
    sprung = tmp_path / "sprung"
    torch.save({"weight": Trap(sprung)}, folder / "pytorch_model.bin")
    refused(name, folder, "pytorch_model.bin")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(sprung)))
    refused(name, folder, "pytorch_model.bin")
    assert not sprung.exists()


def test_refusal_of_code_says_so(tmp_path: Path) -> None:
    torch.save({"weight": Trap(tmp_path / "sprung")}, tmp_path / "c.bin")
    with pytest.raises(codec_adapters.CheckpointError, match=r"refused.*would execute code"):
        read_tensors(tmp_path / "c.bin")


def test_no_such_folder() -> None:
    with pytest.raises(codec_adapters.CheckpointError, match="/no/such/folder does not exist"):
        codec_adapters.load("snac_24khz", checkpoint="/no/such/folder")


def test_strict_load_names_what_is_unknown_and_ignores_what_is_declared() -> None:
    module = torch.nn.Linear(2, 2)
    state = {**module.state_dict(), "discriminator.w": torch.zeros(1)}
    load_strict(module, state, Path("x.pt"), ignored_prefixes=("discriminator.",))
    with pytest.raises(codec_adapters.CheckpointError, match=r"x\.pt: does not fit, has unknown discriminator\.w"):
        load_strict(module, state, Path("x.pt"))
    with pytest.raises(codec_adapters.CheckpointError, match="lacks weight"):
        load_strict(module, {"bias": torch.zeros(2)}, Path("x.pt"))


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("old_spelling", [True, False])
@pytest.mark.parametrize("kind", [torch.nn.Conv1d, torch.nn.ConvTranspose1d])
def test_folded_weight_norm_is_torchs_own(kind: type[torch.nn.Module], old_spelling: bool) -> None:
    norm = torch.nn.utils.weight_norm if old_spelling else torch.nn.utils.parametrizations.weight_norm
    normed = torch.nn.Sequential(norm(kind(3, 4, 5)))
    plain = torch.nn.Sequential(kind(3, 4, 5))
    plain.load_state_dict(folded_state(normed.state_dict()))
    wav = torch.randn(1, 3, 20)
    torch.testing.assert_close(plain(wav), normed(wav))


LARGE: dict[str, list[dict[str, object]]] = {
    "encodec_24khz_6kbps": [
        {"codebook_size": 10**12},
        {"codebook_size": 2**24},
        {"num_filters": 2**20},
        {"num_residual_layers": 10**9},
        {"num_lstm_layers": 10**6},
        {"kernel_size": 10**7},
        {"upsampling_ratios": [10**6] * 3},
        {"hidden_size": 2**24},
        {"sampling_rate": float("nan")},
        {"num_filters": -4},
        {"target_bandwidths": []},
        {"codebook_size": "1024"},
    ],
    "dac_16khz": [{"n_codebooks": 10**9}, {"decoder_hidden_size": 2**24}, {"sampling_rate": -1}],
    "mimi_8codebooks": [{"num_hidden_layers": 10**9}, {"num_quantizers": 10**5}, {"head_dim": 2**20}],
    "snac_24khz": [
        {"codebook_size": 10**12},
        {"codebook_size": 2**24},
        {"vq_strides": []},
        {"vq_strides": [10**6] * 3},
        {"encoder_rates": [10**6] * 30},
        {"attn_window_size": 0},
        {"attn_window_size": 10**9},
        {"codebook_dim": "8"},
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_config_that_asks_for_more_than_its_weights_is_refused_before_memory_is_taken(
    tiny: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder = copied(tiny[name], tmp_path / "c")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for wrong in LARGE[name]:
        path.write_text(json.dumps({**config, **wrong}))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refused(name, folder)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18, wrong  # KiB: 256 MiB


def test_a_network_is_stopped_at_its_weights(tmp_path: Path) -> None:
    with (
        pytest.raises(codec_adapters.CheckpointError, match=r"c\.json: .* network of more than 15000 parts"),
        network_from(Path("c.json")),
    ):
        torch.nn.Sequential(*(torch.nn.Identity() for _ in range(10**6)))
    with (
        pytest.raises(codec_adapters.CheckpointError, match=r"c\.json: .* more than 67109164 elements, .* have 100"),
        network_from(Path("c.json"), stored=100),
    ):
        torch.nn.Linear(10**6, 10**6)
    with network_from(Path("c.json"), stored=100):
        torch.nn.Linear(100, 100)
    torch.nn.Sequential(*(torch.nn.Identity() for _ in range(20_000)))  # nothing is counted afterwards


def test_a_tensor_that_claims_more_than_its_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    torch.save({"model": {"wide": torch.zeros(1).expand(10**6, 10**6)}}, path)
    with pytest.raises(codec_adapters.CheckpointError, match=r"c\.pt: model\.wide claims \[1000000, 1000000\], more"):
        read_tensors(path)
    torch.save({"wide": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "d.bin")
    with pytest.raises(codec_adapters.CheckpointError, match=r"d\.bin: wide claims \[1000000, 1000000\], more"):
        stored_elements(tmp_path / "d.bin")
    shared = torch.zeros(1000)
    torch.save({"embed": shared, "embed_avg": shared}, path)
    assert read_tensors(path)["embed_avg"].shape == (1000,)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"a": {"b": [1, 10**12]}}, r"a\.b\.1: is 1000000000000, more than"),
        ({"a": float("inf")}, "a: is inf, expected a finite number"),
        ({"a": [0] * 5000}, "a: has 5000 items, more than 4096"),
    ],
)
def test_configs_of_libraries_have_no_number_that_no_network_has(
    tmp_path: Path, document: dict[str, object], words: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    with pytest.raises(codec_adapters.CheckpointError, match=rf"config\.json: {words}"):
        read_network_config(path)
    path.write_text("[" * 900 + "]" * 900)
    with pytest.raises(codec_adapters.CheckpointError, match=r"config\.json: "):
        read_network_config(path)
    path.write_text('{"a": ' + "9" * 5000 + "}")
    with pytest.raises(codec_adapters.CheckpointError, match="not valid JSON"):
        read_network_config(path)
    path.write_text(" " * (2**24 + 1))
    with pytest.raises(codec_adapters.CheckpointError, match="more than any config file"):
        read_network_config(path)
