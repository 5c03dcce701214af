"""Remarks on a plan: on a split as a whole, or on some of its variants, so that they can go when these do."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Note(BaseModel):
    """What a reader of the plan should know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    """``{names}`` in it stands for the names."""
    split: str | None = None
    """The split that it is about."""
    names: tuple[str, ...] = ()
    """The variants that it is about."""

    def __str__(self) -> str:
        """The note as a reader sees it."""
        return self.text.replace("{names}", ", ".join(self.names))
