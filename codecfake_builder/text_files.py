"""Read text that a user or a corpus hands over: lists, tables, protocols, transcripts, label files.

All of it goes through :func:`read_text`, so that a byte order mark, a Windows line end or another encoding is treated
the same everywhere: read right, or refused in one line.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from codec_adapters.files.escaping import escaped as escaped
from codecfake_builder.errors import BuilderError, CorpusError

MOST_BYTES = 1 << 30
"""Size of the largest text file that is read."""
_MARK = "\ufeff"
_MARKS = (  # the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, encoding: str | None = None, error: type[BuilderError] = CorpusError) -> str:
    r"""Read a text file whole, with ``\n`` at the end of every line.

    Args:
        path: a file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark, which is taken off.
        encoding: of a file that is neither, as Python names it: of one transcript of many, say.
        error: what to raise.

    Raises:
        BuilderError: of the kind ``error``: the file is not there, cannot be read, is too large, or holds bytes that
            are no text in its encoding; names file, line and the likely encoding.
    """
    try:
        if path.exists() and not path.is_file():
            raise error(f"{path}: is no file, and a text was expected")
        if path.stat().st_size > MOST_BYTES:
            raise error(f"{path}: has more than {MOST_BYTES >> 20} MB, too much for a list or a text")
        data = path.read_bytes()
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the path
        raise error(f"{path}: cannot be read ({getattr(problem, 'strerror', None) or problem})") from problem
    text = _decoded(path, data, encoding, error)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise error(f"{path}: line {line}: holds a NUL byte, so that it is no text (or UTF-16 without its mark)")
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return lines.lstrip(_MARK).replace(f"\n{_MARK}", "\n")  # files with marks that were joined have them in the middle


def read_lines(path: Path, encoding: str | None = None, error: type[BuilderError] = CorpusError) -> list[str]:
    r"""Read the lines of a text file, see :func:`read_text`; only a line break ends one, no form feed or ``\u2028``."""
    return read_text(path, encoding, error).removesuffix("\n").split("\n")


def read_transcript(path: Path, place: str, encoding: str | None = None) -> tuple[str | None, str | None]:
    """Read a clip's own text file; return its text, and why there is none where it cannot be read.

    One such file in ten thousand is no reason to end a plan.

    Args:
        path: the file; no text and no reason where there is none.
        place: how a reason names it.
        encoding: see :func:`read_text`.
    """
    if not path.exists():
        return None, None
    try:
        text = read_text(path, encoding).strip()
    except CorpusError as error:
        return None, str(error).replace(str(path), place, 1)
    return text or None, None if text else f"{place}: is empty"


def known_encoding(name: str) -> bool:
    """Return whether Python knows a text encoding of that name."""
    try:
        "".encode(name)
        return isinstance(b"".decode(name), str)
    except (LookupError, ValueError):
        return False


def _decoded(path: Path, data: bytes, encoding: str | None, error: type[BuilderError]) -> str:
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    used = marked or (encoding if encoding and not _is_utf_8(data) else "utf-8")
    try:
        return data.decode(used)
    except UnicodeError as problem:
        start = getattr(problem, "start", 0)
        line = len(re.findall(rb"\r\n|\r|\n", data[:start])) + 1
        name, byte = used.removesuffix("-sig").upper(), data[start : start + 1].hex()
        said = f"{path}: line {line}: is no text in {name} (byte {byte})"
        if marked or encoding:
            raise error(said) from problem
        guess = _likely_encoding(data)
        stated = f", or give the corpus encoding: {guess}" if error is CorpusError else ""
        raise error(f"{said}; likely {guess}: save it as UTF-8 (iconv -f {guess} -t utf-8){stated}") from problem


def _is_utf_8(data: bytes) -> bool:
    """Return whether the bytes are UTF-8, which text in another encoding hardly ever is by chance."""
    try:
        return "\0" not in data.decode("utf-8")  # UTF-16 of plain letters is UTF-8 with NUL bytes
    except UnicodeDecodeError:
        return False


def _likely_encoding(data: bytes) -> str:
    """Return GBK where the bytes are pairs of its oldest part, which Western texts are not; else cp1252."""
    try:
        data.decode("gb2312")
    except UnicodeDecodeError:
        return "cp1252"
    return "gbk"
