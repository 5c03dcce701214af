"""English text as phonemes, through the program espeak-ng, in the form that Amphion's VALL-E was trained on.

espeak-ng (GPL-3) is a program of its own that is only called; nothing here needs it where phonemes are given.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from codec_adapters.errors import CheckpointError, CodecError, InputError

_MARKS = re.compile(r"(\s*[;:,.!?¡¿—…\"«»“”(){}\[\]]+\s*)+")
"""Punctuation with the space around it, which stays as it is while the text between goes through espeak-ng."""
_STRESS = re.compile(r"[ˈˌ'-]+")
WORD, PHONE = "_", "|"
"""What stands between words, and between the phonemes of a word."""
SECONDS = 60
"""How long the program may take for a piece of text."""


def phonemes(text: str, voice: str = "en-us") -> list[str]:
    """Phonemes, punctuation, and ``_`` between words.

    Raises:
        CodecError: espeak-ng is not installed, or fails.
        InputError: nothing is left of the text.
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
    """Words of a piece without punctuation, phonemes separated by ``|``."""
    if not text.strip():
        return []
    words = [re.sub("_+", "_", _STRESS.sub("", word)).strip("_") for word in _espeak(text, voice).split()]
    return [word.replace("_", PHONE) for word in words if word]


def require_espeak() -> str:
    """The path of the program.

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
    """Ids of phonemes: ``<pad>``, ``<bos>``, ``<eos>``, then the symbols of ``symbols.dict``, sorted."""

    def __init__(self, path: Path) -> None:
        """Read a table of lines ``symbol id``, of which only the symbols count.

        Raises:
            CheckpointError: a line of another form.
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
        """Ids of phonemes, with begin and end.

        Raises:
            InputError: naming the phonemes that the table does not have.
        """
        unknown = sorted({phone for phone in phones if phone not in self.ids})
        if unknown:
            raise InputError(f"the model knows no phoneme {', '.join(unknown[:5])} ({self.path.name})")
        return [self.ids["<bos>"], *(self.ids[phone] for phone in phones), self.ids["<eos>"]]
