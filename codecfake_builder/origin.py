"""The origin of a clip, and the two views of which clips are fake.

The field does not agree whether speech that a codec merely transmitted is fake: what was recorded is then still a
person's speech (arXiv 2602.16343). Every row therefore carries both answers.
"""

from __future__ import annotations

from enum import StrEnum

from codec_adapters.classes import REAL, VOCODER


class Origin(StrEnum):
    """How a clip came to be; ``str`` gives the value of the column ``origin``."""

    RECORDED = "recorded"
    """Real speech, whoever keeps it."""
    RESYNTHESIZED = "resynthesized"
    """A recording that the builder sent through a codec."""
    GENERATED = "generated"
    """Speech that an audio language model made here."""
    VOCODED = "vocoded"
    """Speech synthesis and voice conversion with vocoders (class ``vocoder``), made here or elsewhere."""
    IMPORTED = "imported"
    """A fake that was made elsewhere with a neural codec; ``alm`` says whether a language model spoke it."""


ORIGIN_MEANINGS = {
    Origin.RECORDED: "real speech",
    Origin.RESYNTHESIZED: "a recording that went through a codec",
    Origin.GENERATED: "spoken by an audio language model",
    Origin.VOCODED: "class vocoder",
    Origin.IMPORTED: "made elsewhere with a codec, and taken over",
}
"""The origins in words, for the card and the description of the column."""


class View(StrEnum):
    """What counts as fake."""

    SYNTHESIS = "synthesis"
    """All that a codec, a vocoder or a language model put out: whatever was not recorded."""
    TRANSMISSION = "transmission"
    """What was generated or vocoded only; speech that a codec merely transmitted is bona fide."""


VIEW_MEANINGS = {
    View.SYNTHESIS: "fake: whatever was not recorded",
    View.TRANSMISSION: "fake: generated or vocoded speech only, not what a codec merely transmitted",
}
"""The views in words."""


def clip_origin(codec: str, alm: str | None, imported: bool) -> Origin:
    """Return the origin of a clip. Where the class says it all (``real``, ``vocoder``), who made the clip is no matter.

    Args:
        codec: class of the clip, see :data:`codec_adapters.classes.LABELS`; or ``vocoder``.
        alm: audio language model that made the clip, if one did.
        imported: whether the clip was made elsewhere and taken over.
    """
    if codec == REAL:
        return Origin.RECORDED
    if codec == VOCODER:
        return Origin.VOCODED
    if imported:
        return Origin.IMPORTED
    return Origin.GENERATED if alm else Origin.RESYNTHESIZED


def is_fake(view: View, codec: str, alm: str | None) -> bool:
    """Return whether a clip is fake by a view; it does not matter who made the clip, only how.

    Args:
        view: what counts as fake.
        codec: class of the clip; real speech is bona fide by either view.
        alm: audio language model that made the clip, if one did.

    Example:
        >>> is_fake(View.SYNTHESIS, "encodec", None), is_fake(View.TRANSMISSION, "encodec", None)
        (True, False)
    """
    if codec == REAL:
        return False
    return view is View.SYNTHESIS or codec == VOCODER or bool(alm)


def origin_columns(codec: str, alm: str | None, imported: bool) -> dict[str, str | bool]:
    """Return the values of the columns that say where a clip is from, and whether it is fake by either view."""
    return {
        "is_fake": is_fake(View.SYNTHESIS, codec, alm),
        "origin": clip_origin(codec, alm, imported).value,
        "is_fake_transmission": is_fake(View.TRANSMISSION, codec, alm),
    }
