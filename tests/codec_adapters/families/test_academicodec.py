"""HiFi-Codec against its upstream's recorded outputs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import pad

import codec_adapters
from codec_adapters.base import Setup
from codec_adapters.errors import CheckpointError, InputError
from codec_adapters.families.academicodec import HifiCodecAdapter, find_files, load_network, peak_normalised
from codec_adapters.families.academicodec_network import HifiCodecConfig
from codec_adapters.files.config import validated
from codec_adapters.files.weights import locked
from codec_adapters.spec import OptionValue
from tests.kit.goldens import (
    DAMAGES,
    Golden,
    assert_batch_invariant,
    edit_torch_file,
    goldens,
    largest_difference,
    last_change,
    meta_document,
    official_state,
    writable_copy,
)

CODEC = "academicodec"
every_golden = pytest.mark.parametrize("golden", goldens(CODEC))
tiny_golden = pytest.mark.parametrize("golden", goldens(CODEC, full_size=False))
one_golden = pytest.mark.parametrize("golden", goldens(CODEC, full_size=False)[:1])


def variant(official_model: str) -> str:
    return "academicodec_" + official_model.lower().replace("-codec-", "_").replace("-", "_")


def load(
    golden: Golden, scratch: Path, options: Mapping[str, OptionValue] | None = None, **kinds: str
) -> HifiCodecAdapter:
    name = variant(golden.facts["official_model"])
    adapter = codec_adapters.load(name, checkpoint=golden.checkpoint(scratch), options=options, **kinds)
    assert isinstance(adapter, HifiCodecAdapter)
    return adapter


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@every_golden
def test_reproduces_the_current_script(golden: Golden, scratch: Path) -> None:
    adapter = load(golden, scratch)
    golden.assert_reproduced(adapter)
    facts = golden.facts
    figures = (adapter.sample_rate, adapter.hop, adapter.codebooks)
    assert figures == (facts["sample_rate"], facts["hop"], facts["n_codebooks"])
    latent = golden.arrays["latent"]
    with torch.inference_mode():
        ours = adapter.encoder(golden.wav[:, None])[0, :, : latent.shape[1]]
    assert largest_difference(ours, latent) <= facts["tolerance"]["latent_max_abs"]


@tiny_golden
def test_peak_normalise_is_the_notebook(golden: Golden, scratch: Path) -> None:
    golden.assert_reproduced(load(golden, scratch, {"peak_normalise": True}), "_peaknorm")


def test_peak_normalise_leaves_silence_alone() -> None:
    wav = torch.tensor([[0.0, 0.0], [0.5, -0.25]])
    assert torch.equal(peak_normalised(wav), torch.tensor([[0.0, 0.0], [0.95, -0.475]]))


@pytest.mark.slow
@tiny_golden
@pytest.mark.parametrize("frames", [1, 2, 7.3, 100.99])
def test_batches_and_odd_lengths(golden: Golden, scratch: Path, frames: float) -> None:
    adapter = load(golden, scratch)
    wav = golden.wav[:, : int(frames * adapter.hop)]
    assert_batch_invariant(adapter, wav)
    assert adapter.resynthesize(wav).shape == (1, int(frames) * adapter.hop)


@tiny_golden
def test_less_than_a_frame_is_refused(golden: Golden, scratch: Path) -> None:
    adapter = load(golden, scratch)
    with pytest.raises(InputError, match=f"{adapter.hop - 1} samples"):
        adapter.encode(golden.wav[:, : adapter.hop - 1])


@one_golden
def test_codes_that_do_not_fit_are_refused(golden: Golden, scratch: Path) -> None:
    adapter = load(golden, scratch)
    (codes,) = adapter.encode(golden.wav)
    for wrong in (codes[:, :2], codes + 40, codes - 100, codes[:, :, :0]):
        with pytest.raises(InputError, match="codes must"):
            adapter.decode([wrong])


@tiny_golden
def test_tail_is_not_local(golden: Golden, scratch: Path) -> None:
    adapter = load(golden, scratch)
    assert not adapter.spec.tail_local
    assert last_change(adapter, golden.wav, 8000) > golden.wav.shape[1] // 2


def test_variants_say_what_the_official_configs_say() -> None:
    for model, entry in official_state(CODEC)["configs"].items():
        spec, config = codec_adapters.spec(variant(model)), validated(HifiCodecConfig, entry["config"], Path(model))
        hop = torch.tensor(config.upsample_rates).prod().item()
        codebooks = 2 * config.n_code_groups
        assert (spec.sample_rate, spec.hop, spec.codebooks) == (config.sampling_rate, hop, codebooks)
        assert spec.bitrate == config.sampling_rate / hop * codebooks * 10
        names = [file.file for file in locked(spec.checkpoint).files]
        assert names == [model, Path(entry["config_path_in_code_repo"]).name]


def official_documents() -> list[tuple[HifiCodecConfig, dict[str, Any], Path]]:
    state = official_state(CODEC)
    return [
        (
            validated(HifiCodecConfig, entry["config"], Path(model)),
            meta_document(state["files"][state["same_state_as"].get(model, model)]),
            Path(model),
        )
        for model, entry in state["configs"].items()
    ]


@pytest.mark.slow
def test_official_names_and_shapes_fit() -> None:
    for config, document, path in official_documents():
        load_network(config, document, path)
        load_network(config, {**document, "mpd": {}, "optim_g": {"state": {}}, "steps": 3}, path)


SPOILS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "unknown tensor": (lambda d: d["encoder"].update(bogus=torch.zeros(1)), "unknown encoder.bogus"),
    "unknown part": (lambda d: d.update(bogus={}), "unknown bogus"),
    "missing part": (lambda d: d.pop("quantizer"), "quantizer"),
    "missing tensor": (lambda d: d["generator"].pop("ups.1.bias"), r"lacks generator\.ups\.1\.bias"),
    "missing gain": (lambda d: d["generator"].pop("ups.1.weight_g"), r"lacks generator\.ups\.1\.weight"),
    "missing width": (lambda d: d["encoder"].pop("conv_pre.weight_v"), r"encoder\.conv_pre\.weight"),
    "missing codebook": (lambda d: d["quantizer"].pop("quantizer_modules2.1.embedding.weight"), "modules2.1"),
    "wrong shape": (lambda d: d["encoder"].update({"ups.0.bias": torch.zeros(3)}), r"encoder\.ups\.0\.bias \[3\]"),
    "wrong codebook": (
        lambda d: d["quantizer"].update({"quantizer_modules2.1.embedding.weight": torch.zeros(3, 4)}),
        "modules2.1",
    ),
    "wrong gain": (lambda d: d["encoder"].update({"ups.0.weight_g": torch.zeros(7, 1, 1)}), r"encoder\.ups\.0\.weight"),
    "number": (lambda d: d["encoder"].update({"ups.0.bias": 1.0}), r"ups\.0\.bias"),
}


@pytest.mark.slow
@one_golden
@pytest.mark.parametrize(("edit", "named"), SPOILS.values(), ids=SPOILS)
def test_weights_that_do_not_fit_are_refused_by_name(
    golden: Golden, tmp_path: Path, edit: Callable[[dict[str, Any]], object], named: str
) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    edit_torch_file(folder / golden.facts["official_model"], edit)
    with pytest.raises(CheckpointError, match=named):
        codec_adapters.load(variant(golden.facts["official_model"]), checkpoint=folder)


@one_golden
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_weights_are_refused(golden: Golden, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    damage(folder / golden.facts["official_model"])
    with pytest.raises(CheckpointError, match=golden.facts["official_model"]) as caught:
        codec_adapters.load(variant(golden.facts["official_model"]), checkpoint=folder)
    assert "\n" not in str(caught.value)
    assert not Path("written_by_a_checkpoint").exists()


CONFIGS: dict[str, Callable[[dict[str, Any]], object]] = {
    "lacks a key": lambda c: c.pop("n_codes"),
    "text for a number": lambda c: c.update(n_codes="forty"),
    "a list for a number": lambda c: c.update(upsample_initial_channel=[16]),
    "no stages": lambda c: c.update(upsample_rates=[], upsample_kernel_sizes=[]),
    "stages of different count": lambda c: c.update(upsample_rates=[8]),
    "kernel below stride": lambda c: c.update(upsample_kernel_sizes=[4, 11]),
    "negative stride": lambda c: c.update(upsample_rates=[-8, 5]),
    "even kernel": lambda c: c.update(resblock_kernel_sizes=[2, 3, 5]),
    "few dilations": lambda c: c.update(resblock_dilation_sizes=[[1], [1], [1]]),
    "other block": lambda c: c.update(resblock="2"),
    "unknown block": lambda c: c.update(resblock="3"),
    "odd groups": lambda c: c.update(n_code_groups=3),
    "huge": lambda c: c.update(upsample_initial_channel=10**12),
}


@one_golden
@pytest.mark.parametrize("edit", CONFIGS.values(), ids=CONFIGS)
def test_configs_that_do_not_fit_are_refused(
    golden: Golden, tmp_path: Path, edit: Callable[[dict[str, Any]], object]
) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    path = folder / golden.facts["checkpoint_files"]["config"]
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=str(folder)) as caught:
        codec_adapters.load(variant(golden.facts["official_model"]), checkpoint=folder)
    assert "\n" not in str(caught.value)


@one_golden
@pytest.mark.parametrize("text", ["", "[1]", "{", "\x00", "[" * 100_000])
def test_configs_that_are_no_objects_are_refused(golden: Golden, tmp_path: Path, text: str) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    (folder / golden.facts["checkpoint_files"]["config"]).write_text(text)
    with pytest.raises(CheckpointError, match="config_"):
        codec_adapters.load(variant(golden.facts["official_model"]), checkpoint=folder)


@one_golden
def test_type_2_blocks(golden: Golden, tmp_path: Path) -> None:
    """No release has them: one convolution per step, two steps, keys ``convs`` for ``convs1``."""
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    path = folder / golden.facts["checkpoint_files"]["config"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"resblock": "2"}))

    def make_type_2(document: dict[str, Any]) -> None:
        for part in ("encoder", "generator"):
            kept = {
                key: value for key, value in document[part].items() if ".convs2." not in key and ".convs1.2." not in key
            }
            document[part] = {key.replace(".convs1.", ".convs."): value for key, value in kept.items()}

    edit_torch_file(folder / golden.facts["official_model"], make_type_2)
    adapter = codec_adapters.load(variant(golden.facts["official_model"]), checkpoint=folder)
    assert adapter.resynthesize(golden.wav).shape == golden.arrays["output"][None].shape


@one_golden
def test_files_are_found_under_other_names_and_places(golden: Golden, tmp_path: Path) -> None:
    name = golden.facts["official_model"]
    config = golden.facts["checkpoint_files"]["config"]
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "above" / "copy")
    setup = Setup(codec_adapters.spec(variant(name)), {}, folder, torch.device("cpu"), torch.float32)
    assert find_files(replace(setup, checkpoint=folder.parent)) == (folder / name, folder / config)
    (folder / config).rename(folder / "config.json")
    assert find_files(setup) == (folder / name, folder / "config.json")
    (folder / "other.json").write_text("{}")
    with pytest.raises(CheckpointError, match="expected config_16k_320d"):
        find_files(setup)


@one_golden
def test_config_of_another_rate_is_refused(golden: Golden, tmp_path: Path) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    shutil.copyfile(folder / golden.facts["official_model"], folder / "HiFi-Codec-24k-320d")
    with pytest.raises(CheckpointError, match="not the config of HiFi-Codec-24k-320d"):
        codec_adapters.load("academicodec_hifi_24k_320d", checkpoint=folder)


@one_golden
def test_padding_would_change_codes(golden: Golden, scratch: Path) -> None:
    """Why the adapter lets nobody pad: a few zeros to the next frame already do."""
    adapter = load(golden, scratch)
    (plain,), (padded,) = adapter.encode(golden.wav), adapter.encode(pad(golden.wav, (0, adapter.hop)))
    assert not torch.equal(plain, padded[:, :, : plain.shape[2]])
    assert adapter.length_multiple == 1
