"""AudioDec against its upstream's recorded outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import codec_adapters
from codec_adapters.base import Setup
from codec_adapters.errors import CheckpointError, InputError
from codec_adapters.families.audiodec import AudioDecAdapter, load_autoencoder, load_vocoder
from codec_adapters.families.audiodec_config import AutoencoderParams, VocoderParams
from codec_adapters.files.config import validated
from codec_adapters.files.weights import locked, official_files
from codec_adapters.layers import channels_last
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

CODEC = "audiodec"
every_golden = pytest.mark.parametrize("golden", goldens(CODEC))
tiny_golden = pytest.mark.parametrize("golden", goldens(CODEC, full_size=False))
with_vocoder = pytest.mark.parametrize(
    "golden", [param for param in goldens(CODEC, full_size=False) if param.id in ("libritts_v1_a", "none")]
)


def files(variant: str) -> tuple[str, str]:
    encoder, decoder = official_files(codec_adapters.spec(variant).checkpoint, "*.pkl")
    return encoder, decoder


V1_FILES = dict(zip(("encoder", "decoder"), files("audiodec_libritts_v1"), strict=True))


def load(
    golden: Golden, checkpoint: Path, options: Mapping[str, OptionValue] | None = None, **kinds: str
) -> AudioDecAdapter:
    name = "audiodec_" + golden.facts["official_model"]
    adapter = codec_adapters.load(name, checkpoint=checkpoint, options=options, **kinds)
    assert isinstance(adapter, AudioDecAdapter)
    return adapter


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@every_golden
@pytest.mark.parametrize(("warmup", "suffix"), [(True, ""), (False, "_offline")], ids=["file demo", "test script"])
def test_reproduces_both_official_paths(golden: Golden, scratch: Path, warmup: bool, suffix: str) -> None:
    adapter = load(golden, golden.checkpoint(scratch), {"warmup": warmup})
    golden.assert_reproduced(adapter, suffix)
    facts = golden.facts
    figures = (adapter.sample_rate, adapter.hop, adapter.codebooks)
    assert figures == (facts["sample_rate"], facts["hop"], facts["n_codebooks"])
    assert adapter.bitrate == pytest.approx(adapter.frame_rate * adapter.codebooks * math.log2(facts["codebook_size"]))
    latent = golden.arrays.get(f"latent{suffix}")
    if latent is not None:
        with torch.inference_mode():
            ours = adapter.encoder(golden.wav[:, None])[0]
        assert largest_difference(ours, latent) <= facts["tolerance"]["latent_max_abs"]


@tiny_golden
def test_warmup_codes_are_those_of_silence(golden: Golden, scratch: Path) -> None:
    adapter = load(golden, golden.checkpoint(scratch), {"warmup": False})
    assert torch.equal(adapter.encode(torch.zeros(1, 8192))[0][0], golden.arrays["warmup_codes"])


@pytest.mark.slow
@tiny_golden
@pytest.mark.parametrize("warmup", [True, False])
def test_layout_of_wide_networks(golden: Golden, scratch: Path, warmup: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout that full-size networks run in on a CPU changes nothing."""
    monkeypatch.setattr(channels_last, "NARROWEST", 1)
    adapter = load(golden, golden.checkpoint(scratch), {"warmup": warmup})
    assert isinstance(adapter.encoder, channels_last.ChannelsLast)
    golden.assert_reproduced(adapter, "" if warmup else "_offline")


@pytest.mark.slow
@tiny_golden
@pytest.mark.parametrize("warmup", [True, False])
@pytest.mark.parametrize("samples", [1, 2, 299, 300, 301, 7777, 20001])
def test_batches_and_odd_lengths(golden: Golden, scratch: Path, samples: int, warmup: bool) -> None:
    adapter = load(golden, golden.checkpoint(scratch), {"warmup": warmup})
    wav = golden.wav.repeat(1, 2)[:, :samples]
    assert_batch_invariant(adapter, wav)
    whole_frames = math.ceil(samples / adapter.hop) * adapter.hop
    assert adapter.resynthesize(wav).shape == (1, samples if warmup else whole_frames)
    assert adapter.decode(adapter.encode(wav)).shape == (1, whole_frames)


@tiny_golden
def test_tail_is_local(golden: Golden, scratch: Path) -> None:
    adapter = load(golden, golden.checkpoint(scratch))
    assert adapter.spec.tail_local
    assert last_change(adapter, golden.wav, 9001) <= adapter.hop


@with_vocoder
def test_codes_that_do_not_fit_are_refused(golden: Golden, scratch: Path) -> None:
    adapter = load(golden, golden.checkpoint(scratch))
    (codes,) = adapter.encode(golden.wav)
    for wrong in (codes[:, :4], codes + 64, codes - 100):
        with pytest.raises(InputError, match="codes must"):
            adapter.decode([wrong])


