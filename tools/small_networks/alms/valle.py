"""A random VALL-E in Amphion's layout."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_letters

import torch

from tools.small_networks.alms.tokenizer import CODES


def random_valle(folder: Path) -> Path:
    """Amphion's layout, for the 13 codebooks that the random EnCodec has at 6 kbit/s."""
    from codec_adapters.alm.valle_network import ValleConfig, ValleNetwork

    torch.manual_seed(9)
    config = {
        "decoder_dim": 32,
        "nhead": 4,
        "num_decoder_layers": 2,
        "num_quantizers": 13,
        "text_token_num": 80,
        "audio_token_num": CODES,
        "prefix_mode": 1,
        "nar_scale_factor": 1,
        "prepend_bos": False,
        "add_prenet": False,
        "norm_first": True,
    }
    network = ValleNetwork(ValleConfig.model_validate(config))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
            elif name.endswith("in_proj_bias"):
                parameter.zero_()
    weights = folder / "checkpoint" / "epoch-0000_step-0000001_loss-1.000000"
    weights.mkdir(parents=True)
    torch.save(network.state_dict(), weights / "pytorch_model.bin")
    (folder / "args.json").write_text(json.dumps({"model": config}).replace("}}", ",},}"), encoding="utf-8")
    symbols = [*ascii_letters, *"_,.'", "iː", "ɔː"]
    lines = [f"{symbol} {number}\n" for number, symbol in enumerate(["<eps>", *symbols])]
    (folder / "symbols.dict").write_text("".join(lines), encoding="utf-8")
    return folder
