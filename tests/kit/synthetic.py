"""Small corpora in the official layouts, filled with synthetic voiced sound."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

REPOSITORY = Path(__file__).parents[2]


def voice(seconds: float, rate: int, seed: int) -> np.ndarray:
    """Something like a vowel: gliding harmonics with a slow envelope, peak 0.5, float32 ``[samples]``."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = generator.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * generator.uniform(0.5, 2) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 12))
    envelope = 0.6 + 0.4 * np.sin(2 * np.pi * generator.uniform(2, 4) * time)
    wave = harmonics * envelope + 0.01 * generator.standard_normal(len(time))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def write_wave(path: Path, seconds: float, rate: int, seed: int) -> Path:
    """A voiced clip as 16-bit audio; the suffix decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice(seconds, rate, seed), rate, subtype="PCM_16")
    return path


def make_vctk(root: Path, speakers: Iterable[str] = ("p225", "p226", "p227"), utterances: int = 4) -> Path:
    """VCTK 0.92: both microphones, transcripts, 48 kHz FLAC."""
    for number, speaker in enumerate(speakers):
        for item in range(1, utterances + 1):
            name = f"{speaker}_{item:03d}"
            for mic in ("mic1", "mic2"):
                seconds = 0.5 + 0.13 * item
                path = root / "wav48_silence_trimmed" / speaker / f"{name}_{mic}.flac"
                write_wave(path, seconds, 48000, 100 * number + item)
            text = root / "txt" / speaker / f"{name}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(f"Sentence {item} of {speaker}.\n", encoding="utf-8")
    return root


def make_aishell3(root: Path, speakers: Iterable[str] = ("SSB0005", "SSB0009"), utterances: int = 4) -> Path:
    """AISHELL-3: train and test folders, content.txt with pinyin, 44.1 kHz WAV."""
    for number, speaker in enumerate(speakers):
        part = root / ("train" if number % 2 == 0 else "test")
        lines = []
        for item in range(1, utterances + 1):
            name = f"{speaker}{item:04d}.wav"
            write_wave(part / "wav" / speaker / name, 0.55 + 0.11 * item, 44100, 1000 + 100 * number + item)
            lines.append(f"{name}\t你 ni3 好 hao3\n")
        with (part / "content.txt").open("a", encoding="utf-8") as stream:
            stream.writelines(lines)
    return root


def make_asvspoof2019la(root: Path, bonafide: int = 3, spoof: int = 4) -> Path:
    """ASVspoof 2019 LA, evaluation part: the protocol names one file that is absent, one file is on no line."""
    flac = root / "LA" / "ASVspoof2019_LA_eval" / "flac"
    lines = []
    for item in range(bonafide + spoof):
        name = f"LA_E_{1000000 + item}"
        write_wave(flac / f"{name}.flac", 0.5 + 0.07 * item, 16000, 3000 + item)
        fake = item >= bonafide
        lines.append(f"LA_00{item:02d} {name} - {f'A{7 + item % 2:02d} spoof' if fake else '- bonafide'}\n")
    lines.append("LA_0099 LA_E_9999999 - A19 spoof\n")
    write_wave(flac / "LA_E_8888888.flac", 0.5, 16000, 3999)
    protocol = root / "LA" / "ASVspoof2019_LA_cm_protocols" / "ASVspoof2019.LA.cm.eval.trl.txt"
    protocol.parent.mkdir(parents=True)
    protocol.write_text("".join(lines), encoding="utf-8")
    return root


def make_in_the_wild(root: Path, bonafide: int = 3, spoof: int = 3) -> Path:
    """In-the-Wild: meta.csv with one absent file, and one file on no line."""
    folder = root / "release_in_the_wild"
    lines = ["file,speaker,label\n"]
    for item in range(bonafide + spoof):
        write_wave(folder / f"{item}.wav", 0.5 + 0.05 * item, 16000, 4000 + item)
        lines.append(f"{item}.wav,Some Body {item % 2},{'bona-fide' if item < bonafide else 'spoof'}\n")
    lines.append("777.wav,Some Body 0,bona-fide\n")
    write_wave(folder / "888.wav", 0.5, 16000, 4999)
    (folder / "meta.csv").write_text("".join(lines), encoding="utf-8")
    return root


def make_ncssd(root: Path, each: int = 2) -> Path:
    """NCSSD's recorded dialogues: the first published utterances of both languages."""
    published = (REPOSITORY / "manifests" / "ncssd_utterances.txt").read_text(encoding="utf-8").split()
    for first, language in ((5000, "R-EN"), (5500, "R-ZH")):
        names = [name for name in published if name.startswith(language)][:each]
        for item, name in enumerate(names):
            write_wave(root / language / f"{name}.wav", 0.5 + 0.06 * item, 16000, first + item)
    return root
