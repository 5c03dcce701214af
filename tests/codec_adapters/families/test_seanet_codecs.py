"""The codecs around a SEANet encoder against the recorded outputs of their upstreams."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from _pytest.mark import ParameterSet
from torch import Tensor

import codec_adapters
from codec_adapters.builtin import builtin_catalogue
from codec_adapters.entry import Packaged
from codec_adapters.errors import CheckpointError, InputError, OptionError
from codec_adapters.files import weights
from tests.kit.goldens import (
    DAMAGES,
    Golden,
    assert_batch_invariant,
    edit_torch_file,
    goldens,
    largest_difference,
    official_state,
    writable_copy,
)

CODECS = ("speechtokenizer", "wavtokenizer", "soundstream_academicodec")
ALL = [case for codec in CODECS for case in goldens(codec)]
TINY = [case for codec in CODECS for case in goldens(codec, full_size=False)]


def _first(codec: str) -> ParameterSet:
    return goldens(codec, full_size=False)[0]


FIRST = [_first(codec) for codec in CODECS]


def _variant(golden: Golden) -> str:
    match golden.folder.parent.name:
        case "speechtokenizer":
            return "speechtokenizer_hubert_avg"
        case "wavtokenizer":
            return "wavtokenizer_small_75tps"
    official: str = golden.facts["official_model"]
    return "academicodec_" + official.removesuffix(".pth").replace("khz", "k")


def _load(golden: Golden, checkpoint: Path | None = None, **kwargs: Any) -> Any:
    options = {**golden.facts.get("inference_arguments", {}), **kwargs.pop("options", {})}
    return codec_adapters.load(_variant(golden), checkpoint or golden.folder / "checkpoint", options=options, **kwargs)


def _network(adapter: Any) -> Any:
    """What has ``latent`` and ``quantizer``."""
    return getattr(adapter.network, "encodec", adapter.network)


def _weights(folder: Path) -> Path:
    (path,) = [path for path in folder.iterdir() if path.suffix in (".pt", ".pth", ".ckpt")]
    return path


@pytest.fixture
def copy(golden: Golden, tmp_path: Path) -> Path:
    """The golden's checkpoint folder, to be spoilt."""
    return writable_copy(golden.folder / "checkpoint", tmp_path / "checkpoint")


@pytest.mark.parametrize("golden", ALL)
def test_reproduces_golden(golden: Golden, tmp_path: Path) -> None:
    adapter = _load(golden, golden.checkpoint(tmp_path))
    golden.assert_reproduced(adapter)
    facts = golden.facts
    assert (adapter.sample_rate, adapter.hop, adapter.codebooks) == tuple(
        facts[key] for key in ("sample_rate", "hop", "n_codebooks")
    )
    with torch.inference_mode():
        latent = _network(adapter).latent(golden.wav)[0]
    assert largest_difference(latent, golden.arrays["latent"]) <= facts["tolerance"]["latent_max_abs"]


@pytest.mark.slow
@pytest.mark.parametrize("golden", TINY)
def test_a_batch_is_its_items(golden: Golden) -> None:
    assert_batch_invariant(_load(golden), golden.wav[:, :6007])


@pytest.mark.slow
@pytest.mark.parametrize("golden", TINY)
@pytest.mark.parametrize("samples", [1, 2, 7, 319, 320, 321, 4001])
def test_any_length_becomes_whole_frames(golden: Golden, samples: int) -> None:
    adapter, frames = _load(golden), -(-samples // golden.facts["hop"])
    for batch in (1, 2):
        wav = golden.wav[:, :samples].repeat(batch, 1)
        assert adapter.encode(wav)[0].shape == (batch, adapter.codebooks, frames)
        output = adapter.resynthesize(wav)
        assert output.shape == (batch, frames * adapter.hop)
        assert output.isfinite().all()


@pytest.mark.parametrize("golden", FIRST)
def test_zeros_are_not_what_fills_the_last_frame(golden: Golden) -> None:
    adapter = _load(golden)
    filled = torch.nn.functional.pad(golden.wav, (0, -golden.wav.shape[1] % adapter.hop))
    assert adapter.length_multiple == 1
    assert not torch.equal(adapter.encode(filled)[0], adapter.encode(golden.wav)[0])


@pytest.mark.slow
@pytest.mark.parametrize("golden", FIRST)
def test_no_state_between_threads(golden: Golden) -> None:
    adapter = _load(golden)
    inputs = [golden.wav[:, : 4000 + 640 * i] for i in range(4)]
    expected = [adapter.resynthesize(wav) for wav in inputs]
    found: dict[int, Tensor] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: adapter.resynthesize(inputs[i])})) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[i], expected[i]) for i in range(4))


