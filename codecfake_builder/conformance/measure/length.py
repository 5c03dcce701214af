"""The length of a codec's output as a function of its input's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from codecfake_builder.audio import Wave
from codecfake_builder.conformance.measure.codec import Codec, run_codec
from codecfake_builder.conformance.speech import repeat_to_length

LENGTHS = (0, 1, 7, 64, 160, 320, 501, 1000, 1999, 2000, 4111)
"""Samples beyond half a second at which the length rule is measured."""


@dataclass(frozen=True)
class LengthRule:
    """The output's length as a function of the input's, as far as a simple rule describes it."""

    rounding: Literal["none", "up", "down", "unknown"]
    multiple: int
    """The input's length is rounded to a multiple of this."""
    offset: int
    """The output has so many samples more than that."""
    lengths: tuple[tuple[int, int], ...]
    """Measured pairs: samples in, samples out."""

    def __str__(self) -> str:
        more = f" {self.offset:+d}" if self.offset else ""
        if self.rounding == "unknown":
            low, high = (edge(out - given for given, out in self.lengths) for edge in (min, max))
            return f"output {low:+d} to {high:+d} samples against the input, by no simple rule"
        if self.rounding == "none":
            return f"output as long as the input{more}"
        return f"output is the input {self.rounding} to whole {self.multiple} samples{more}"


def measure_length_rule(codec: Codec, waves: Sequence[Wave], lengths: Sequence[int] | None = None) -> LengthRule:
    """Measure the length rule.

    Args:
        waves: speech at the codec's rate.
        lengths: of the inputs, samples; default: half a second and :data:`LENGTHS` more.
    """
    given = lengths or [codec.sample_rate // 2 + more for more in LENGTHS]
    pairs = tuple((samples, len(run_codec(codec, repeat_to_length(waves, samples)))) for samples in given)
    return fit_length_rule(pairs)


def fit_length_rule(pairs: tuple[tuple[int, int], ...]) -> LengthRule:
    """Return the rule that all ``pairs`` (samples in, samples out) follow.

    >>> print(fit_length_rule(((1000, 1280), (1280, 1280), (1281, 1600))))
    output is the input up to whole 320 samples
    """
    offsets = {out - given for given, out in pairs}
    if len(offsets) == 1:
        return LengthRule("none", 1, offsets.pop(), pairs)
    multiple = reduce(math.gcd, [out - pairs[0][1] for _, out in pairs])
    roundings: dict[Literal["up", "down"], Callable[[int], int]] = {
        "up": lambda samples: -(-samples // multiple) * multiple,
        "down": lambda samples: samples // multiple * multiple,
    }
    for rounding, rounded in roundings.items() if multiple > 1 else ():
        offsets = {out - rounded(given) for given, out in pairs}
        if len(offsets) == 1:
            return LengthRule(rounding, multiple, offsets.pop(), pairs)
    return LengthRule("unknown", 1, 0, pairs)
