"""Adapter of backend ``transformers``: any audio codec class, which the ``model_type`` of a config names.

EnCodec, DAC and Mimi run through the adapters of the built-in variants. The others share one adapter: the signature of
a class's ``encode`` tells what the class takes, the names of its outputs what it returns.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.errors import CheckpointError, InputError, OptionError
from codec_adapters.external.adapters.functions import ExternalAdapter, seeded
from codec_adapters.external.adapters.speech_features import log_mel, paired
from codec_adapters.external.adapters.transformers_config import entries_of, figures_of, model_class
from codec_adapters.families.dac import DacAdapter
from codec_adapters.families.encodec import EncodecAdapter
from codec_adapters.families.mimi import MimiAdapter
from codec_adapters.families.pretrained import load_pretrained
from codec_adapters.files.config import read_json, required_file
from codec_adapters.layers.sinc_resample import resample
from codec_adapters.spec import CodecSpec, OptionValue

OWN_ADAPTERS: Mapping[str, type[Adapter]] = {"encodec": EncodecAdapter, "dac": DacAdapter, "mimi": MimiAdapter}
"""Adapters of built-in variants, by the ``model_type`` that they run."""


def make_adapter(setup: Setup, folder: Path, pinned: frozenset[str]) -> Adapter:
    """Make the adapter of a ``transformers`` codec.

    Args:
        folder: holds config and weights.
        pinned: names of the pinned files.

    Raises:
        CheckpointError: no codec of transformers, files that are not pinned, weights that do not fit, or facts that
            contradict the config.
    """
    _refuse_unpinned(folder, pinned)
    kind = read_json(required_file(folder, "config.json")).get("model_type")
    if kind in OWN_ADAPTERS:
        options = _own_options(str(kind), setup)
        spec = dataclasses.replace(setup.spec, options=options)
        setup = dataclasses.replace(setup, spec=spec, options={**options, **setup.options}, checkpoint=folder)
        made: Adapter = OWN_ADAPTERS[str(kind)](setup)
    else:
        made = TransformersAdapter(setup, folder)
    default_options = dict(setup.options) == dict(setup.spec.options)
    _refuse_wrong_facts(setup.spec, made, _FACTS if default_options else _FACTS[:2])
    return made


def _refuse_unpinned(folder: Path, pinned: frozenset[str]) -> None:
    """Raise :class:`CheckpointError` for a file that transformers may read by its name, but that is not pinned."""
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors", ".bin") and path.name not in (*pinned, "hashes.json"):
            raise CheckpointError(f"{path}: is not listed in the codec file; list it or take it away")
    if "model.safetensors" not in pinned and "model.safetensors.index.json" in pinned:
        parts = read_json(folder / "model.safetensors.index.json").get("weight_map")
        unpinned = sorted(set(map(str, parts.values() if isinstance(parts, dict) else ())) - pinned)
        if unpinned:
            raise CheckpointError(f"{folder}: the index names {unpinned[0]}, which the codec file does not list")


def _own_options(kind: str, setup: Setup) -> dict[str, OptionValue]:
    """Return the options of a built-in adapter: the codec file's, and from the facts what these leave out."""
    if kind == "encodec":
        return {"bandwidth": setup.spec.bitrate / 1000, **setup.spec.options}
    return {"codebooks": setup.spec.codebooks, **setup.spec.options}


_FACTS = ("sample_rate", "hop", "codebooks", "bitrate")
"""Compared with the config; the first two hold with any options, the others with the default ones."""


def _refuse_wrong_facts(spec: CodecSpec, made: Adapter, facts: Sequence[str]) -> None:
    """Raise :class:`CheckpointError` for a fact that the loaded codec contradicts; 1 % is allowed for the bit rate."""
    for fact in facts:
        stated, found = getattr(spec, fact), getattr(made, fact)
        if not math.isclose(stated, found, rel_tol=0.01 if fact == "bitrate" else 0):
            raise CheckpointError(f"{spec.name}: codec.{fact} is {stated:g} in its codec file, {found:g} in its config")


