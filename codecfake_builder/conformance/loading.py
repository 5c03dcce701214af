"""Loading a codec that may be anybody's code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from codec_adapters.errors import CodecError
from codecfake_builder.errors import BuilderError

if TYPE_CHECKING:
    from codec_adapters.base import Adapter


def loaded(name: str, load: Callable[[], Adapter]) -> Adapter:
    """What ``load`` gives.

    Raises:
        CodecError, OSError: as ``load`` raises them.
        BuilderError: whatever else it raises, in one line.
    """
    try:
        return load()
    except (CodecError, OSError):
        raise
    except Exception as error:  # somebody else's code may raise anything
        reason = " ".join(str(error).split())[:300]
        raise BuilderError(f"{name}: cannot be loaded ({type(error).__name__}: {reason})") from error
