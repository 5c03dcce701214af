"""Makes synthesized speech with espeak-ng: the clips of the embedded edition, or material to train its codecs on.

    python tools/make_speech.py edition recipes/mini            # the 64 clips that the repository carries
    python tools/make_speech.py training /tmp/speech --clips 800

espeak-ng (GPL-3.0, a program that is called, not a part of this project) must be installed; what it speaks is the
user's own. Both kinds: 24 kHz mono FLAC, 16 bit, as a recording of that speech in a room would be (tools/recording.py).
Training material never shares a sentence, a voice or a room with the edition's clips. The same command makes the same
bytes with the same releases of espeak-ng, numpy and libsndfile.
"""

from __future__ import annotations

import argparse
import csv
import random
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import yaml
from librosa import griffinlim
from librosa.feature import melspectrogram
from librosa.feature.inverse import mel_to_stft

from tools.recording import RATE, Session

EDITION_SEED, TRAINING_SEED = 1, 2
"""Of the rooms, noises and levels, with the speaker and the number of the clip, and of the vocoder's phases."""
LANGUAGES = {"en": ("en-us", "en-gb", "en-gb-scotland"), "zh": ("cmn-latn-pinyin",)}
"""espeak-ng's voices per language; the pinyin voice reads Chinese characters too."""
WORDS = Path(__file__).parent / "training_words.yaml"
SENTENCES = Path(__file__).parent.parent / "recipes" / "mini" / "sentences.yaml"


@dataclass(frozen=True)
class Voice:
    """A speaker: an espeak-ng variant at a pitch and a rate."""

    name: str
    variant: str
    pitch: int
    """0 to 99."""
    words_per_minute: int


EDITION: dict[str, dict[str, list[Voice]]] = {
    "recorded": {
        "en": [
            Voice("e01", "f1", 55, 188),
            Voice("e02", "m1", 35, 198),
            Voice("e03", "f2", 70, 173),
            Voice("e04", "m3", 45, 208),
            Voice("e05", "Andrea", 60, 193),
            Voice("e06", "m5", 25, 183),
        ],
        "zh": [
            Voice("z01", "f1", 60, 193),
            Voice("z02", "m2", 40, 203),
            Voice("z03", "f3", 50, 183),
            Voice("z04", "m4", 30, 198),
            Voice("z05", "Annie", 65, 188),
            Voice("z06", "m6", 50, 208),
        ],
    },
    "other": {
        "en": [Voice("oe1", "klatt2", 40, 188), Voice("oe2", "f5", 50, 198)],
        "zh": [Voice("oz1", "klatt3", 55, 188), Voice("oz2", "m8", 35, 193)],
    },
}
"""Corpus, language, speakers. ``other`` stands in for a second source: another kind of synthesis, new voices."""
TRAINING_VARIANTS = ("Alicia", "adam", "ed", "f4", "linda", "m7", "max", "michael", "steph", "victor", "klatt4", "paul")


def training_sentence(language: str, words: Any, rng: random.Random) -> str:
    """A random sentence; grammar of a kind, meaning none."""
    if language == "zh":
        return "".join(rng.choice(part) for part in words["zh"]) + "。"
    nouns, verbs, adjectives, places = (words["en"][kind] for kind in ("nouns", "verbs", "adjectives", "places"))
    subject, thing = f"{rng.choice(adjectives)} {rng.choice(nouns)}", rng.choice(nouns)
    return f"The {subject} {rng.choice(verbs)} a {rng.choice(adjectives)} {thing} {rng.choice(places)}."