@pytest.mark.parametrize("golden", [param for param in goldens(CODEC, False) if param.id in ("libritts_sym_c", "none")])
def test_files_may_be_chosen(golden: Golden, scratch: Path) -> None:
    """By a subclass. The later checkpoint of this case has other codebooks, which shows when it is the encoder."""
    encoder, later = files("audiodec_libritts_sym")
    setup = _setup("audiodec_libritts_v1", golden.checkpoint(scratch))
    golden.assert_reproduced(_with_files(encoder, later)(setup))
    other = _with_files(later, later)(setup)
    assert not torch.equal(other.encode(golden.wav)[0][0], golden.arrays["codes"])


def test_a_variant_out_of_the_lock_has_no_files_of_its_own(tmp_path: Path) -> None:
    setup = _setup("audiodec_libritts_v1", tmp_path)
    with pytest.raises(CheckpointError, match=r"mine: weights\.lock does not say"):
        AudioDecAdapter(replace(setup, spec=replace(setup.spec, name="mine", checkpoint="")))


def _setup(variant: str, folder: Path) -> Setup:
    spec = codec_adapters.spec(variant)
    return Setup(spec, dict(spec.options), folder, torch.device("cpu"), torch.float32)


def _with_files(encoder: str, decoder: str) -> type[AudioDecAdapter]:
    class Chosen(AudioDecAdapter):
        def files(self, setup: Setup) -> tuple[str, str]:
            return encoder, decoder

    return Chosen


@with_vocoder
def test_folder_may_begin_above_or_below(golden: Golden, tmp_path: Path) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "above" / "copy")
    expected = load(golden, folder).resynthesize(golden.wav)
    for other in (folder.parent, folder / "exp"):
        assert torch.equal(load(golden, other).resynthesize(golden.wav), expected)


def test_variants_say_what_the_official_files_say() -> None:
    state = official_state(CODEC)
    for model, facts in state["models"].items():
        spec = codec_adapters.spec(f"audiodec_{model}")
        assert files(spec.name) == (facts["encoder_checkpoint"], facts["decoder_checkpoint"])
        params = state["configs"][facts["encoder_checkpoint"]]["generator_params"]
        assert spec.sample_rate == facts["sample_rate"]
        assert (spec.hop, spec.codebooks) == (math.prod(params["enc_strides"]), params["codebook_num"])
        assert spec.bitrate == spec.frame_rate * spec.codebooks * math.log2(params["codebook_size"])
        names = {file.file for file in locked(spec.checkpoint).files}
        for path in files(spec.name):
            assert {path, str(Path(path).parent / "config.yml")} <= names
    known = {name for name in codec_adapters.names() if name.startswith("audiodec_")}
    assert known == {f"audiodec_{model}" for model in state["models"]}


@pytest.mark.slow
def test_official_names_and_shapes_fit() -> None:
    """With and without what inference ignores: streaming buffers, moving averages, the trainer's own."""
    state = official_state(CODEC)
    for file, config in state["configs"].items():
        document = meta_document(state["files"][state["same_state_as"].get(file, file)])
        bare = {key: value for key, value in document["model"]["generator"].items() if "pad_buffer" not in key}
        trainer = {"optimizer": {"generator": {}}, "scheduler": {}, "steps": 1, "epochs": 2}
        for fitting in (document, {"model": {"generator": bare, "discriminator": {}}, **trainer}):
            if config["model_type"] in ("HiFiGAN", "UnivNet"):
                load_vocoder(validated(VocoderParams, config["generator_params"], Path(file)), fitting, Path(file))
            else:
                params = validated(AutoencoderParams, config["generator_params"], Path(file))
                load_autoencoder(params, fitting, Path(file))


State = dict[str, Any]
SPOILS: dict[str, tuple[str, Callable[[State], object], str]] = {
    "unknown tensor": ("encoder", lambda s: s.update(bogus=torch.zeros(1)), "unknown bogus"),
    "missing tensor": (
        "encoder",
        lambda s: s.pop("decoder.conv2.conv.weight"),
        r"lacks decoder\.conv2\.conv\.weight",
    ),
    "missing codebook": ("encoder", lambda s: s.pop("quantizer.codebook.layers.7.embed"), r"layers\.7\.embed"),
    "wrong shape": (
        "encoder",
        lambda s: s.update({"projector.project.conv.weight": torch.zeros(2)}),
        r"projector\.project\.conv\.weight \[2\]",
    ),
    "wrong codebook": (
        "encoder",
        lambda s: s.update({"quantizer.codebook.layers.7.embed": torch.zeros(2)}),
        r"layers\.7\.embed",
    ),
    "one more codebook": (
        "encoder",
        lambda s: s.update({"quantizer.codebook.layers.8.embed": torch.zeros(16, 64)}),
        r"unknown quantizer\.codebook\.layers\.8\.embed",
    ),
    "unknown in the vocoder": ("decoder", lambda s: s.update(bogus=torch.zeros(1)), "unknown bogus"),
    "missing in a group": (
        "decoder",
        lambda s: s.pop("blocks.1.convs2.0.conv.weight_v"),
        r"blocks\.1\.groups\.0\.convs2\.0\.conv\.weight",
    ),
    "wrong in a group": (
        "decoder",
        lambda s: s.update({"blocks.1.convs2.0.conv.bias": torch.tensor(1.0)}),
        r"blocks\.1\.\S*convs2\.0\.conv\.bias",
    ),
    "missing mean": ("decoder", lambda s: s.pop("mean"), "lacks mean"),
}


