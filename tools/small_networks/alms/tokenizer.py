"""What the small audio language models share: the codec's codes, and a tokenizer of letters."""

from __future__ import annotations

from pathlib import Path
from string import ascii_letters

CODES = 64
"""Codes per codebook of the random codecs."""


def write_tokenizer(folder: Path, named: dict[str, int] | None = None) -> Path:
    """``tokenizer.json`` with an id per letter, from 3 on, and the special tokens ``named``."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    letters = {letter: number for number, letter in enumerate(f"{ascii_letters} ',.:[]", 3)}
    tokenizer = Tokenizer(WordLevel({"<unk>": 0, **letters, **(named or {})}, unk_token="<unk>"))  # noqa: S106 - no password
    tokenizer.pre_tokenizer = Split("", "isolated")
    tokenizer.add_special_tokens(list(named or {}))
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path
