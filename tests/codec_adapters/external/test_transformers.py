"""Every audio codec class of transformers, from a folder that ``save_pretrained`` wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
import torch

from codec_adapters import CheckpointError, InputError, OptionError
from codec_adapters.base import Adapter
from codec_adapters.external.adapters.speech_features import log_mel, paired
from codec_adapters.external.adapters.transformers_config import codec_kinds, figures_of, model_class
from codec_adapters.external.codec_file import codec_file_entry, read_codec_file
from codec_adapters.external.transformers import TransformersBackend
from codec_adapters.layers.sinc_resample import resample
from codec_adapters.loading import load_codec
from tests.kit.external_codecs import codec_file, facts, transformers_part
from tests.kit.synthetic import voice
from tools.small_networks.codecs.dac import random_dac
from tools.small_networks.codecs.encodec import random_encodec
from tools.small_networks.codecs.mimi import random_mimi

ACOUSTIC = {
    "model_type": "dac",
    "encoder_hidden_size": 4,
    "hidden_size": 32,
    "decoder_hidden_size": 32,
    "n_codebooks": 2,
    "codebook_size": 16,
}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
HUBERT = {
    **{"model_type": "hubert", "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4},
    **SMALL,
}
W2V_BERT = {
    **{"model_type": "wav2vec2-bert", "feature_projection_input_dim": 160, "conv_depthwise_kernel_size": 7},
    **{"output_hidden_size": 32, **SMALL},
}
XCODEC2 = {
    **{"encoder_hidden_size": 4, "semantic_model_config": W2V_BERT, "quantization_dim": 64, "head_dim": 16},
    **{"quantization_levels": [4, 4, 4], "num_key_value_heads": 2, **SMALL},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "xcodec": {
        **{
            "acoustic_model_config": ACOUSTIC | {"downsampling_ratios": [8, 5, 4, 2], "upsampling_ratios": [8, 5, 4, 2]}
        },
        **{"semantic_model_config": HUBERT, "codebook_size": 16, "target_bandwidths": [0.5, 1.0]},
    },
    "higgs_audio_v2_tokenizer": {
        **{
            "acoustic_model_config": ACOUSTIC | {"downsampling_ratios": [8, 5, 4, 6], "upsampling_ratios": [8, 5, 4, 6]}
        },
        **{"semantic_model_config": HUBERT, "codebook_size": 16, "codebook_dim": 16, "target_bandwidths": [0.5, 1.0]},
    },
    "xcodec2": XCODEC2,
    "neucodec": XCODEC2,
    "vibevoice_acoustic_tokenizer": {
        **{"hidden_size": 8, "num_filters": 4, "downsampling_ratios": [2, 4, 5, 8], "depths": [1, 1, 1, 1, 1]},
        "layer_scale_init_value": 0.5,
    },
    "pocket_tts_audio_tokenizer": {
        **{"num_filters": 4, "num_key_value_heads": 2, "upsample_groups": 32, "latent_dim": 8, "sliding_window": 16},
        **SMALL,
    },
}
CONTINUOUS = ("vibevoice_acoustic_tokenizer", "pocket_tts_audio_tokenizer")
OWN: dict[str, Callable[[Path], Path]] = {
    "encodec": random_encodec,
    "dac": random_dac,
    "mimi": random_mimi,
}


def made(folder: Path, kind: str) -> Path:
    """A small random model of the class, loud enough to be heard."""
    (folder / "config.json").parent.mkdir(parents=True)
    (folder / "config.json").write_text(f'{{"model_type": "{kind}"}}')
    model_type = model_class(folder)
    torch.manual_seed(11)
    model = model_type(model_type.config_class(**CONFIGS[kind])).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=(3 / parameter[0].numel()) ** 0.5)
    for buffer_name, buffer in model.named_buffers():
        if buffer_name.endswith("codebook.embed"):
            buffer.normal_()
    model.save_pretrained(folder)
    return folder


def add(folder: Path, inner: str, options: dict[str, Any] | None = None, **changes: Any) -> Adapter:
    """The codec in ``folder/inner`` by its codec file, with the figures of its own config."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder / inner)
    told = figures_of(config, folder / inner, (options or {}).get("bandwidth"))
    figures = {"sample_rate": 24000, "codebooks": 1, "bitrate": 1000.0, **told}
    known = facts(**{"label": 12, **figures, **changes})
    path = codec_file(folder, "added", transformers_part(folder, inner), known, options)
    return load_codec(codec_file_entry(path))