@pytest.mark.parametrize("golden", FIRST)
def test_wrong_codes_are_refused(golden: Golden) -> None:
    adapter = _load(golden)
    codes = adapter.encode(golden.wav)[0]
    for wrong in ([codes, codes], [codes[:, :, :0]], [codes + 10**6], [codes - 10**6], [codes.repeat(1, 40, 1)]):
        with pytest.raises(InputError, match="codes"):
            adapter.decode(wrong)


@pytest.mark.parametrize("golden", FIRST)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_refused(golden: Golden, copy: Path, damage: str) -> None:
    path = _weights(copy)
    DAMAGES[damage](path)
    with pytest.raises(CheckpointError, match=path.name) as caught:
        _load(golden, copy)
    assert "\n" not in str(caught.value)


MISFITS: dict[str, Callable[[dict[str, Any], str], object]] = {
    "has unknown": lambda state, key: state.update({key.replace(".bias", ".surprise"): torch.zeros(1)}),
    "lacks": lambda state, key: state.pop(key),
    "has wrongly shaped": lambda state, key: state.update({key: torch.zeros(77)}),
}


@pytest.mark.parametrize("golden", FIRST)
@pytest.mark.parametrize("problem", MISFITS)
def test_a_tensor_that_does_not_fit_is_named(golden: Golden, copy: Path, problem: str) -> None:
    named = ""

    def spoil(document: dict[str, Any]) -> None:
        nonlocal named
        state = document.get("state_dict", document)
        named = next(key for key in state if key.endswith("encoder.model.4.block.1.conv.conv.bias"))
        MISFITS[problem](state, named)

    edit_torch_file(_weights(copy), spoil)
    with pytest.raises(CheckpointError, match=problem) as caught:
        _load(golden, copy)
    assert named.removesuffix(".bias") in str(caught.value)


@pytest.mark.parametrize("golden", FIRST)
def test_the_folder_above_will_do(golden: Golden, copy: Path) -> None:
    assert torch.equal(_load(golden, copy.parent).encode(golden.wav)[0][0], golden.arrays["codes"])
    _weights(copy).unlink()
    with pytest.raises(CheckpointError, match="expected"):
        _load(golden, copy)


def _official_shapes(variant: str) -> dict[str, list[int]]:
    """Names and shapes of everything that a release's file holds of the network and its training."""
    family = codec_adapters.spec(variant).family
    if family == "academicodec":
        files = official_state("soundstream_academicodec")["files"]
        return next(parts[""] for file, parts in files.items() if file[:-4].replace("khz", "k") in variant)
    document = official_state(family)
    if family == "speechtokenizer":
        shapes: dict[str, list[int]] = document["models"][variant]["SpeechTokenizer.pt"][""]
        return shapes
    (parts,) = document["models"]["small_600" if "40tps" in variant else "small_320"].values()
    return {**parts["state_dict"], **document["ignored_in_state_dict"]}


