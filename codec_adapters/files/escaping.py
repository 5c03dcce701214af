"""Show text of whatever origin on one line, so that it can steer no terminal and split no message."""

from __future__ import annotations


def escaped(text: str) -> str:
    r"""Return text, or the name of a file, with control characters and bytes that are no UTF-8 as escapes.

    >>> escaped("caf\udce9\n.wav")
    'caf\\xe9\\n.wav'
    """
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # how Python holds a byte of a file name that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
