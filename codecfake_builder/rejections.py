"""Why an utterance or a clip is left out of a dataset: the closed set of reasons, and the error that carries one.

``rejected.parquet``, the index of a corpus and the records of shards hold a reason as its plain string.
``docs/rejected_clips.md`` lists the set for users.
"""

from __future__ import annotations

import re
import tempfile
from enum import StrEnum

from codecfake_builder.errors import BuilderError
from codecfake_builder.text_files import escaped

LONGEST_DETAIL = 300
"""Characters of the detail of a rejection."""
_ADDRESS = re.compile(r"\s+at 0x[0-9a-fA-F]+|0x[0-9a-fA-F]{8,}")


class RejectionReason(StrEnum):
    """A reason to leave an utterance or a clip out; its value is the string that files hold."""

    meaning: str
    """The reason in a sentence, for documents."""
    of_the_moment: bool
    """Whether it says something of the moment (a file that is not there now) and not of the clip: the next build tries
    such clips again."""

    def __new__(cls, value: str, meaning: str = "", of_the_moment: bool = False) -> RejectionReason:
        """Make a member out of its string, its meaning, and whether it may be gone at the next build."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.of_the_moment = of_the_moment
        return member

    MISSING = "missing", "The file is not there, or cannot be opened.", True
    SOURCE_CHANGED = "source_changed", "The file is not the one that was indexed: its sha256 differs.", True
    READ_TIMEOUT = "read_timeout", "The file could not be read within execution.read_timeout.", True
    UNUSABLE_NAME = "unusable_name", "The file's name is no UTF-8 or has control characters, so that no id can be made."
    NOT_LISTED = "not_listed", "No line of the corpus's own list names the file."
    NO_MIC1 = "no_mic1", "VCTK: the utterance has no recording of microphone 1."
    NO_MIC2 = "no_mic2", "VCTK: the utterance has no recording of microphone 2."
    UNKNOWN_CLASS = "unknown_class", "ST-Codecfake: the label line and the file's name do not tell which codec it is."
    DUPLICATE_ID = "duplicate_id", "Another file of the corpus has this utterance id (and variant) already."
    DUPLICATE_AUDIO = "duplicate_audio", "Another utterance is the same audio, sample for sample."
    NO_TEXT = "no_text", "The utterance has no transcript, which the audio language model needs."
    UNREADABLE = "unreadable", "The file cannot be decoded as audio."
    TRUNCATED = "truncated", "The file ends before its own header says."
    EMPTY = "empty", "The file holds no samples."
    NON_FINITE = "non_finite", "The file, or the output, holds NaN or infinite samples."
    TOO_SHORT = (
        "too_short",
        "The source, what audio.trim_db leaves of it, or what a language model said, is shorter than the recipe takes.",
    )
    TOO_LONG = "too_long", "The source, or what the audio language model said, is longer than the recipe takes."
    LENGTH = "length", "The codec's output lacks more of the source's end than audio.max_missing_seconds."
    SILENT = (
        "silent",
        "The source is silent, or its channels cancel each other; or silence came out for speech.",
    )
    NOTHING_GENERATED = "nothing_generated", "The audio language model ended before its first frame of speech."
    CODEC_ERROR = "codec_error", "The codec raised an error on the clip."
    ALM_ERROR = "alm_error", "The audio language model raised an error on the prompt."
    WORKER_FAILED = "worker_failed", "The process of an isolated codec or model died or did not answer in time.", True


class RejectedError(BuilderError):
    """An utterance or a clip that is left out of the dataset, with the reason and the detail in words."""

    def __init__(self, reason: RejectionReason, detail: str) -> None:
        self.reason = reason
        self.detail = settled(detail)
        super().__init__(f"{reason}: {self.detail}")


def truncated(detail: str) -> RejectedError:
    """Return the error for a file that ends too early."""
    return RejectedError(RejectionReason.TRUNCATED, detail)


def settled(detail: str) -> str:
    """Return a detail as a dataset may hold it: the same at every run, one line, of bounded length.

    What a library or a codec says of an error may hold an object's address or the name of a temporary file, which
    differ from run to run, and lines.
    """
    temporary = re.escape(tempfile.gettempdir()) + r"/[^\s'\"]+"
    shown = escaped(" ".join(re.sub(temporary, "(temporary file)", _ADDRESS.sub("", detail)).split()))
    return shown if len(shown) <= LONGEST_DETAIL else f"{shown[: LONGEST_DETAIL - 3]}..."
