"""What a user's input, files or folders can make go wrong. Every message is complete as it stands: what, where, what
to do; the command line prints it and ends with the error's exit code, never with a traceback."""

from __future__ import annotations


class BuilderError(Exception):
    """Base class: bad usage or input, exit code 2."""

    exit_code = 2


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
