"""The research repositories whose codecs are written anew here: how to run each from a checkout of one's own.

Nothing of them is in this repository. A driver imports a checkout, builds the network of an official size with random
weights, saves these in the official file layout, and returns the upstream's own path from waveform to waveform. What
an upstream imports and does not need for that is stubbed. The packages have names like ``models`` and ``utils``: one
upstream per process.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import MagicMock

import torch
import yaml
from torch import Tensor, nn

Resynthesis = Callable[[Tensor], Tensor]
"""``[batch, samples]`` to ``[batch, samples_out]``."""


@dataclass(frozen=True)
class Upstream:
    """One codec of a research repository, and the variant here that it is measured against."""

    repo: str
    commit: str
    variant: str
    make: Callable[[Path, Path], Resynthesis]
    """(checkout, empty folder): writes an official checkpoint of random weights into the folder."""
    path: str
    """The upstream's way that is timed."""
    options: Mapping[str, bool | float] = field(default_factory=lambda: MappingProxyType({}))
    """Inference options that make the variant do the same."""


def _use(checkout: Path, *stubbed: str) -> None:
    """Make ``checkout`` importable, and ``stubbed`` modules that nothing calls."""
    sys.path.insert(0, str(checkout))
    sys.modules.update({name: MagicMock() for name in stubbed})
    torch.manual_seed(0)


def _filled(network: Any) -> Any:
    """``network`` in eval mode with codebooks drawn at random, where training would put them."""
    for name, tensor in network.state_dict().items():
        leaf = name.rpartition(".")[2]
        if leaf in ("embed", "embed_avg") or name.endswith("embedding.weight"):
            tensor.normal_()
        elif leaf == "inited":
            tensor.fill_(1)
    return network.eval()


def _speechtokenizer(checkout: Path, folder: Path) -> Resynthesis:
    _use(checkout, "speechtokenizer.trainer")
    config = checkout / "config" / "spt_base_cfg.json"
    network = _filled(import_module("speechtokenizer.model").SpeechTokenizer(json.loads(config.read_text())))
    shutil.copyfile(config, folder / "config.json")
    torch.save(network.state_dict(), folder / "SpeechTokenizer.pt")
    return lambda wav: network.decode(network.encode(wav[:, None]))[:, 0]


def _wavtokenizer(checkout: Path, folder: Path) -> Resynthesis:
    _use(checkout, "torchaudio", "torchaudio.functional", "torchaudio.functional.functional")
    config = checkout / "configs" / "wavtokenizer_smalldata_frame75_3s_nq1_code4096_dim512_kmeans200_attn.yaml"
    network = _filled(import_module("decoder.pretrained").WavTokenizer.from_hparams0802(str(config)))
    shutil.copyfile(config, folder / config.name)
    torch.save({"state_dict": network.state_dict()}, folder / "WavTokenizer_small_320_24k_4096.ckpt")
    row = torch.tensor([0])
    return lambda wav: network.decode(network.encode_infer(wav, bandwidth_id=row)[0], bandwidth_id=row)


def _hificodec(checkout: Path, folder: Path) -> Resynthesis:
    _use(checkout)
    config = checkout / "egs" / "HiFi-Codec-16k-320d" / "config_16k_320d.json"
    models = import_module("academicodec.models.hificodec.models")
    sizes = import_module("academicodec.models.hificodec.env").AttrDict(json.loads(config.read_text()))
    parts = {"encoder": models.Encoder, "quantizer": models.Quantizer, "generator": models.Generator}
    weights, copy = folder / "HiFi-Codec-16k-320d", folder / config.name
    torch.save({name: _filled(part(sizes)).state_dict() for name, part in parts.items()}, weights)
    shutil.copyfile(config, copy)
    network = import_module("academicodec.models.hificodec.vqvae").VQVAE(str(copy), str(weights), with_encoder=True)
    network.generator.remove_weight_norm()
    network.encoder.remove_weight_norm()
    network.eval()
    return lambda wav: network(network.encode(wav))[:, 0]


def _academicodec_encodec(checkout: Path, folder: Path) -> Resynthesis:
    _use(checkout)
    bandwidths = [1, 1.5, 2, 4, 6, 12]
    network = _filled(
        import_module("academicodec.models.encodec.net3").SoundStream(
            n_filters=32, D=512, ratios=[8, 5, 4, 2], sample_rate=16000, target_bandwidths=bandwidths
        )
    )
    state = {f"module.{name}": tensor.clone() for name, tensor in network.state_dict().items()}
    torch.save(state, folder / "encodec_16k_320d.pth")
    import_module("academicodec.models.encodec.test").remove_encodec_weight_norm(network)
    return lambda wav: network.decode(network.encode(wav[:, None], target_bw=12))[:, 0].clamp(-0.99, 0.99)


def _funcodec(checkout: Path, folder: Path) -> Resynthesis:
    _use(checkout, "torchaudio", "typeguard")
    config = checkout / "egs" / "LibriTTS" / "codec" / "conf" / "encodec_16k_n32_600k_step_ds640.yaml"
    arguments = yaml.safe_load(config.read_text())
    models, channels = "funcodec.models", arguments["input_size"]
    settings = {**arguments["model_conf"], "multi_spectral_window_powers_of_two": []}  # the loss's, on a GPU only
    encoder = import_module(f"{models}.encoder.seanet_encoder").SEANetEncoder(channels, **arguments["encoder_conf"])
    quantizer = import_module(f"{models}.quantizer.costume_quantizer").CostumeQuantizer(
        encoder.output_size(), **arguments["quantizer_conf"]
    )
    decoder = import_module(f"{models}.decoder.seanet_decoder").SEANetDecoder(
        quantizer.output_size(), **arguments["decoder_conf"]
    )
    network = _filled(
        import_module(f"{models}.codec_basic").Encodec(
            channels, encoder=encoder, quantizer=quantizer, decoder=decoder, **settings
        )
    )
    shutil.copyfile(config, folder / "config.yaml")
    torch.save(network.state_dict(), folder / "model.pth")
    return lambda wav: network.inference(wav)["recon_speech"][:, 0]


