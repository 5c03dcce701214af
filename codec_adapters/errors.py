"""Errors of codecs and audio language models; the docstring of ``codecfake_builder.errors`` shows the whole tree.

A message has one line per problem, which names the thing, where it is and what to do: a command prints it as it is.
"""

from __future__ import annotations


class CodecfakeError(Exception):
    """Base class of every error that these packages raise on purpose."""

    exit_code = 2
    """Exit code of a command that ends with the error: 2 bad usage or input, 1 a check failed."""


class CodecError(CodecfakeError):
    """Base class of the errors of codecs and audio language models (ALMs)."""


class UnknownVariantError(CodecError):
    """The catalogue has no codec variant or ALM of that name."""


class OptionError(CodecError):
    """An inference option, device or dtype is unknown, or has a value that the codec cannot take."""


class DocumentError(CodecError):
    """A file that a user wrote (a codec file, a plugin) cannot be read or is not valid; one line per problem."""


class CheckpointError(CodecError):
    """A checkpoint is missing, truncated, of another codec, or would need arbitrary unpickling."""


class DownloadError(CodecError):
    """A file cannot be downloaded: the server cannot be reached, refuses, or breaks off again and again."""


class InputError(CodecError):
    """A waveform, codes, seeds or a prompt are not what the contract asks for."""


class OutputError(CodecError):
    """An external codec failed on a clip, or gave no waveform for it; the clip is rejected."""


class EnvironmentFailedError(CodecError):
    """The environment of an isolated codec or ALM cannot be made."""


class WorkerError(CodecError):
    """A worker hangs, died, printed no answer, filled its scratch folder or lost its device.

    The clips of its request are rejected; they may be tried again, since they need not be the cause.
    """


class WorkerRefusedError(CodecError):
    """A worker answered that it cannot do what was requested, or gave an answer that does not fit the request."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, for a message of one line; its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
