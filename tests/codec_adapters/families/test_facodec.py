"""FACodec against the recorded outputs of its upstream, v1 and v2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

import codec_adapters
from codec_adapters.base import Codes
from codec_adapters.errors import CheckpointError, InputError
from codec_adapters.families.facodec import FacodecAdapter
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

CASES = goldens("facodec", full_size=False)
V1 = [case for case in CASES if not (isinstance(case.values[0], Golden) and case.values[0].facts["variant"] == "v2")]
V2 = [case for case in CASES if not (isinstance(case.values[0], Golden) and case.values[0].facts["variant"] == "v1")]


def _load(golden: Golden, **kwargs: Any) -> FacodecAdapter:
    adapter = codec_adapters.load(f"facodec_{golden.facts['variant']}", golden.folder / "checkpoint", **kwargs)
    assert isinstance(adapter, FacodecAdapter)
    return adapter


def _is_padded(golden: Golden) -> bool:
    """Whether the case was recorded with the padding of the authors' demo space."""
    return "Zero-pad" in str(golden.facts["inference_note"])


def _recorded_options(golden: Golden) -> dict[str, bool]:
    return {"demo_padding": _is_padded(golden)} if golden.facts["variant"] == "v2" else {}


@pytest.mark.parametrize("golden", goldens("facodec"))
def test_reproduces_golden(golden: Golden) -> None:
    adapter = _load(golden, options=_recorded_options(golden))
    golden.assert_reproduced(adapter)
    facts = golden.facts
    found = (adapter.sample_rate, adapter.hop, adapter.codebooks, adapter.decoder.entries)
    assert found == (facts["sample_rate"], facts["hop"], facts["n_codebooks"], facts["codebook_sizes"])


@pytest.mark.slow
@pytest.mark.parametrize("golden", CASES)
def test_finds_the_files_one_folder_below(golden: Golden) -> None:
    assert codec_adapters.load(f"facodec_{golden.facts['variant']}", golden.folder).hop == golden.facts["hop"]