def spoken(text: str, language_voice: str, voice: Voice) -> np.ndarray:
    """``text`` as espeak-ng speaks it, float32 ``[samples]`` at 24 kHz.

    Raises:
        SystemExit: espeak-ng is missing or refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "speech.wav"
        options = ["-p", str(voice.pitch), "-s", str(voice.words_per_minute), "-w", str(path)]
        try:
            subprocess.run(  # noqa: S603
                ["espeak-ng", "-v", f"{language_voice}+{voice.variant}", *options, text],  # noqa: S607
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"espeak-ng: {error}; install it (Debian: apt install espeak-ng)") from error
        wave, rate = soundfile.read(path, dtype="float32")
    return np.asarray(soxr.resample(wave, rate, RATE, quality="VHQ"))


def make_edition(folder: Path) -> None:
    """The edition's clips below ``folder``: ``<corpus>/<speaker>_<number>.flac``, and a table per corpus."""
    sentences = {language: iter(texts) for language, texts in yaml.safe_load(SENTENCES.read_text("utf-8")).items()}
    for corpus, languages in EDITION.items():
        (folder / corpus).mkdir(parents=True, exist_ok=True)
        rows: list[tuple[str, ...]] = []
        for language, voices in languages.items():
            accents = LANGUAGES[language]
            for place, voice in enumerate(voices):
                session = Session(EDITION_SEED, *voice.name.encode())
                for number in range(1, 5):
                    text = next(sentences[language])
                    name = f"{voice.name}_{number}"
                    wave = session.record(spoken(text, accents[place % len(accents)], voice), number)
                    write(folder / corpus / f"{name}.flac", wave, RATE)
                    rows.append((f"{name}.flac", name, voice.name, language, text))
        with (folder / f"{corpus}.csv").open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(("path", "utterance_id", "speaker", "language", "text"))
            table.writerows(rows)


def write(path: Path, wave: np.ndarray, rate: int) -> None:
    """A clip as FLAC, 16 bit, as small as it gets."""
    soundfile.write(path, wave, rate, subtype="PCM_16", compression_level=1.0)


def vocoded(wave: np.ndarray) -> np.ndarray:
    """``wave`` from its mel spectrogram again, phases by Griffin and Lim's algorithm: a fake that no codec made.

    Level and offset are those of ``wave``.
    """
    mel = melspectrogram(y=wave, sr=RATE, n_fft=1024, hop_length=256, n_mels=80)
    amplitudes = mel_to_stft(mel, sr=RATE, n_fft=1024)
    made = griffinlim(amplitudes, hop_length=256, n_iter=32, length=len(wave), random_state=EDITION_SEED)
    return ((made - made.mean()) * (wave.std() / made.std()) + wave.mean()).astype(np.float32)


def make_vocoded(folder: Path, source: str = "other", every: int = 2) -> None:
    """Every second clip of a corpus of the edition through a vocoder, and their table; comes after the clips."""
    (folder / "vocoded").mkdir(exist_ok=True)
    with (folder / f"{source}.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))[::every]
    for row in rows:
        wave, _ = soundfile.read(folder / source / row["path"], dtype="float32")
        made = soxr.resample(vocoded(wave), RATE, 16000, quality="VHQ")
        write(folder / "vocoded" / row["path"], made, 16000)
    with (folder / "vocoded.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, [*rows[0], "codec"], lineterminator="\n")
        table.writeheader()
        table.writerows({**row, "codec": "vocoder"} for row in rows)


def training_clips(clips: int, seed: int) -> Iterator[tuple[str, str, str, Voice]]:
    """Name, text, espeak-ng voice and speaker of each training clip."""
    rng = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
    words = yaml.safe_load(WORDS.read_text("utf-8"))
    for number in range(clips):
        language = "zh" if number % 2 else "en"
        voice = Voice("", rng.choice(TRAINING_VARIANTS), rng.randint(15, 85), rng.randint(140, 200))
        yield (
            f"{number:05d}_{language}",
            training_sentence(language, words, rng),
            rng.choice(LANGUAGES[language]),
            voice,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("edition", "training"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=800, help="training clips to make")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.what == "edition":
        make_edition(arguments.folder)
        make_vocoded(arguments.folder)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for number, (name, text, accent, voice) in enumerate(training_clips(arguments.clips, arguments.seed)):
        path = arguments.folder / f"{name}.flac"
        if not path.is_file():
            wave = Session(TRAINING_SEED, number).record(spoken(text, accent, voice), 1)
            write(path, wave, RATE)


if __name__ == "__main__":
    main()
