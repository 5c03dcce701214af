"""What is made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

V = TypeVar("V")


class OnDemand(dict[str, V]):
    """A dictionary whose values are made when they are first asked for; it holds those that were."""

    def __init__(self, make: Callable[[str], V]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> V:
        value = self[name] = self._make(name)
        return value