def _facodec(checkout: Path, folder: Path) -> Resynthesis:
    _use(checkout / "models" / "codec", "torchaudio", "torchaudio.functional", "pyworld")
    package = import_module("ns3_codec")
    encoder = package.FACodecEncoderV2(ngf=32, up_ratios=[2, 4, 5, 5], out_channels=256).eval()
    decoder = package.FACodecDecoderV2(
        in_channels=256,
        upsample_initial_channel=1024,
        ngf=32,
        up_ratios=[5, 5, 4, 2],
        vq_num_q_c=2,
        vq_num_q_p=1,
        vq_num_q_r=3,
        vq_dim=256,
        codebook_dim=8,
        codebook_size_prosody=10,
        codebook_size_content=10,
        codebook_size_residual=10,
        use_gr_x_timbre=True,
        use_gr_residual_f0=True,
        use_gr_residual_phone=True,
    ).eval()
    torch.save(encoder.state_dict(), folder / "ns3_facodec_encoder_v2.bin")
    torch.save(decoder.state_dict(), folder / "ns3_facodec_decoder_v2.bin")

    def run(wav: Tensor) -> Tensor:
        signal = wav[:, None]
        prosody = encoder.get_prosody_feature(signal)
        latent, _, _, _, speaker = decoder(encoder(signal), prosody, eval_vq=False, vq=True)
        output: Tensor = decoder.inference(latent, speaker)[:, 0]
        return output

    return run


def _audiodec(checkout: Path, folder: Path) -> Resynthesis:
    _use(checkout, "torchaudio", "torchaudio.functional")
    os.chdir(checkout)  # the vocoder's statistics are named from there
    generators = {
        "autoencoder/symAD_libritts_24000_hop300": "models.autoencoder.AudioDec",
        "vocoder/AudioDec_v1_symAD_libritts_24000_hop300_clean": "models.vocoder.HiFiGAN",
    }
    networks: list[nn.Module] = []
    for name, module in generators.items():
        config = checkout / "config" / f"{name}.yaml"
        network = _filled(import_module(module).Generator(**yaml.safe_load(config.read_text())["generator_params"]))
        place = folder / "exp" / name
        place.mkdir(parents=True)
        shutil.copyfile(config, place / "config.yml")
        torch.save({"model": {"generator": network.state_dict()}}, place / "checkpoint-500000steps.pkl")
        networks.append(network)
    autoencoder: Any
    autoencoder, vocoder = networks

    def run(wav: Tensor) -> Tensor:
        quantized, _, _ = autoencoder.quantizer(autoencoder.projector(autoencoder.encoder(wav[:, None])))
        output: Tensor = vocoder(quantized)[:, 0]
        return output

    return run


UPSTREAMS: Mapping[str, Upstream] = {
    "speechtokenizer": Upstream(
        repo="ZhangXInFD/SpeechTokenizer",
        commit="30c96fb32a9fc06a2258c98119e237def051e46c",
        variant="speechtokenizer_hubert_avg",
        make=_speechtokenizer,
        path="encode, decode",
    ),
    "wavtokenizer": Upstream(
        repo="jishengpeng/WavTokenizer",
        commit="5cf440d91ac420ca338f117b7003a77450d64730",
        variant="wavtokenizer_small_75tps",
        make=_wavtokenizer,
        path="encode_infer, decode",
    ),
    "hificodec": Upstream(
        repo="yangdongchao/AcademiCodec",
        commit="b6ac134735f6079543db959a60eb77a7bab4277b",
        variant="academicodec_hifi_16k_320d",
        make=_hificodec,
        path="VQVAE.encode, forward; weight norm removed",
    ),
    "academicodec_encodec": Upstream(
        repo="yangdongchao/AcademiCodec",
        commit="b6ac134735f6079543db959a60eb77a7bab4277b",
        variant="academicodec_encodec_16k_320d",
        make=_academicodec_encodec,
        path="encode, decode; weight norm removed",
        options={"rescale": False},
    ),
    "funcodec": Upstream(
        repo="modelscope/FunCodec",
        commit="3435d870126a48fe61a87fac1af3b6530be388ea",
        variant="funcodec_libritts_nq32ds640",
        make=_funcodec,
        path="Encodec.inference",
    ),
    "facodec": Upstream(
        repo="open-mmlab/Amphion",
        commit="d3de90f02e7f1c7dbc24b04d52fe1b8ef438effe",
        variant="facodec_v2",
        make=_facodec,
        path="the readme's: encoder, prosody feature, decoder, inference",
    ),
    "audiodec": Upstream(
        repo="facebookresearch/AudioDec",
        commit="e451e62580a66fe74426db51d92a6d0d468b70b3",
        variant="audiodec_libritts_v1",
        make=_audiodec,
        path="codecTest.py's (the file demo takes no batch)",
        options={"warmup": False},
    ),
}
"""By the name that the command line takes. The commits are those that the committed table was measured with."""
