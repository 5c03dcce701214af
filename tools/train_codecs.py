"""Trains the small checkpoints of the embedded edition; any class of ``tools/small_networks`` by the same loop.

    python -m tools.train_codecs encodec dac --speech /tmp/speech --state /tmp/state --out recipes/mini/weights

Two phases: the autoencoder alone, with noise on what will be quantized, then codebooks by k-means and everything
together, straight-through. Loss: relative distances of amplitudes, of their square roots and of complex spectra at
several resolutions, and log-mel bands. Weights begin where a signal comes through every layer; at the usual ones deep
narrow networks settle at silence and stay there. Interrupt it at any time: it goes on from the last saved step.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from librosa.filters import mel as mel_filters
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import codec_adapters
from codecfake_builder import audio
from tools.small_networks.base import SmallCodec
from tools.small_networks.codecs import FAMILIES

BATCH = 6
RATE = 1e-3
"""Learning rate at its highest."""
WARM_STEPS = 0.3
"""Share of the steps without quantizer."""
LATE = 0.7
"""Share of the steps that a training leaves out which begins with finished weights."""
FLOOR = 3e-5
MEL_FLOOR = 1e-4
"""Amplitudes below which nothing counts."""
SAVE_EVERY = 250


class OutOfPlace(TorchFunctionMode):
    """Turns in-place arithmetic, which the adapters use for speed, into arithmetic that gradients can pass."""

    _ARITHMETIC = ("add", "sub", "mul", "div", "sin", "cos", "exp", "log", "sqrt", "square", "tanh", "clamp", "addcmul")
    _METHODS = frozenset([*(f"{name}_" for name in _ARITHMETIC), "__iadd__", "__imul__"])

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("inplace"):
            kwargs["inplace"] = False
        name = getattr(func, "__name__", "")
        if name in self._METHODS:
            func = getattr(Tensor, name.strip("_").removeprefix("i") if name.startswith("__i") else name[:-1])
        return func(*args, **kwargs)


def clips_in(folders: Iterable[Path]) -> list[Path]:
    """Every audio file below some folders."""
    return sorted(path for folder in folders for path in audio.find_audio(folder))


def clip_at(path: Path, rate: int) -> np.ndarray:
    """A file's speech, float32 mono ``[samples]`` at a rate in Hz."""
    return audio.resample(*audio.decode(path.read_bytes()), rate)


class Speech:
    """Random segments of all audio files below some folders, at one rate."""

    def __init__(self, folders: list[Path], rate: int, seed: int) -> None:
        self.clips = [clip_at(path, rate) for path in clips_in(folders)]
        if not self.clips:
            raise SystemExit(f"{folders[0]}: no audio; make some: python tools/make_speech.py training {folders[0]}")
        self.random = np.random.default_rng(seed)

    def batch(self, samples: int, size: int = BATCH) -> Tensor:
        """``[size, samples]``, each at a level of its own."""
        rows = np.zeros((size, samples), dtype=np.float32)
        for row in rows:
            clip = self.clips[self.random.integers(len(self.clips))]
            start = self.random.integers(max(1, len(clip) - samples))
            piece = clip[start : start + samples]
            row[: len(piece)] = piece * self.random.uniform(0.5, 1.6)
        return torch.from_numpy(rows)


@cache
def _window(size: int) -> Tensor:
    return torch.hann_window(size)


@cache
def _mel(rate: int, size: int, bands: int) -> Tensor:
    return torch.from_numpy(mel_filters(sr=rate, n_fft=size, n_mels=bands, fmax=min(8000, rate / 2)))


