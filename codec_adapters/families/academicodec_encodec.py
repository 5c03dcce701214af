"""The EnCodec models of AcademiCodec: a non-causal SEANet with wide codebooks, built by its class ``SoundStream``.

Papers: Yang et al., arXiv 2305.02765 (the toolkit); Defossez et al., arXiv 2210.13438 (EnCodec). Upstream:
yangdongchao/AcademiCodec (MIT); weights in the hub repository ``Dongchao/AcademiCodec``.

A checkpoint is one flat state dict, ``encodec_16k_320d.pth`` (16 kHz, hop 320, 24 codebooks of 1024),
``encodec_24khz_240d.pth`` (24 kHz, hop 240, 12) or ``encodec_24khz_32d.pth`` (24 kHz, hop 32, 2), every key behind
``module.``. There is no configuration: all sizes are read off the tensors, and the sample rate is the variant's. Codes
``[batch, codebooks, ceil(samples / hop)]``. The output is not cut to the input's length: ``frames * hop`` samples.
"""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor, nn

from codec_adapters.base import Codes, Setup
from codec_adapters.errors import OptionError
from codec_adapters.families.seanet_adapter import SeanetAdapter
from codec_adapters.files import weights
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import find_file
from codec_adapters.layers.quantization import stack_codebooks
from codec_adapters.layers.seanet import SeanetCodec
from codec_adapters.layers.seanet_settings import settings_of_encoder
from codec_adapters.layers.weight_norm import folded_state
from codec_adapters.spec import CodecSpec

_PARALLEL = "module."  # what torch's DistributedDataParallel puts before every name
_LEVEL_LIMIT = 0.99


class AcademiCodecEncodecAdapter(SeanetAdapter):
    """AcademiCodec's EnCodec, with the two switches of upstream's own script.

    Option ``target_bw`` (kbit/s) decides how many of the checkpoint's codebooks are used: as many as it pays for, at
    least one, at most all. Option ``rescale``: the script never writes samples beyond 0.99; with it, a louder clip is
    scaled down as a whole, without it, clipped.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.network = _load(_weights_file(setup.folder, setup.spec)).eval().to(setup.device)
        self.network.to_precision(setup.dtype)
        target = float(setup.options["target_bw"])
        if not target > 0:
            raise OptionError(f"{setup.spec.name}: target_bw must be above 0 kbit/s, got {target}")
        frames_per_second = math.ceil(self.sample_rate / self.hop)
        paid = math.floor(target / (self.network.quantizer.bits * frames_per_second / 1000))
        self.used = min(max(1, paid), self.network.quantizer.stages)

    @property
    def sample_rate(self) -> int:
        return self.spec.sample_rate

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return self._levelled(self.network.decode(self.network.encode(wav, self.used)))

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        checked = self._checked_codes(codes, self.network.quantizer.entries, least=1)
        return self._levelled(self.network.decode(checked))

    def _levelled(self, wav: Tensor) -> Tensor:
        """Upstream's last step before it writes a file, each item by its own peak."""
        if not self.options["rescale"]:
            return wav.clamp(-_LEVEL_LIMIT, _LEVEL_LIMIT)
        peak = wav.abs().amax(dim=1, keepdim=True)
        return wav * (_LEVEL_LIMIT / peak).clamp(max=1.0)


def _weights_file(folder: Path, spec: CodecSpec) -> Path:
    """The one weights file there, or the variant's, which upstream's pages and scripts spell in several ways."""
    (official,) = weights.official_files(spec.checkpoint, "*.pth")
    spellings = (official, official.replace("k_", "khz_"), official.capitalize())
    return find_file(folder, next((name for name in spellings if (folder / name).is_file()), official), only="*.pth")


def _load(path: Path) -> SeanetCodec:
    state = folded_state(tensor_state(read_tensors(path), path))
    codebooks = stack_codebooks(state, f"{_PARALLEL}quantizer.", path).shape
    settings = settings_of_encoder(state, f"{_PARALLEL}encoder.", path)
    with network_from(path):
        network = SeanetCodec(settings, codebooks)
    load_strict(nn.ModuleDict({"module": network}), state, path)
    return network