def waves(rate: int, seconds: float = 0.6) -> torch.Tensor:
    return torch.from_numpy(np.stack([voice(seconds, rate, seed) for seed in (1, 2)]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_class_of_transformers(kind: str, tmp_path: Path) -> None:
    made(tmp_path / "model", kind)
    adapter = add(tmp_path, "model")
    model: Any = getattr(adapter, "model")  # noqa: B009
    wav = waves(adapter.sample_rate)[:, : 8 * adapter.hop if kind == "neucodec" else 6 * adapter.hop + 17]
    out = adapter.resynthesize(wav)
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert out.abs().max() > 1e-4
    assert out.shape[1] == wav.shape[1]
    for item in range(2):
        assert torch.equal(adapter.resynthesize(wav[item : item + 1])[0], out[item])
    torch.testing.assert_close(out, by_transformers(model, kind, adapter, wav), rtol=1e-4, atol=1e-5)
    if kind in CONTINUOUS:
        with pytest.raises(InputError, match="has continuous latents, no codes; only resynthesize"):
            adapter.encode(wav)
        return
    codes = adapter.encode(wav)
    assert codes[0].shape[:2] == (2, adapter.codebooks)
    assert codes[0].unique().numel() > 2
    assert torch.equal(adapter.decode(codes)[:, : wav.shape[1]], out)
    with pytest.raises(InputError, match="codes must be at least 0 and below"):
        adapter.decode([codes[0] + 1000])


def by_transformers(model: Any, kind: str, adapter: Adapter, wav: torch.Tensor) -> torch.Tensor:
    """The class's own forward, on what its feature extractor makes of the clip."""
    found = []
    for item in wav:
        given: dict[str, Any] = {}
        samples = torch.nn.functional.pad(item, (0, -len(item) % adapter.hop))
        if kind in ("xcodec2", "neucodec"):
            if kind == "neucodec":
                item = resample(item, 24000, 16000)
            item = torch.nn.functional.pad(item, (0, 1))
            samples = torch.nn.functional.pad(item, (0, -len(item) % 320))
            margin = 160 if kind == "xcodec2" else 0
            features, mask = paired(log_mel(torch.nn.functional.pad(samples, (margin, margin))))
            given = {"input_features": features[None], "input_features_mask": mask[None]}
        if kind.startswith("vibevoice"):
            given["sample"] = False
        with torch.inference_mode():
            output = model(samples[None, None], **given)
        audio = output.audio if "audio" in output else output.audio_values
        found.append(audio[0, 0, : wav.shape[1]])
    return torch.stack(found)


@pytest.mark.slow
@pytest.mark.parametrize("kind", OWN)
def test_the_classes_that_built_in_variants_use(kind: str, tmp_path: Path) -> None:
    OWN[kind](tmp_path / "model")
    adapter = add(tmp_path, "model", {"bandwidth": 6.0} if kind == "encodec" else None)
    wav = waves(adapter.sample_rate)
    out = adapter.resynthesize(wav)
    assert 0 <= wav.shape[1] - out.shape[1] < adapter.hop
    torch.testing.assert_close(adapter.resynthesize(wav[1:])[0], out[1], rtol=1e-4, atol=1e-5)
    assert adapter.encode(wav)[0].shape[1] == adapter.codebooks


def test_every_class_of_the_installed_transformers_is_tried() -> None:
    assert {*CONFIGS, *OWN} == set(codec_kinds())


def test_a_variational_codec_draws_from_the_clips_seed(tmp_path: Path) -> None:
    made(tmp_path / "model", "vibevoice_acoustic_tokenizer")
    wav = waves(24000, 0.2)
    still = add(tmp_path, "model").resynthesize(wav)
    adapter = add(tmp_path, "model", {"sample": True})
    out = adapter.resynthesize(wav, [3, 4])
    assert not torch.allclose(out, still)
    assert torch.equal(adapter.resynthesize(wav[1:], [4])[0], out[1])
    assert not torch.equal(adapter.resynthesize(wav[1:], [3])[0], out[1])


@pytest.mark.slow
def test_bandwidths_and_options(tmp_path: Path) -> None:
    made(tmp_path / "model", "xcodec")
    half = add(tmp_path, "model", {"bandwidth": 0.5})
    assert (half.codebooks, half.bitrate) == (2, 400.0)
    assert half.encode(waves(16000))[0].shape[1] == 2
    whole = load_codec(codec_file_entry(tmp_path / "added.yaml"), options={"bandwidth": 1.0})
    assert (whole.codebooks, whole.bitrate) == (5, 1000.0)
    with pytest.raises(OptionError, match=r"bandwidth 3\.0 is not one of this checkpoint's"):
        add(tmp_path, "model", {"bandwidth": 3.0}, bitrate=400.0, codebooks=2)
    with pytest.raises(OptionError, match="XcodecModel has no option 'sample'"):
        add(tmp_path, "model", {"sample": True})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sample_rate": 24000}, r"codec.sample_rate is 24000 in its codec file, 16000 in its config"),
        ({"hop": 640}, "codec.hop is 640 in its codec file, 320"),
        ({"codebooks": 9}, "codec.codebooks is 9"),
    ],
)
def test_facts_that_contradict_the_config(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    made(tmp_path / "model", "xcodec")
    with pytest.raises(CheckpointError, match=words):
        add(tmp_path, "model", **changes)


def test_only_listed_files_are_loaded(tmp_path: Path) -> None:
    made(tmp_path / "model", "xcodec2")
    add(tmp_path, "model")
    entry = codec_file_entry(tmp_path / "added.yaml")
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: is not listed in the codec file"):
        load_codec(entry)
    (tmp_path / "model" / "pytorch_model.bin").unlink()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: changed since it was added \(1 bytes, then"):
        load_codec(entry)


def test_a_class_that_is_no_codec(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match=r"model_type 'bert' is no audio codec of the installed transformers; th"):
        model_class(tmp_path)


@pytest.mark.slow
def test_a_hub_repository_at_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    made(tmp_path / "model", "xcodec2")
    local = transformers_part(tmp_path, "model")
    commit = "0123456789abcdef0123456789abcdef01234567"
    asked = []

    def from_hub(repo: str, name: str, revision: str, local_dir: Path) -> str:
        asked.append((repo, name, revision))
        target = Path(local_dir) / name
        target.write_bytes((tmp_path / "model" / name).read_bytes())
        return str(target)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", from_hub)
    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path / "cache"))
    backend = TransformersBackend(repo="someone/xcodec2", commit=commit, files=local.files)
    path = codec_file(tmp_path, "added", backend, facts(hop=320, codebooks=1, bitrate=300.0))
    assert read_codec_file(path).transformers == backend
    codec = codec_file_entry(path)
    assert codec.spec.repo == "https://huggingface.co/someone/xcodec2"
    assert not asked
    for _ in range(2):
        assert load_codec(codec).sample_rate == 16000
    assert asked == [("someone/xcodec2", file.file, commit) for file in local.files]
    first = local.files[0].file
    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path / "other"))
    (tmp_path / "model" / first).write_bytes(b"{}")
    other = TransformersBackend(repo="a/b", commit=commit, files=local.files)
    with pytest.raises(CheckpointError, match=rf"{first} from hub repository a/b@{commit} has sha256 .*; not used"):
        other.prepare()