@pytest.mark.slow
@pytest.mark.parametrize("golden", goldens("facodec"))
def test_reproduces_intermediates(golden: Golden) -> None:
    adapter, stored = _load(golden, options=_recorded_options(golden)), golden.arrays
    codes = adapter.encode(golden.wav)
    wav = (
        pad(golden.wav, (0, 200 * stored["codes"].shape[1] - golden.wav.shape[1])) if _is_padded(golden) else golden.wav
    )
    with torch.inference_mode():
        latent = adapter.encoder(wav)[0].T
        embedded = adapter.decoder.embed(codes[0])[0].T
        mel = adapter.encoder.mel_transform
        if mel is not None:
            assert largest_difference(mel(wav, adapter.decoder.bands)[0], stored["prosody_feature"]) <= 1e-3
    assert largest_difference(latent, stored["latent"]) <= golden.facts["tolerance"]["latent_max_abs"]
    assert largest_difference(embedded, stored["quantized"]) <= 1e-4
    assert (
        largest_difference(codes.side["speaker"][0], stored["spk_emb"]) <= golden.facts["tolerance"]["spk_emb_max_abs"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("golden", V2)
def test_default_padding_takes_an_input_as_it_is_where_upstream_can(golden: Golden) -> None:
    default, demo = _load(golden), _load(golden, options={"demo_padding": True})
    wav = golden.wav[:, :4151]  # latent and mel have 20 frames
    assert default.resynthesize(wav).shape == (1, 4000)
    wav = golden.wav[:, :4152]  # latent would have 21 frames, mel 20
    assert torch.equal(default.resynthesize(wav), default.resynthesize(pad(wav, (0, 48))))
    assert torch.equal(default.resynthesize(wav), demo.resynthesize(wav))


@pytest.mark.slow
@pytest.mark.parametrize("golden", V2)
@pytest.mark.parametrize(("samples", "padded"), [(4000, 4200), (4001, 4200), (4199, 4200)])
def test_demo_padding_completes_a_frame_or_adds_one(golden: Golden, samples: int, padded: int) -> None:
    default, demo = _load(golden), _load(golden, options={"demo_padding": True})
    wav = golden.wav[:, :samples]
    output = demo.resynthesize(wav)
    assert output.shape == (1, padded)
    assert torch.equal(output, default.resynthesize(pad(wav, (0, padded - samples))))


@pytest.mark.slow
@pytest.mark.parametrize("golden", V1)
def test_positions_by_time_are_another_codec(golden: Golden) -> None:
    by_item, by_time = _load(golden), _load(golden, options={"time_positions": True})
    wav = golden.wav[:, :4000]
    codes = by_item.encode(wav)
    assert torch.equal(by_time.encode(wav)[0], codes[0])
    speaker = by_time.encode(wav).side["speaker"]
    assert largest_difference(speaker, codes.side["speaker"]) > 1e-3
    rows = len(by_time.decoder.timbre_encoder.position_emb.pe)
    with pytest.raises(InputError, match="positions"):
        by_time.encode(torch.zeros(1, 200 * (rows + 1)))


@pytest.mark.slow
@pytest.mark.parametrize("golden", CASES)
def test_every_item_gets_the_first_position(golden: Golden) -> None:
    adapter = _load(golden)
    speakers = adapter.encode(golden.wav.repeat(3, 1)).side["speaker"]
    assert largest_difference(speakers, golden.arrays["spk_emb"]) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("golden", CASES)
def test_a_batch_is_its_items(golden: Golden) -> None:
    assert_batch_invariant(_load(golden), golden.wav[:, :5050])


@pytest.mark.slow
@pytest.mark.parametrize("golden", CASES)
@pytest.mark.parametrize("samples", [413, 599, 600, 751, 752, 1001])
def test_short_and_odd_lengths(golden: Golden, samples: int) -> None:
    output = _load(golden).resynthesize(golden.wav[:, :samples])
    assert output.shape == (1, 200 * (samples // 200 + (samples % 200 >= 152)))
    assert output.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("golden", CASES)
def test_digital_silence(golden: Golden) -> None:
    adapter = _load(golden)
    assert adapter.resynthesize(torch.zeros(2, 3000)).isfinite().all()
    with pytest.raises(InputError, match="samples"):
        adapter.resynthesize(torch.zeros(1, 151))


@pytest.mark.slow
@pytest.mark.parametrize("golden", CASES)
def test_wrong_codes_are_refused(golden: Golden) -> None:
    adapter = _load(golden)
    codes = adapter.encode(golden.wav)
    with pytest.raises(InputError, match="speaker"):
        adapter.decode([codes[0]])
    with pytest.raises(InputError, match="speaker"):
        adapter.decode(Codes([codes[0]], side={"speaker": codes.side["speaker"][:, 1:]}))
    top = torch.tensor(adapter.decoder.entries)[:, None]
    wrong: list[list[Tensor]] = [[codes[0], codes[0]], [codes[0][:, 1:]], [codes[0][:, :, :0]], [codes[0] * 0 + top]]
    for tensors in [*wrong, [codes[0] - 10**6]]:
        with pytest.raises(InputError, match="codes"):
            adapter.decode(Codes(tensors, side=codes.side))


@pytest.mark.slow
@pytest.mark.parametrize("golden", CASES)
def test_training_heads_are_not_kept(golden: Golden) -> None:
    adapter = _load(golden)
    names = [*adapter.encoder.state_dict(), *adapter.decoder.state_dict()]
    assert not any("predictor" in name for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_official_names_and_shapes_fit(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suffix = "_v2" if version == "v2" else ""
    names = [f"ns3_facodec_{part}{suffix}.bin" for part in ("encoder", "decoder")]
    states = {
        name: {key: torch.empty(*shape, device="meta") for key, shape in official_state("facodec")[name][""].items()}
        for name in names
    }
    for name in names:
        (tmp_path / name).touch()
    monkeypatch.setattr("codec_adapters.families.facodec.read_tensors", lambda path: states[path.name])
    adapter = codec_adapters.load(f"facodec_{version}", tmp_path, device="meta")
    assert (adapter.hop, adapter.codebooks, adapter.bitrate) == (200, 6, 4800)
    for name in names:
        states[name]["surprise"] = torch.empty(1, device="meta")
        with pytest.raises(CheckpointError, match=rf"{name}: .*unknown surprise"):
            codec_adapters.load(f"facodec_{version}", tmp_path, device="meta")
        del states[name]["surprise"]


@pytest.fixture(params=CASES)
def spoilt(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A variant and a copy of a checkpoint for it."""
    golden = request.param
    assert isinstance(golden, Golden)
    folder = writable_copy(golden.folder / "checkpoint", tmp_path / "checkpoint")
    return f"facodec_{golden.facts['variant']}", folder


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_damaged_files_are_refused(spoilt: tuple[str, Path], part: str, damage: str) -> None:
    variant, folder = spoilt
    (path,) = folder.glob(f"*{part}*")
    DAMAGES[damage](path)
    with pytest.raises(CheckpointError, match=path.name):
        codec_adapters.load(variant, folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scalar", "sparse", "complex", "whole numbers"])
def test_tensors_of_other_kinds_are_refused(spoilt: tuple[str, Path], kind: str) -> None:
    variant, folder = spoilt
    (path,) = folder.glob("*encoder*")
    names = ("block.1.block.0.block.0.upsample.filter", "block.0.weight_v", "block.5.act.alpha")
    for name in names[1:2] if kind == "whole numbers" else names:
        kept = torch.load(path, weights_only=True)
        made = {"scalar": torch.tensor(1.0), "sparse": kept[name].to_sparse(), "complex": kept[name] + 0j}
        torch.save({**kept, name: made.get(kind, kept[name].long())}, path)
        with pytest.raises(CheckpointError, match=path.name):
            codec_adapters.load(variant, folder)
        torch.save(kept, path)


@pytest.mark.slow
def test_files_that_do_not_fit_are_refused(spoilt: tuple[str, Path]) -> None:
    variant, folder = spoilt
    (path,) = folder.glob("*decoder*")
    other = folder / (path.name.replace("_v2", "") if "_v2" in path.name else path.name.replace(".bin", "_v2.bin"))
    with pytest.raises(CheckpointError, match="expected ns3_facodec_encoder"):
        codec_adapters.load("facodec_v1" if variant == "facodec_v2" else "facodec_v2", folder)
    edit_torch_file(path, lambda state: state.pop("timbre_linear.bias"))
    with pytest.raises(CheckpointError, match=r"lacks timbre_linear\.bias"):
        codec_adapters.load(variant, folder)
    path.rename(other)
    with pytest.raises(CheckpointError, match=f"expected {path.name}"):
        codec_adapters.load(variant, folder)


def test_the_other_versions_weights_are_refused(spoilt: tuple[str, Path]) -> None:
    variant, folder = spoilt
    for path in folder.iterdir():
        renamed = path.name.replace("_v2", "") if "_v2" in path.name else path.name.replace(".bin", "_v2.bin")
        path.rename(folder / renamed)
    with pytest.raises(CheckpointError, match="mel"):
        codec_adapters.load("facodec_v1" if variant == "facodec_v2" else "facodec_v2", folder)