@pytest.mark.slow
@with_vocoder
@pytest.mark.parametrize(("part", "edit", "named"), SPOILS.values(), ids=SPOILS)
def test_weights_that_do_not_fit_are_refused_by_name(
    golden: Golden, tmp_path: Path, part: str, edit: Callable[[State], object], named: str
) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    file = folder / V1_FILES[part]
    edit_torch_file(file, lambda document: edit(document["model"]["generator"]))
    with pytest.raises(CheckpointError, match=named) as caught:
        load(golden, folder)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@with_vocoder
@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_weights_are_refused(
    golden: Golden, tmp_path: Path, damage: Callable[[Path], object], part: str
) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    file = folder / V1_FILES[part]
    damage(file)
    with pytest.raises(CheckpointError) as caught:
        load(golden, folder)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("written_by_a_checkpoint").exists()


def edit_params(**changes: object) -> Callable[[State], object]:
    return lambda config: config["generator_params"].update(changes)


CONFIGS: dict[str, tuple[str, Callable[[State], object]]] = {
    "lacks the rate": ("encoder", lambda c: c.pop("sampling_rate")),
    "lacks the params": ("encoder", lambda c: c.pop("generator_params")),
    "params are a list": ("encoder", lambda c: c.update(generator_params=[1])),
    "unknown model": ("encoder", lambda c: c.update(model_type="WaveNet")),
    "model is a list": ("encoder", lambda c: c.update(model_type=["HiFiGAN"])),
    "text for a number": ("encoder", edit_params(code_dim="sixteen")),
    "ratios of different count": ("encoder", edit_params(enc_ratios=[2])),
    "not causal": ("encoder", edit_params(mode="noncausal")),
    "stereo": ("encoder", edit_params(input_channels=2)),
    "other width": ("encoder", edit_params(encode_channels=4)),
    "huge": ("encoder", edit_params(encode_channels=10**15)),
    "another rate": ("decoder", lambda c: c.update(sampling_rate=48000)),
    "another hop": ("encoder", edit_params(enc_strides=[3, 4, 5, 4])),
    "upsampling kernel": ("decoder", edit_params(upsample_kernel_sizes=[10, 10, 8, 5])),
    "zero groups": ("decoder", edit_params(groups=0)),
    "even kernel": ("decoder", edit_params(resblock_kernel_sizes=[10])),
    "other activation": ("decoder", edit_params(nonlinear_activation="Mish")),
    "no dilations": ("decoder", edit_params(resblock_dilations=[[]])),
}


@pytest.mark.slow
@with_vocoder
@pytest.mark.parametrize(("part", "edit"), CONFIGS.values(), ids=CONFIGS)
def test_configs_that_do_not_fit_are_refused(
    golden: Golden, tmp_path: Path, part: str, edit: Callable[[State], object]
) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    path = (folder / V1_FILES[part]).parent / "config.yml"
    config = yaml.safe_load(path.read_text())
    edit(config)
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(CheckpointError, match=str(folder)) as caught:
        load(golden, folder)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@with_vocoder
@pytest.mark.parametrize(
    "text",
    ["", "- 1", "{", "\x00", "[" * 100_000, "a: !!python/object/apply:os.mkdir [written_by_a_checkpoint]"],
    ids=["empty", "list", "cut", "binary", "deep", "code"],
)
def test_configs_that_are_no_plain_mappings_are_refused(golden: Golden, tmp_path: Path, text: str) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    path = (folder / V1_FILES["encoder"]).parent / "config.yml"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.yml: ") as caught:
        load(golden, folder)
    assert "\n" not in str(caught.value)
    assert not Path("written_by_a_checkpoint").exists()


@with_vocoder
def test_a_vocoder_is_no_encoder(golden: Golden, tmp_path: Path) -> None:
    vocoder = V1_FILES["decoder"]
    with pytest.raises(CheckpointError, match="is a vocoder"):
        _with_files(vocoder, vocoder)(_setup("audiodec_libritts_v1", golden.checkpoint(tmp_path)))


@with_vocoder
def test_missing_files_are_named(golden: Golden, tmp_path: Path) -> None:
    folder = writable_copy(golden.checkpoint(tmp_path), tmp_path / "copy")
    encoder = V1_FILES["encoder"]
    (folder / encoder).unlink()
    with pytest.raises(CheckpointError, match=f"expected {encoder}"):
        load(golden, folder)
