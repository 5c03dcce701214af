"""SNAC and Lyra V2 against what their upstreams computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import codec_adapters

SNAC = {"a_24k_noise": "snac_24khz", "b_32k_attn_noise": "snac_32khz", "c_attn_2heads_nonoise": "snac_24khz"}


@pytest.mark.parametrize("case", SNAC)
def test_snac(shared: Path, case: str) -> None:
    folder = shared / "goldens" / "snac" / case
    facts = json.loads((folder / "case.json").read_text())
    golden = load_file(folder / "io.safetensors")
    tolerance = facts["tolerance"]["output_max_abs"]
    seed = facts.get("noise", {}).get("seed_set_immediately_before_the_full_pass", 0)
    wav = golden["input"][None]
    adapter = codec_adapters.load(SNAC[case], checkpoint=folder / "checkpoint")
    for level, codes in enumerate(adapter.encode(wav)):
        assert torch.equal(codes[0], golden[f"codes_{level}"])
    assert torch.allclose(adapter.resynthesize(wav, [seed])[0], golden["output"], atol=tolerance, rtol=0)
    if "output_zero_noise" in golden:
        quiet = codec_adapters.load(SNAC[case], checkpoint=folder / "checkpoint", options={"noise": False})
        assert torch.allclose(quiet.resynthesize(wav)[0], golden["output_zero_noise"], atol=tolerance, rtol=0)


@pytest.mark.parametrize(("name", "levels"), [("lyra_v2_3_2kbps", 16), ("lyra_v2_6kbps", 30), ("lyra_v2_9_2kbps", 46)])
def test_lyra(shared: Path, name: str, levels: int) -> None:
    golden = load_file(shared / "goldens" / "soundstream" / "lyra_v2" / "io.safetensors")
    adapter = codec_adapters.load(name, checkpoint=shared / "weights" / "lyra_v2")
    wav = golden["input"][None]
    codes, expected = adapter.encode(wav)[0][0], golden[f"codes_nq{levels}"]
    output, reference = adapter.resynthesize(wav)[0], golden[f"output_nq{levels}"]
    assert codes.shape == expected.shape
    assert (codes[:8] == expected[:8]).float().mean() >= 0.85  # exact on the CPU kind it was recorded on
    assert output.shape == reference.shape
    assert torch.corrcoef(torch.stack([output, reference]))[0, 1] >= 0.95


def test_lyra_items_of_a_batch_are_streams_of_their_own(shared: Path) -> None:
    adapter = codec_adapters.load("lyra_v2_6kbps", checkpoint=shared / "weights" / "lyra_v2")
    batch = 0.1 * torch.randn(2, 3200, generator=torch.Generator().manual_seed(0))
    together = adapter.resynthesize(batch)
    assert torch.equal(together[1:], adapter.resynthesize(batch[1:]))
    assert torch.equal(together, adapter.resynthesize(batch))


def test_lyra_refuses_a_truncated_graph(shared: Path, tmp_path: Path) -> None:
    for path in (shared / "weights" / "lyra_v2").glob("*.tflite"):
        data = path.read_bytes()
        (tmp_path / path.name).write_bytes(data[:1000] if path.name == "lyragan.tflite" else data)
    with pytest.raises(codec_adapters.CheckpointError, match=r"lyragan\.tflite"):
        codec_adapters.load("lyra_v2_6kbps", checkpoint=tmp_path)