def _write_official_config(folder: Path, variant: str) -> None:
    """The sizes in the configurations of the releases, amid what else is in them."""
    spec = codec_adapters.spec(variant)
    if spec.family == "speechtokenizer":
        activation = "Snake" if variant.endswith("snake") else "ELU"
        sizes = {"n_filters": 64, "strides": [8, 5, 4, 2], "dimension": 1024, "semantic_dimension": 768}
        layers = {"lstm_layers": 2, "bidirectional": True, "n_residual_layers": 1, "residual_kernel_size": 3}
        rest = {"dilation_base": 2, "codebook_size": 1024, "n_q": 8, "sample_rate": 16000, "learning_rate": 1e-4}
        (folder / "config.json").write_text(json.dumps({**sizes, **layers, **rest, "activation": activation}))
    if spec.family == "wavtokenizer":
        strides = [8, 5, 4, 2] if spec.hop == 320 else [6, 5, 5, 4]
        parts: dict[str, dict[str, Any]] = {
            "feature_extractor": {"num_quantizers": 1, "vq_bins": 4096, "dowmsamples": strides, "vq_kmeans": 200},
            "backbone": {"input_channels": 512, "dim": 768, "intermediate_dim": 2304, "num_layers": 12},
            "head": {"dim": 768, "n_fft": 4 * spec.hop, "hop_length": spec.hop, "padding": "same"},
        }
        parts["backbone"]["adanorm_num_embeddings"] = 4
        network = {name: {"class_path": "os.system", "init_args": part} for name, part in parts.items()}
        document = {"model": {"class_path": "os.system", "init_args": {"sample_rate": 24000, **network}}}
        (folder / "config.yaml").write_text(yaml.safe_dump(document))


OFFICIAL = (
    "speechtokenizer_hubert_avg",
    "speechtokenizer_snake",
    "wavtokenizer_small_75tps",
    "wavtokenizer_small_40tps",
    "academicodec_encodec_16k_320d",
    "academicodec_encodec_24k_240d",
    "academicodec_encodec_24k_32d",
)


@pytest.mark.slow
@pytest.mark.parametrize("variant", OFFICIAL)
def test_official_names_and_shapes_fit(variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = codec_adapters.spec(variant)
    shapes = _official_shapes(variant)
    state = {name: torch.empty(*shape, device="meta") for name, shape in shapes.items()}
    in_training = {"state_dict": state, "optimizer_states": [], "epoch": 3, "hyper_parameters": {}}
    module = _target(variant).split(":")[0]
    document = in_training if spec.family == "wavtokenizer" else state
    monkeypatch.setattr(f"{module}.read_tensors", lambda path: document)
    _write_official_config(tmp_path, variant)
    (tmp_path / Path(weights.official_files(spec.checkpoint, "*.pt", "*.dev", "*.ckpt", "*.pth")[0]).name).touch()
    adapter = codec_adapters.load(variant, tmp_path, device="meta")
    found = (adapter.sample_rate, adapter.hop, adapter.codebooks, adapter.bitrate)
    assert found == (spec.sample_rate, spec.hop, spec.codebooks, spec.bitrate)
    state[next(iter(state)) + "_surprise"] = torch.empty(1, device="meta")
    with pytest.raises(CheckpointError, match=r"has unknown .*_surprise"):
        codec_adapters.load(variant, tmp_path, device="meta")


@pytest.mark.parametrize("golden", goldens("speechtokenizer", full_size=False))
def test_fewer_codebooks_are_the_first_ones(golden: Golden) -> None:
    whole, first = _load(golden), _load(golden, options={"codebooks": 1})
    assert (first.codebooks, first.bitrate) == (1, whole.bitrate / whole.codebooks)
    assert torch.equal(first.encode(golden.wav)[0], whole.encode(golden.wav)[0][:, :1])
    output = first.resynthesize(golden.wav)[0]
    assert largest_difference(output, golden.arrays["output_first_quantizer_only"]) <= 1e-4
    with torch.inference_mode():
        quantized = whole.network.quantizer.decode(golden.arrays["codes"][None])[0]
    assert largest_difference(quantized, golden.arrays["quantized"]) <= 1e-5
    with pytest.raises(OptionError, match="codebooks must be 1 to"):
        _load(golden, options={"codebooks": 99})


SPEECHTOKENIZER_CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "of other sizes": ({"n_filters": 4}, "wrongly shaped"),
    "of more residual units": ({"n_residual_layers": 2}, "lacks"),
    "without LSTM": ({"lstm_layers": 0}, r"has unknown|lacks"),
    "of other codebooks": ({"n_q": 9}, r"quantizer\.embed"),
    "far too large": ({"n_filters": 10**7, "dimension": 10**7}, "wrongly shaped"),
    "a zero": ({"n_filters": 0}, r"config\.json: n_filters"),
    "a text": ({"strides": ["8"]}, r"config\.json: strides"),
    "no strides": ({"strides": []}, r"config\.json: strides"),
    "a number for a switch": ({"bidirectional": 1}, r"config\.json: bidirectional"),
    "another activation": ({"activation": "ReLU"}, r"config\.json: activation"),
    "a missing key": ({"dilation_base": None}, r"config\.json: dilation_base"),
}


