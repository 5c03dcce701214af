"""Checks of each part of a clip, long, short, first and last: its level, its time, its edges, and a constant offset.

Each check returns what it measured in words, or raises :class:`FailVerdict`. They compare with the speech that went in,
so that they hold only a codec that keeps some; one that need not (``least_stoi`` 0) passes with a word on that.
"""

from __future__ import annotations

from codecfake_builder import audio
from codecfake_builder.conformance import measure
from codecfake_builder.conformance.under_test import CodecUnderTest, FailVerdict

LEAST_PART_GAIN = {1.0: -12.0, 0.05: -22.0, 0.02: -40.0}
"""Length of a part, seconds -> its least gain against that of all speech, dB. Small networks trained for minutes reach
-20 dB in a part of 20 ms, -13 dB in one of 50 ms, and -6 dB in one of a second."""
LEAST_FOLLOWING = 0.3
"""Correlation of the envelopes below which a part is not the speech that went in. Small networks reach 0.59."""
FOLLOWED_SECONDS = (0.7, 2.0)
"""Length from which clips are held to that, and of the parts that they are cut into."""
LOUDEST_PART = 20.0
"""dB by which no part may be louder than the loudest of the source, at the codec's gain. Vocoders reach 13."""
MOST_DRIFT_SECONDS = 0.005
"""From the first third of a clip to its last: 0.025 % of 20 s. Codecs that keep time stay below 1.5 ms."""
MOST_JUMP_SECONDS = 0.02
"""By which the delay of any part may differ from the clip's. Codecs that keep time stay below 5 ms."""
MOST_OFFSET = 0.1
"""Of the output's RMS. Small networks reach 0.03."""
NOTHING_TO_HOLD_AGAINST = "not held against the speech: the output does not follow it, see STOI"


def level(codec: CodecUnderTest) -> str:
    """Check that no part of a clip in which somebody speaks comes out silent, and none far too loud."""
    if not codec.follows_speech:
        return NOTHING_TO_HOLD_AGAINST
    reference = measure.measure_gain(codec.waves, codec.outputs)
    least = 0.0
    for seconds, (source, out) in codec.restored_passages.items():
        for length, limit in LEAST_PART_GAIN.items():
            part = measure.quietest_part(source, out, audio.RATE, length)
            if part.decibel - reference < limit:
                where = f"{part.start:.2f} to {part.start + part.seconds:.2f} s of {seconds:g} s"
                raise FailVerdict(f"{where}: {part.decibel - reference:+.0f} dB against the rest of the speech")
            least = min(least, part.decibel - reference)
        loudest = [float(measure.part_levels(wave, round(0.05 * audio.RATE))[1].max()) for wave in (source, out)]
        if loudest[1] - loudest[0] - reference > LOUDEST_PART:
            raise FailVerdict(f"a part of {seconds:g} s is {loudest[1] - loudest[0] - reference:+.0f} dB too loud")
    return f"no part of {len(codec.restored_passages)} clips is below {least:+.0f} dB against all speech"


def speech(codec: CodecUnderTest) -> str:
    """Check that every part of every clip is still the speech that went in."""
    if not codec.follows_speech:
        return NOTHING_TO_HOLD_AGAINST
    shortest, length = (round(seconds * audio.RATE) for seconds in FOLLOWED_SECONDS)
    found = []
    for seconds, (source, out) in codec.restored_passages.items():
        for start in range(0, max(1, len(source) - length + 1), length // 2) if len(source) >= shortest else ():
            pair = source[start : start + length], out[start : start + length]
            found.append(measure.measure_envelope_shift([pair], audio.RATE).correlation)
            if found[-1] < LEAST_FOLLOWING:
                where = f"{start / audio.RATE:.2f} to {(start + len(pair[0])) / audio.RATE:.2f} s of {seconds:g} s"
                raise FailVerdict(f"{where}: not the speech that went in (envelopes' correlation {found[-1]:.2f})")
    if not found:
        return f"no clip of {FOLLOWED_SECONDS[0]:g} s to judge"
    return f"envelopes' correlation of at least {min(found):.2f} in {len(found)} parts"


def drift(codec: CodecUnderTest) -> str:
    """Check that the delay is the same from the beginning to the end of a long clip."""
    if not codec.follows_speech:
        return NOTHING_TO_HOLD_AGAINST
    seconds = max(codec.restored_passages)
    source, out = codec.restored_passages[seconds]
    found = measure.measure_drift(source, out, audio.RATE, measure.LEAST_ENVELOPE_CORRELATION)
    if found is None:
        return f"cannot be told: too few parts of {seconds:g} s can be followed"
    if abs(found.seconds) > MOST_DRIFT_SECONDS:
        raise FailVerdict(f"time is stretched: {found}")
    if abs(found.widest) > MOST_JUMP_SECONDS:
        raise FailVerdict(f"time jumps near {found.at:.1f} s of {seconds:g} s: {found}")
    return str(found)


def clicks(codec: CodecUnderTest) -> str:
    """Check that the output has no single edges far sharper than all around them."""
    if not codec.follows_speech:
        return NOTHING_TO_HOLD_AGAINST
    for seconds, (source, out) in codec.restored_passages.items():
        if found := measure.find_clicks(source, out, audio.RATE):
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise FailVerdict(f"a click at {found[0]:.3f} s of {seconds:g} s{more}")
    return f"none in {len(codec.restored_passages)} clips"


def offset(codec: CodecUnderTest) -> str:
    """Check that the output is centred around zero, as speech is."""
    if not codec.follows_speech:
        return NOTHING_TO_HOLD_AGAINST
    found = max(measure.relative_offset(wave, out) for wave, out in zip(codec.waves, codec.outputs, strict=True))
    words = f"mean of at most {max(found, 0.0):.3f} of the RMS more than the speech"
    if found > MOST_OFFSET:
        raise FailVerdict(words)
    return words
