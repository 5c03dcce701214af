"""What can go wrong with a codec; :mod:`codecfake_builder.errors` shows the whole tree.

Every message is one line per problem that names the thing, where it is and what to do, so that a command line can print
it as it stands.
"""

from __future__ import annotations


class CodecfakeError(Exception):
    """Base class of every error that these packages raise on purpose."""

    exit_code = 2
    """Of a command that ends with it: 2 bad usage or input, 1 a check failed."""


class CodecError(CodecfakeError):
    """Base class of what can go wrong with codecs and audio language models (ALMs)."""


class UnknownVariantError(CodecError):
    """No variant of that name is in the catalogue."""


class OptionError(CodecError):
    """An inference option, device or dtype is unknown or has a value the codec cannot take."""


class DocumentError(CodecError):
    """A file that a user wrote (a codec file, a plugin) cannot be read or is not valid; one line per problem."""


class CheckpointError(CodecError):
    """A checkpoint is missing, truncated, of another codec, or would need arbitrary unpickling."""


class DownloadError(CodecError):
    """A file cannot be downloaded: the server cannot be reached, refuses, or breaks off again and again."""


class InputError(CodecError):
    """A waveform, code tensor or seed list does not have the shape the contract asks for."""


class OutputError(CodecError):
    """An external codec failed on a clip, or gave something that is no answer to it. Costs the clip."""


class EnvironmentFailedError(CodecError):
    """An environment of an isolated codec or ALM cannot be made."""


class WorkerError(CodecError):
    """An isolated worker hangs, died, printed garbage, filled its scratch folder or lost its device. Costs
    the clips it was asked for, and says nothing of them: they may be tried again."""


class WorkerRefusedError(CodecError):
    """An isolated worker answered that it cannot do what it was asked, or gave something that is no answer to it."""
