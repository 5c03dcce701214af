"""What a user's input, files or folders can make go wrong. Every message is complete as it stands: what, where, what
to do; the command line prints it and ends with the error's exit code, never with a traceback.

One tree holds all errors of both packages::

    CodecfakeError                   exit code 2
    +-- CodecError                   a codec or an audio language model (codec_adapters.errors)
    |   +-- UnknownVariantError      no variant of that name
    |   +-- OptionError              an option, device or dtype that cannot be taken
    |   +-- DocumentError            a codec file or plugin that is not valid
    |   +-- CheckpointError          weights that are missing, damaged, foreign or unsafe
    |   +-- DownloadError            a server that refuses, breaks off or cannot be reached
    |   +-- InputError               a waveform or codes of the wrong shape
    |   +-- OutputError              an external codec failed on a clip
    |   +-- EnvironmentFailedError   an isolated environment cannot be made
    |   +-- WorkerError              an isolated worker hangs or died
    |   +-- WorkerRefusedError       an isolated worker cannot do what it was asked
    +-- BuilderError                 the pipeline
        +-- RecipeError              a recipe, or an override of it
        +-- CorpusError              a corpus that is not there, or of another layout
        +-- PlanError                the recipe asks for more than the corpora hold
        +-- DatasetError             a dataset folder that is not what a command needs
        +-- BenchmarkError           predictions, labels or runs that the benchmark cannot use
        +-- CheckFailedError         exit code 1: the work was done, a check of its result failed
        +-- RejectedError            one clip cannot go in; becomes a row of rejected.parquet
        +-- FailVerdict, SkipVerdict a conformance check's verdict other than pass
"""

from __future__ import annotations

from codec_adapters.errors import CodecfakeError


class BuilderError(CodecfakeError):
    """Base class of what can go wrong in the pipeline."""


class RecipeError(BuilderError):
    """The recipe, or an override of it, is not valid; one line per problem."""


class CorpusError(BuilderError):
    """A corpus is not on disk, or not in the layout its kind has."""


class PlanError(BuilderError):
    """The recipe asks for more than the corpora hold."""


class DatasetError(BuilderError):
    """A dataset folder is not what the command needs it to be."""


class CheckFailedError(BuilderError):
    """The work was done, and a check of its result failed: exit code 1."""

    exit_code = 1


class BenchmarkError(BuilderError):
    """Predictions, labels, a checkpoint or a run folder that the benchmark cannot work with."""