@pytest.mark.parametrize(("rate", "target"), [(24000, 16000), (16000, 24000), (44100, 16000)])
def test_the_sinc_resampler_keeps_what_lies_in_the_band(rate: int, target: int) -> None:
    time = np.arange(rate) / rate
    pitches = np.array([110.0, 997.0, 4321.0])[:, None]
    wave = np.sin(2 * np.pi * pitches * time + pitches).sum(0).astype(np.float32)
    made = resample(torch.from_numpy(wave), rate, target).numpy()
    expected = soxr.resample(wave, rate, target, quality="VHQ")
    assert made.shape == (-(-rate * target // rate),)
    assert np.abs(made - expected)[200:-200].max() < 5e-3
    common = np.gcd(rate, target)
    old, new = rate // common, target // common
    cutoff = 0.99 * min(old, new)
    for number in (0, 7, 1000, len(made) - 1):  # the definition, sample by sample
        distance = cutoff * (np.arange(rate) / old - number / new)
        window = np.where(np.abs(distance) < 6, np.cos(np.pi * distance / 12) ** 2, 0)
        assert abs(made[number] - cutoff / old * np.sum(wave * np.sinc(distance) * window)) < 1e-5
    aliased = np.sin(2 * np.pi * 11000 * time).astype(np.float32)
    if (rate, target) == (24000, 16000):
        assert np.abs(resample(torch.from_numpy(aliased), rate, target).numpy())[200:-200].max() < 0.02


def test_the_spectrogram_is_the_one_that_transformers_computes_for_these_encoders() -> None:
    from transformers import SeamlessM4TFeatureExtractor

    wave = voice(0.7, 16000, 3)
    own, mask = paired(log_mel(torch.from_numpy(wave)))
    theirs = SeamlessM4TFeatureExtractor()(wave, sampling_rate=16000, return_tensors="np")["input_features"][0]
    whole = int(mask.sum())
    np.testing.assert_allclose(own.numpy()[:whole], theirs[:whole], rtol=1e-3, atol=1e-3)
