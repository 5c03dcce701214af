"""Trains the small checkpoints of the embedded edition; any class of ``tools/small_codecs.py`` by the same loop.

    python -m tools.train_codecs encodec dac --speech /tmp/speech --state /tmp/state --out recipes/mini/weights

Two phases: the autoencoder alone, with noise on what will be quantized, then codebooks by k-means and everything
together, straight-through. Loss: amplitudes and complex spectra at several resolutions, both compressed to
the fourth root, and log-mel bands; the complex term keeps a network from settling at silence. Interrupt it at any time: it goes on from the
last saved step. One process per family on one thread is the fastest use of a small machine.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import cache
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import codec_adapters
from tools.small_codecs import FAMILIES, SmallCodec

BATCH = 6
RATE = 1.5e-3
"""Learning rate at its highest."""
WARM_STEPS = 0.3
"""Share of the steps without quantizer."""
FLOOR = 1e-4
"""Amplitude below which nothing counts."""
SAVE_EVERY = 250


class OutOfPlace(TorchFunctionMode):
    """Turns in-place arithmetic, which the adapters use for speed, into arithmetic that gradients can pass."""

    _METHODS = frozenset(
        "add_ sub_ mul_ div_ sin_ cos_ exp_ log_ sqrt_ square_ tanh_ clamp_ addcmul_ relu_ __iadd__ __imul__".split()
    )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("inplace"):
            kwargs["inplace"] = False
        name = getattr(func, "__name__", "")
        if name in self._METHODS:
            func = getattr(Tensor, name.strip("_").removeprefix("i") if name.startswith("__i") else name[:-1])
        return func(*args, **kwargs)


class Speech:
    """Random segments of all audio files below some folders, at one rate."""

    def __init__(self, folders: list[Path], rate: int, seed: int) -> None:
        self.clips: list[np.ndarray] = []
        for path in sorted(p for folder in folders for p in folder.rglob("*") if p.suffix in (".flac", ".wav")):
            wave, own = soundfile.read(path, dtype="float32", always_2d=True)
            self.clips.append(soxr.resample(wave.mean(axis=1), own, rate))
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
    return torch.from_numpy(librosa.filters.mel(sr=rate, n_fft=size, n_mels=bands, fmax=min(8000, rate / 2)))


def _spectra(wav: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Amplitudes, compressed amplitudes and the compressed spectrum (real and imaginary part last)."""
    spectrum = torch.stft(wav, size, size // 3, window=_window(size), return_complex=True)
    parts = torch.view_as_real(spectrum) * (2 / size)
    amplitudes = (parts.square().sum(-1) + FLOOR**2).sqrt()
    compressed = amplitudes.sqrt().sqrt()
    return amplitudes, compressed, parts * (compressed / amplitudes)[..., None]


def loss_of(output: Tensor, target: Tensor, rate: int) -> Tensor:
    """How far ``[batch, samples]`` is from another."""
    total = output.new_zeros(())
    for size, bands in ((240, 0), (600, 40), (1536, 80)):
        ours = _spectra(output, size)
        with torch.no_grad():
            theirs = _spectra(target, size)
        total = total + (ours[1] - theirs[1]).abs().mean() + 0.15 * (ours[2] - theirs[2]).abs().mean()
        if bands:
            mels = [(_mel(rate, size, bands) @ s[0]).clamp(min=FLOOR / 4).log() for s in (ours, theirs)]
            total = total + 0.06 * (mels[0] - mels[1]).abs().mean()
    return total


class Trainer:
    """One family's training, resumable from ``state``."""

    def __init__(self, name: str, speech: list[Path], state: Path, steps: int) -> None:
        torch.manual_seed(1)
        self.name, self.steps = name, steps
        self.codec: SmallCodec = FAMILIES[name]()
        self.file = state / f"{name}.pt"
        parameters = [p for p in self.codec.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.8, 0.98), weight_decay=1e-3)
        self.step = 0
        if self.file.is_file():
            saved = torch.load(self.file, weights_only=True)
            self.codec.load_state_dict(saved["codec"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step = int(saved["step"])
        self.speech = Speech(speech, self.codec.rate, seed=self.step)
        unit = self.codec.hop * math.lcm(*(s for chain in self.codec.chains for s in chain.strides))
        self.samples = round(self.codec.seconds * self.codec.rate / unit) * unit

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
                print(f"{self.name} {self.step}/{self.steps} loss {np.mean(losses):.4f} {speed:.1f} steps/s", flush=True)
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
                quantized, commitment = vectors + 0.1 * spread * torch.randn_like(vectors), vectors.square().mean() * 1e-3
            else:
                quantized, commitment = self.codec.quantizer(vectors)
            output = self.codec.synthesis(quantized, wav)
            delay = self.codec.delay
            length = min(output.shape[1] - delay, wav.shape[1])
            loss = loss_of(output[:, delay : delay + length], wav[:, :length], self.codec.rate)
            (loss + 0.1 * commitment).backward()
        nn.utils.clip_grad_norm_([p for p in self.codec.parameters() if p.grad is not None], 2.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def make_codebooks(self) -> None:
        frames = []
        with OutOfPlace():
            for _ in range(40):
                frames.append(self.codec.vectors(self.speech.batch(self.samples)))
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
        wave, own = soundfile.read(path, dtype="float32")
        wave = soxr.resample(wave, own, adapter.sample_rate)
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
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop each family after so many minutes")
    parser.add_argument("--test", type=Path, help="folder of clips to measure STOI on afterwards")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.families:
        trainer = Trainer(name, arguments.speech, arguments.state, arguments.steps)
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