def _spectra(wav: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Amplitudes, and the spectrum (real and imaginary part last)."""
    spectrum = torch.view_as_real(torch.stft(wav, size, size // 3, window=_window(size), return_complex=True))
    spectrum = spectrum * (2 / size)
    return (spectrum.square().sum(-1) + FLOOR**2).sqrt(), spectrum


def _relative(ours: Tensor, theirs: Tensor) -> Tensor:
    """Distance over norm of a batch: 0 is equal, 1 is what silence gets."""
    return (ours - theirs).norm() / theirs.norm()


def loss_of(output: Tensor, target: Tensor, rate: int) -> Tensor:
    """How far ``[batch, samples]`` is from another; loud parts lead, so that silence is no place to rest."""
    total = output.new_zeros(())
    for size, bands in ((240, 0), (600, 40), (1536, 80)):
        amplitudes, spectrum = _spectra(output, size)
        with torch.no_grad():
            wanted, wanted_spectrum = _spectra(target, size)
        total = total + _relative(amplitudes, wanted) + _relative(amplitudes.sqrt(), wanted.sqrt())
        total = total + 0.2 * _relative(spectrum, wanted_spectrum)
        if bands:
            mels = [(_mel(rate, size, bands) @ a + MEL_FLOOR).log() for a in (amplitudes, wanted)]
            total = total + 0.15 * (mels[0] - mels[1]).abs().mean()
    return total


class _UnitVariance:
    """Hooks that scale each layer's weights, as a batch passes, so that its output has deviation 1, and drop biases.

    Deep narrow stacks at their usual initial weights shrink a signal until only biases are left of it, and training
    does not find out of that. After Mishkin and Matas, "All you need is a good init", arXiv 1511.06422.
    """

    LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear)

    def __init__(self, network: nn.Module) -> None:
        self.last: nn.Module | None = None
        self.hooks = [m.register_forward_hook(self) for m in network.modules() if isinstance(m, self.LAYERS)]

    def __call__(self, layer: Any, inputs: Any, output: Tensor) -> Tensor:
        if layer.bias is not None:
            by_channel = output.ndim == 3 and not isinstance(layer, nn.Linear)
            output = output - (layer.bias[:, None] if by_channel else layer.bias)
            layer.bias.zero_()
        scale = 1.0 / output.std().clamp(min=1e-8)
        set_weight(layer, scale)
        self.last = layer
        return output * scale

    def remove(self) -> None:
        for hook in self.hooks:
            hook.remove()


def set_weight(layer: Any, scale: Tensor | float) -> None:
    """Scale a layer's weight, weight-normed or plain."""
    if nn.utils.parametrize.is_parametrized(layer, "weight"):
        layer.parametrizations.weight.original0.mul_(scale)
    else:
        layer.weight.mul_(scale)


def collapse(vectors: Tensor) -> Tensor:
    """How far the coordinates of ``[batch, dim, frames]`` are from a deviation of 1 and from telling different things.

    Without it a network that sits at silence learns nothing from its latents and lets them die. After Bardes et al.,
    "VICReg", arXiv 2105.04906.
    """
    flat = vectors.transpose(1, 2).flatten(0, 1)
    flat = flat - flat.mean(dim=0)
    covariance = flat.t() @ flat / len(flat)
    deviation = (covariance.diagonal() + 1e-6).sqrt()
    others = covariance - covariance.diagonal().diag()
    return (1 - deviation).relu().mean() + (deviation - 2).relu().mean() * 0.1 + 0.02 * others.square().mean()


class Trainer:
    """One family's training, resumable from ``state``."""

    def __init__(self, name: str, speech: list[Path], state: Path, steps: int) -> None:
        torch.manual_seed(1)
        self.name, self.steps = name, steps
        self.codec: SmallCodec = FAMILIES[name]()
        self.file = state / f"{name}.pt"
        parameters = [p for p in self.codec.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.8, 0.99), weight_decay=1e-3)
        self.step = 0
        unit = self.codec.hop * math.lcm(*(s for chain in self.codec.chains for s in chain.strides))
        self.samples = round(self.codec.seconds * self.codec.rate / unit) * unit
        self.speech = Speech(speech, self.codec.rate, seed=0)
        if not self.file.is_file():
            self.initialise()
        else:
            saved = torch.load(self.file, weights_only=True)
            self.codec.load_state_dict(saved["codec"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step = int(saved["step"])
            self.speech.random = np.random.default_rng(self.step)

    def restore(self, weights: Path) -> None:
        """Begin with finished weights and with new codebooks, late in the schedule, where the learning rate is low; a
        training that has begun goes on."""
        if not self.file.is_file():
            self.codec.restore(weights / self.codec.variant)
            self.make_codebooks()
            self.step = int(LATE * self.steps)

    @property
    def warm(self) -> int:
        return int(WARM_STEPS * self.steps)

    def run(self, until: float) -> bool:
        """Train until done or until a time (``time.monotonic``); whether it is done."""
        losses: list[float] = []
        began = time.monotonic()
        while self.step < self.steps:
            losses.append(self.train_step())
            if self.step % 100 == 0:
                speed = len(losses) / (time.monotonic() - began)
                print(
                    f"{self.name} {self.step}/{self.steps} loss {np.mean(losses):.4f} {speed:.1f} steps/s", flush=True
                )
                losses, began = [], time.monotonic()
            if self.step % SAVE_EVERY == 0 or self.step == self.steps:
                self.save()
                if time.monotonic() > until:
                    break
        return self.step >= self.steps

    def save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        torch.save(
            {"codec": self.codec.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}, part
        )
        part.replace(self.file)

    def train_step(self) -> float:
        if self.step == self.warm:
            self.make_codebooks()
        progress = self.step / self.steps
        scale = min(1.0, (self.step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * scale
        wav = self.speech.batch(self.samples)
        with OutOfPlace():
            vectors = self.codec.vectors(wav)
            if self.step < self.warm:
                spread = vectors.detach().std(dim=(0, 2), keepdim=True)
                quantized, commitment = (
                    vectors + 0.1 * spread * torch.randn_like(vectors),
                    vectors.new_zeros(()),
                )
            else:
                quantized, commitment = self.codec.quantizer(vectors)
            output = self.codec.synthesis(quantized, wav)
            delay = self.codec.delay
            length = min(output.shape[1] - delay, wav.shape[1])
            loss = loss_of(output[:, delay : delay + length], wav[:, :length], self.codec.rate)
            (loss + 0.1 * commitment + collapse(vectors)).backward()
        nn.utils.clip_grad_norm_([p for p in self.codec.parameters() if p.grad is not None], 2.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def initialise(self) -> None:
        """Weights at which a signal comes through: unit variance behind every layer, the output at speech level."""
        wav = self.speech.batch(self.samples)
        hooks = _UnitVariance(self.codec)
        output = self.codec.synthesis(self.codec.vectors(wav), wav)
        hooks.remove()
        level = float(wav.std() / output.std())
        if hooks.last is not None and not isinstance(hooks.last, nn.Linear):  # a linear head gives log-magnitudes
            set_weight(hooks.last, level)
        print(f"{self.name} initial level of the output {level:.3g}", flush=True)

    @torch.no_grad()
    def make_codebooks(self) -> None:
        with OutOfPlace():
            frames = [self.codec.vectors(self.speech.batch(self.samples)) for _ in range(40)]
        vectors = torch.cat(frames)
        print(f"{self.name} vectors' deviation {float(vectors.std()):.3f}", flush=True)
        self.codec.quantizer.initialise(vectors)

    @torch.no_grad()
    def export(self, out: Path) -> Path:
        """The checkpoint in the official format, below ``out``."""
        folder = out / self.codec.variant
        folder.mkdir(parents=True, exist_ok=True)
        self.codec.export(folder)
        return folder


def intelligibility(variant: str, checkpoint: Path, clips: list[Path]) -> list[float]:
    """STOI of each clip's way through the adapter against the clip."""
    from pystoi import stoi

    adapter = codec_adapters.load(variant, checkpoint=checkpoint)
    scores = []
    for path in clips:
        wave = clip_at(path, adapter.sample_rate)
        wave = np.pad(wave, (0, -len(wave) % adapter.length_multiple + adapter.spec.delay_samples))
        output = adapter.resynthesize(torch.from_numpy(wave)[None])[0].numpy()[adapter.spec.delay_samples :]
        length = min(len(output), len(wave))
        scores.append(float(stoi(wave[:length], output[:length], adapter.sample_rate)))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="+", choices=sorted(FAMILIES))
    parser.add_argument("--speech", type=Path, nargs="+", required=True, help="folders of training speech")
    parser.add_argument("--state", type=Path, required=True, help="where training is kept between runs")
    parser.add_argument("--out", type=Path, required=True, help="where checkpoints go")
    parser.add_argument("--start", type=Path, help="folder of finished checkpoints to train on (dac, snac)")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop each family after so many minutes")
    parser.add_argument("--test", type=Path, help="folder of clips to measure STOI on afterwards")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.families:
        trainer = Trainer(name, arguments.speech, arguments.state, arguments.steps)
        if arguments.start:
            trainer.restore(arguments.start)
        trainer.run(time.monotonic() + 60 * arguments.minutes)
        if trainer.step > trainer.warm:
            folder = trainer.export(arguments.out)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            print(f"{name}: {folder} ({size / 1e6:.2f} MB)", flush=True)
            if arguments.test:
                clips = sorted(arguments.test.rglob("*.flac"))[::4]
                scores = intelligibility(trainer.codec.variant, folder, clips)
                print(f"{name}: STOI median {np.median(scores):.3f}, lowest {min(scores):.3f}", flush=True)


if __name__ == "__main__":
    main()
