"""What can go wrong with a codec, as one exception hierarchy.

Every message is a single line that names the thing, where it is and what to do, so that a command-line tool can
print it as it stands.
"""

from __future__ import annotations


class CodecError(Exception):
    """Base class of every error this package raises on purpose."""


class UnknownVariantError(CodecError):
    """No variant of that name is registered."""


class OptionError(CodecError):
    """An inference option, device or dtype is unknown or has a value the codec cannot take."""


class CheckpointError(CodecError):
    """A checkpoint is missing, truncated, of another codec, or would need arbitrary unpickling."""


class InputError(CodecError):
    """A waveform, code tensor or seed list does not have the shape the contract asks for."""