@pytest.mark.parametrize("golden", [_first("speechtokenizer")])
@pytest.mark.parametrize("name", SPEECHTOKENIZER_CONFIGS)
def test_bad_speechtokenizer_configs_are_refused(golden: Golden, copy: Path, name: str) -> None:
    change, message = SPEECHTOKENIZER_CONFIGS[name]
    config = {**json.loads((copy / "config.json").read_text()), **change}
    (copy / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    with pytest.raises(CheckpointError, match=message) as caught:
        _load(golden, copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("golden", goldens("wavtokenizer", full_size=False))
def test_wavtokenizer_backbone(golden: Golden) -> None:
    if "backbone_out" not in golden.arrays:
        pytest.skip("the case has no backbone_out")
    network = _load(golden).network
    with torch.inference_mode():
        features = network.encodec.quantizer.decode(golden.arrays["codes"][None])
        hidden = network.backbone(features, 0)[0]
    assert largest_difference(hidden, golden.arrays["backbone_out"]) <= 1e-4


@pytest.mark.parametrize("golden", [_first("wavtokenizer")])
def test_wavtokenizer_bandwidth_id_matters(golden: Golden) -> None:
    outputs = [_load(golden, options={"bandwidth_id": row}).resynthesize(golden.wav) for row in range(4)]
    assert all(largest_difference(outputs[0], other) > 1e-3 for other in outputs[1:])
    with pytest.raises(OptionError, match="bandwidth_id must be 0 to 3"):
        _load(golden, options={"bandwidth_id": 4})


@pytest.mark.parametrize("golden", goldens("wavtokenizer", full_size=False)[:1])
def test_wavtokenizer_files_of_two_models_in_one_folder(golden: Golden, copy: Path) -> None:
    small_40 = writable_copy(golden.folder.parent / "b_small_600" / "checkpoint", copy.parent / "other")
    for path in small_40.iterdir():
        path.rename(copy / path.name)
    assert codec_adapters.load("wavtokenizer_small_75tps", copy).hop == 320
    assert codec_adapters.load("wavtokenizer_small_40tps", copy).hop == 600
    with pytest.raises(CheckpointError, match="expected"):
        codec_adapters.load("wavtokenizer_large_unify_40tps", copy)


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for key in outer:
        document = document[key]
    if value is None:
        del document[last]
    else:
        document[last] = value


WAVTOKENIZER_CONFIGS: dict[str, tuple[str, Any, str]] = {
    "no model": ("model", None, "yaml: model.init_args.sample_rate"),
    "a list for a section": ("model.init_args", [1], "yaml: model.init_args"),
    "no strides": ("model.init_args.feature_extractor.init_args.dowmsamples", None, "yaml: .*dowmsamples"),
    "other strides": ("model.init_args.feature_extractor.init_args.dowmsamples", [8, 5, 2, 4], "wrongly shaped"),
    "another hop": ("model.init_args.head.init_args.hop_length", 321, "yaml: .*no network"),
    "another padding": ("model.init_args.head.init_args.padding", "center", "yaml: .*padding"),
    "a small transform": ("model.init_args.head.init_args.n_fft", 320, "no network"),
    "an odd transform": ("model.init_args.head.init_args.n_fft", 1281, "no network"),
    "groups that do not divide": ("model.init_args.backbone.init_args.dim", 33, "no network"),
    "another width": ("model.init_args.backbone.init_args.dim", 64, "wrongly shaped"),
    "fewer layers": ("model.init_args.backbone.init_args.num_layers", 1, "has unknown"),
    "a text": ("model.init_args.backbone.init_args.num_layers", "12", "yaml: .*num_layers"),
    "no conditions": ("model.init_args.backbone.init_args.adanorm_num_embeddings", None, "yaml: .*adanorm"),
    "other codebooks": ("model.init_args.feature_extractor.init_args.vq_bins", 4097, r"quantizer\.embed"),
}


@pytest.mark.slow
@pytest.mark.parametrize("golden", [_first("wavtokenizer")])
@pytest.mark.parametrize("name", WAVTOKENIZER_CONFIGS)
def test_bad_wavtokenizer_configs_are_refused(golden: Golden, copy: Path, name: str) -> None:
    path, value, message = WAVTOKENIZER_CONFIGS[name]
    (config,) = copy.glob("*.yaml")
    document = yaml.safe_load(config.read_text())
    _set(document, path, value)
    config.write_text(yaml.safe_dump(document))
    with pytest.raises(CheckpointError, match=message) as caught:
        _load(golden, copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("golden", [_first("wavtokenizer")])
@pytest.mark.parametrize("text", ["model: [", "- 1", "model: !!python/object/apply:os.getcwd []", "\0"])
def test_wavtokenizer_config_must_be_plain_yaml(golden: Golden, copy: Path, text: str) -> None:
    (config,) = copy.glob("*.yaml")
    config.write_text(text)
    with pytest.raises(CheckpointError, match=config.name) as caught:
        _load(golden, copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("golden", goldens("soundstream_academicodec"))
def test_academicodec_levels_what_it_writes(golden: Golden, tmp_path: Path) -> None:
    checkpoint, raw = golden.checkpoint(tmp_path), golden.arrays["output_raw"]
    scaled = _load(golden, checkpoint, options={"rescale": True}).resynthesize(golden.wav)[0]
    clipped = _load(golden, checkpoint, options={"rescale": False}).resynthesize(golden.wav)[0]
    tolerance = golden.facts["tolerance"]["output_max_abs"]
    assert largest_difference(scaled, raw * min(0.99 / raw.abs().max().item(), 1.0)) <= tolerance
    assert largest_difference(clipped, raw.clamp(-0.99, 0.99)) <= tolerance


@pytest.mark.slow
@pytest.mark.parametrize("golden", goldens("soundstream_academicodec", full_size=False))
def test_academicodec_bandwidth_decides_the_codebooks(golden: Golden) -> None:
    stored = golden.facts["n_codebooks_in_checkpoint"]
    paid = golden.facts["frame_rate"] * math.log2(golden.facts["codebook_size"]) / 1000
    for target, used in [(0.01, 1), (1.01 * paid, 1), (2.01 * paid, 2), (2.9 * paid, 2), (1000.0, stored)]:
        assert _load(golden, options={"target_bw": target}).codebooks == used
    codes = _load(golden, options={"target_bw": 1000}).encode(golden.wav)[0][0]
    assert torch.equal(codes, golden.arrays["codes_default_bw"])
    for target in (0.0, -1.0, math.nan):
        with pytest.raises(OptionError, match="target_bw"):
            _load(golden, options={"target_bw": target})


@pytest.mark.parametrize("golden", goldens("soundstream_academicodec", full_size=False))
def test_academicodec_is_local_at_the_tail(golden: Golden) -> None:
    adapter, tail = _load(golden), golden.facts["checks"]["tail_dependence"]
    longer = torch.nn.functional.pad(golden.wav, (0, tail["appended_zeros"]))
    changed = (adapter.encode(longer)[0][..., : tail["frames"]] != adapter.encode(golden.wav)[0]).any(dim=1)[0]
    assert changed.nonzero().min() == tail["first_frame_whose_codes_change"]


@pytest.mark.parametrize("golden", [_first("soundstream_academicodec")])
@pytest.mark.parametrize("name", ["encodec_16k_320d.pth", "encodec_16khz_320d.pth", "Encodec_16k_320d.pth"])
def test_academicodec_file_names(golden: Golden, copy: Path, name: str) -> None:
    _weights(copy).rename(copy / name)
    (copy / "encodec_24khz_240d.pth").write_bytes(b"another model's")
    assert codec_adapters.load("academicodec_encodec_16k_320d", copy).hop == 320
    (copy / "encodec_24khz_240d.pth").rename(copy / "encodec_24khz_32d.pth")
    with pytest.raises(CheckpointError, match=r"expected encodec_24khz_240d\.pth"):
        codec_adapters.load("academicodec_encodec_24k_240d", copy)


def _target(variant: str) -> str:
    provider = builtin_catalogue().entry(variant).provider
    assert isinstance(provider, Packaged)
    return provider.target
