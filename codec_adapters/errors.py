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


class OutputError(CodecError):
    """A codec that somebody added failed on a clip, or gave something that is no answer to it. Costs the clip."""


class EnvironmentFailedError(CodecError):
    """An environment of an isolated codec or model cannot be made."""


class WorkerError(CodecError):
    """An isolated worker hangs, died, printed garbage, filled its scratch folder or lost its device. Costs
    the clips it was asked for, and says nothing of them: they may be tried again."""


class WorkerRefusedError(CodecError):
    """An isolated worker answered that it cannot do what it was asked, or gave something that is no answer to it."""