class TransformersAdapter(ExternalAdapter):
    """A codec class of ``transformers`` that no built-in variant uses.

    Options, where the codec file has them: ``bandwidth`` (kbit/s, for classes that take one), ``sample`` (true adds the
    noise that a variational codec was trained with; off without the option). The model runs on one item at a time on
    the CPU, since matrix products round by the shape of the whole batch, and on every device where noise is added.
    """

    def __init__(self, setup: Setup, folder: Path) -> None:
        super().__init__(setup)
        self.model = load_pretrained(model_class(folder), folder).to(setup.device)
        self.config = self.model.config
        self._takes = frozenset(inspect.signature(self.model.encode).parameters)
        self._sample = bool(setup.options.get("sample", False))
        figures = figures_of(self.config, folder, self._bandwidth())
        self._rate = int(figures.get("sample_rate", setup.spec.sample_rate))
        self._input_rate = int(getattr(self.config, "input_sampling_rate", self._rate))
        self._hop = int(figures.get("hop", setup.spec.hop))
        self._codebooks = int(figures.get("codebooks", setup.spec.codebooks))
        self._bitrate = float(figures.get("bitrate", setup.spec.bitrate))
        self._entries = entries_of(self.config)
        unknown = sorted(set(setup.options) - ({"sample", "bandwidth"} & self._takes))
        if unknown:
            raise OptionError(f"{setup.spec.name}: {type(self.model).__name__} has no option {unknown[0]!r}")

    @property
    def sample_rate(self) -> int:
        return self._rate

    @property
    def hop(self) -> int:
        return self._hop

    @property
    def codebooks(self) -> int:
        return self._codebooks

    @property
    def bitrate(self) -> float:
        return self._bitrate

    def _bandwidth(self) -> float | None:
        """Return the bandwidth in kbit/s, one of the config's; by default the nearest to the spec's bit rate.

        ``None`` for classes that take no bandwidth.

        Raises:
            OptionError: the option is none of the config's bandwidths.
        """
        if "bandwidth" not in self._takes:
            return None
        known = [float(value) for value in self.config.target_bandwidths]
        wanted = self.options.get("bandwidth")
        if wanted is None:
            wanted = min(known, key=lambda value: abs(value - self.spec.bitrate / 1000))
        if float(wanted) not in known:
            raise OptionError(f"{self.spec.name}: bandwidth {wanted} is not one of this checkpoint's: {known}")
        return float(wanted)

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        alone = self.device.type == "cpu" or self._sample
        parts = zip(wav.split(1), seeds, strict=True) if alone else [(wav, 0)]
        return torch.cat([self._part(part, seed) for part, seed in parts])

    def _part(self, wav: Tensor, seed: int) -> Tensor:
        if self._sample:
            with seeded(seed, self.device):
                given = self._encoded(wav)
        else:
            given = self._encoded(wav)
        codes = given.get("audio_codes")
        made = self.model.decode(given["latents"] if codes is None else codes)
        return _audio(made)[:, : wav.shape[1]]

    def _code_form(self) -> CodeForm | None:
        return CodeForm([Scale([self._entries] * self.codebooks)]) if self._entries else None

    def _encode(self, wav: Tensor) -> Codes:
        parts = wav.split(1) if self.device.type == "cpu" else (wav,)
        found = [self._encoded(part).get("audio_codes") for part in parts]
        known = [codes for codes in found if codes is not None]
        if not known:
            raise InputError(f"{self.spec.name}: has continuous latents, no codes; only resynthesize")
        return Codes([torch.cat(known).to(torch.int64)])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        if self._entries is None:
            raise InputError(f"{self.spec.name}: has continuous latents, takes no codes; only resynthesize")
        parts = codes[0].split(1) if self.device.type == "cpu" else codes
        return torch.cat([_audio(self.model.decode(part)) for part in parts])

    def _encoded(self, wav: Tensor) -> dict[str, Any]:
        """Return the outputs of the model's ``encode`` for float32 ``[batch, samples]``.

        Its inputs are prepared as the class's own tools prepare them.
        """
        if self._input_rate != self._rate:
            wav = resample(wav, self._rate, self._input_rate)
        step = self._hop * self._input_rate // self._rate
        given: dict[str, Any] = {}
        if "input_features" in self._takes:
            wav = pad(wav, (0, 1))  # as the feature extractors of these classes do
            whole = pad(wav, (0, -wav.shape[1] % step))
            margin = step // 2 if self._input_rate == self._rate else 0
            pairs = [paired(log_mel(pad(item, (margin, margin)))) for item in whole]
            given["input_features"] = torch.stack([features for features, _ in pairs]).to(self.device)
            given["input_features_mask"] = torch.stack([mask for _, mask in pairs]).to(self.device)
        whole = pad(wav, (0, -wav.shape[1] % step))
        if "sample" in self._takes:
            given["sample"] = self._sample
        if (bandwidth := self._bandwidth()) is not None:
            given["bandwidth"] = bandwidth
        made = self.model.encode(whole[:, None], **given)
        return {name: getattr(made, name, None) for name in ("audio_codes", "latents")}


def _audio(made: Any) -> Tensor:
    """Return the waveform of a model's output, float32 ``[batch, samples]``."""
    audio = getattr(made, "audio_values", None)
    audio = made.audio if audio is None else audio
    return audio[:, 0] if audio.ndim == 3 else audio
