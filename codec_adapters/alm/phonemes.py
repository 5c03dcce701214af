"""Phonemes of English text, made by the program espeak-ng, in the form that Amphion's VALL-E was trained on.

espeak-ng (GPL-3) is called as a separate program. It is not needed if the texts are phonemes already.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from codec_adapters.errors import CheckpointError, CodecError, InputError

_MARKS = re.compile(r"(\s*[;:,.!?¡¿—…\"«»“”(){}\[\]]+\s*)+")
"""Punctuation with the space around it. It is kept; only the text between goes through espeak-ng."""
_STRESS = re.compile(r"[ˈˌ'-]+")
"""Stress marks, apostrophes and hyphens, which are removed."""
WORD, PHONE = "_", "|"
"""Separators of words, and of the phonemes of a word."""
SECONDS = 60
"""Time limit of the program for one piece of text, s."""


def phonemes(text: str, voice: str = "en-us") -> list[str]:
    """Return the phonemes and punctuation of a text, with ``_`` between words.

    Args:
        voice: espeak-ng's name of a language.

    Raises:
        CodecError: espeak-ng is not installed, or fails.
        InputError: the text has no phonemes.
    """
    pieces: list[str] = []
    done = 0
    for marks in [*_MARKS.finditer(text.strip()), None]:
        spoken = text.strip()[done : marks.start() if marks else None]
        pieces.append(WORD.join(_words(spoken, voice)))
        if marks:
            pieces.append(re.sub(r"\s", WORD, marks.group()))
            done = marks.end()
    found: list[str] = []
    for word in "".join(pieces).split(WORD):
        found += [WORD, *(field for field in re.findall(r"\w+|[^\w\s]", word) if field != PHONE)]
    if set(found) == {WORD}:
        raise InputError(f"no phonemes come of the text {text[:40]!r}")
    return found[1:]


def _words(text: str, voice: str) -> list[str]:
    """Return the words of a text without punctuation, each with ``|`` between its phonemes."""
    if not text.strip():
        return []
    words = [re.sub("_+", "_", _STRESS.sub("", word)).strip("_") for word in _espeak(text, voice).split()]
    return [word.replace("_", PHONE) for word in words if word]


def require_espeak() -> str:
    """Return the path of espeak-ng.

    Raises:
        CodecError: it is not installed.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        raise CodecError(
            "espeak-ng is not installed: install it (e.g. apt-get install espeak-ng), or give phonemes as texts and "
            "set the option text_is_phonemes"
        )
    return program


def _espeak(text: str, voice: str) -> str:
    """Return what espeak-ng prints for a text: words of IPA phonemes separated by ``_``."""
    program = require_espeak()
    try:
        run = subprocess.run(  # noqa: S603 - a fixed program; the text goes in through standard input
            [program, "-q", "-b", "1", "--ipa", "--sep=_", "-v", voice, "--stdin"],
            input=text,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeError) as error:
        raise CodecError(f"espeak-ng failed on {text[:40]!r}: {error}") from error
    return run.stdout


class PhoneTable:
    """Table of the ids of phonemes: ``<pad>``, ``<bos>``, ``<eos>``, then the sorted symbols of ``symbols.dict``."""

    def __init__(self, path: Path) -> None:
        """Read a file with lines ``symbol id``. The ids in it are not used: ids follow the sorted order.

        Raises:
            CheckpointError: the file cannot be read, or has a line of another form.
        """
        symbols = {"<eps>"}
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path}: cannot be read ({error})") from error
        for number, line in enumerate(lines, start=1):
            fields = line.split()
            if len(fields) not in (0, 2):
                raise CheckpointError(f"{path}: line {number}: expected a symbol and its id, found {line[:40]!r}")
            symbols.update(fields[:1])
        self.path = path
        self.ids = {symbol: number for number, symbol in enumerate(["<pad>", "<bos>", "<eos>", *sorted(symbols)])}

    def sequence(self, phones: list[str]) -> list[int]:
        """Return the ids of phonemes, between those of begin and end.

        Raises:
            InputError: phonemes are not in the table; the message names them.
        """
        unknown = sorted({phone for phone in phones if phone not in self.ids})
        if unknown:
            raise InputError(f"the model knows no phoneme {', '.join(unknown[:5])} ({self.path.name})")
        return [self.ids["<bos>"], *(self.ids[phone] for phone in phones), self.ids["<eos>"]]
