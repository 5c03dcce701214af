"""Text tokenizers of checkpoints, read from ``tokenizer.json``, which holds data only."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from codec_adapters.errors import CheckpointError
from codec_adapters.files.config import required_file


class TextTokenizer:
    """Text tokenizer of a checkpoint folder."""

    def __init__(self, folder: Path) -> None:
        """Read ``tokenizer.json``.

        Raises:
            CheckpointError: the file is missing, or is not a tokenizer.
        """
        self.path = required_file(folder, "tokenizer.json")
        try:
            self._tokenizer = Tokenizer.from_file(str(self.path))
        except Exception as error:  # the library raises bare exceptions
            raise CheckpointError(f"{self.path}: not a tokenizer ({error})") from error

    def ids(self, text: str, special: bool = False) -> list[int]:
        """Return the ids of a text; with ``special``, also the ids that the tokenizer puts around every text."""
        return list(self._tokenizer.encode(text, add_special_tokens=special).ids)

    def text(self, ids: list[int]) -> str:
        """Return the text of ids, without special tokens."""
        return str(self._tokenizer.decode(ids)).strip()

    def special(self, name: str) -> int:
        """Return the id of a special token.

        Raises:
            CheckpointError: the tokenizer has no such token.
        """
        found = self._tokenizer.token_to_id(name)
        if found is None:
            raise CheckpointError(f"{self.path}: has no token {name}")
        return int(found)
