"""Measurements of a codec that need nothing but its sampling rate: ``add-codec`` fills specs with them.

None of them reads a spec. Speech for them: :func:`codecfake_builder.conformance.speech.bundled_speech`.
"""

from __future__ import annotations

from codecfake_builder.conformance.measure.codec import Codec, run_codec
from codecfake_builder.conformance.measure.codes import MeasuredCodes, measure_codes
from codecfake_builder.conformance.measure.drift import Drift, measure_drift
from codecfake_builder.conformance.measure.length import LENGTHS, LengthRule, fit_length_rule, measure_length_rule
from codecfake_builder.conformance.measure.parts import find_clicks, part_levels, quietest_part, relative_offset
from codecfake_builder.conformance.measure.tail import TAIL_SECONDS, TOLERANCE, is_tail_local, measure_tail_reach
from codecfake_builder.conformance.measure.waveform import (
    ESTIMATED,
    LEAST_ENVELOPE_CORRELATION,
    Delay,
    measure_delay,
    measure_envelope_shift,
    measure_gain,
)

__all__ = [
    "ESTIMATED",
    "LEAST_ENVELOPE_CORRELATION",
    "LENGTHS",
    "TAIL_SECONDS",
    "TOLERANCE",
    "Codec",
    "Delay",
    "Drift",
    "LengthRule",
    "MeasuredCodes",
    "find_clicks",
    "fit_length_rule",
    "is_tail_local",
    "measure_codes",
    "measure_delay",
    "measure_drift",
    "measure_envelope_shift",
    "measure_gain",
    "measure_length_rule",
    "measure_tail_reach",
    "part_levels",
    "quietest_part",
    "relative_offset",
    "run_codec",
]
