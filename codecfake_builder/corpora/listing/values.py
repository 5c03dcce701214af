"""Turn what a table, a list or a dataset column holds into the text that an index wants, or refuse it by its place."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

from codecfake_builder.errors import CorpusError

_SHOWN = 60
"""Most characters of a refused value that a message repeats."""


def listed_text(value: Any, place: str, field: str) -> str | None:
    """Return a listed value as text without blanks around it; ``None`` for what stands for no value.

    Text stays, whole numbers become their digits (``5`` and ``5.0`` both ``"5"``, since a table that was written with
    gaps has floats), UTF-8 bytes their text. NaN, ``None`` and empty text are no value. Nothing else is guessed at.

    Args:
        value: a cell of a table, a member of a JSON object, or an item of a dataset's column.
        place: file and row, for messages.
        field: the column, for messages.

    Raises:
        CorpusError: a list, a mapping, a truth value, a fraction, or text with characters that are none.

    >>> listed_text(5.0, "list.jsonl: line 1", "speaker")
    '5'
    >>> listed_text(["a", "b"], "list.jsonl: line 1", "text")
    Traceback (most recent call last):
    codecfake_builder.errors.CorpusError: list.jsonl: line 1: text: expected text, found a list: ['a', 'b']
    """
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    if plain is None or (isinstance(plain, float) and math.isnan(plain)):
        return None
    if isinstance(plain, bytes | bytearray):
        plain = _decoded(bytes(plain), place, field)
    if isinstance(plain, str):
        return _checked(plain.strip(), place, field) or None
    if isinstance(plain, float) and plain.is_integer() and abs(plain) < 1 << 53:
        plain = int(plain)
    if isinstance(plain, int) and not isinstance(plain, bool):
        return str(plain)
    raise CorpusError(f"{place}: {field}: expected text, found {_kind(plain)}: {_shortened(plain)}")


def _decoded(data: bytes, place: str, field: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}: {field}: expected text, found bytes that are no UTF-8") from error


def _checked(text: str, place: str, field: str) -> str:
    """Return the text; only a transcript (``text``) may have line breaks and tabs, nothing half a character."""
    kinds = {unicodedata.category(character) for character in text if not character.isprintable()}
    if "Cs" in kinds:
        raise CorpusError(f"{place}: {field}: holds half a character (a lone surrogate): {_shortened(text)}")
    if "Cc" in kinds and (field.rpartition(".")[2] != "text" or "\0" in text):
        raise CorpusError(f"{place}: {field}: holds control characters: {_shortened(text)}")
    return text


def _kind(value: Any) -> str:
    names = {bool: "a truth value", float: "a fraction", list: "a list", dict: "a mapping"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), f"a {type(value).__name__}")


def _shortened(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
