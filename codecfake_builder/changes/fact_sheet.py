"""Collect the facts of a codec, each with its origin: the user, its config, a measurement, or, last, an assumption."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from codec_adapters import CodecError
from codec_adapters.classes import LABELS
from codec_adapters.external.adapters.code_order import probe_samples
from codec_adapters.external.facts import CodecFacts
from codecfake_builder.conformance import measure
from codecfake_builder.conformance.speech import bundled_speech
from codecfake_builder.errors import BuilderError

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

GIVEN, CONFIG, MEASURED, ASSUMED = "given", "config", "measured", "assumed"
UNFOUNDED = "assumed without evidence"
ESTIMATED = measure.ESTIMATED
TAXONOMY = ("quantizer", "auxiliary", "decoder_domain")
LICENCES = ("code_licence", "weights_licence", "paper")
ORDER = (
    *("family", "label", "sample_rate", "hop", "codebooks", "codebook_size", "bitrate", *TAXONOMY),
    *("delay_samples", "tail_local", *LICENCES),
)
SPEECH_CLIPS, SPEECH_SECONDS = 4, 2.0
"""Of the bundled speech, for the measurements."""

MOST_MORE = 2
"""Frames that codecs give more than the input has, for what they pad."""

QUESTIONS = {
    "sample_rate": "rate that the codec works at, Hz",
    "hop": "samples per frame of the finest codebook",
    "codebooks": "codebooks in use",
    "bitrate": "bits per second",
    "quantizer": "multi, single or scalar",
}
"""What there is no dataset without; asked for where nothing else tells it."""

Ask = Callable[[str, str], Any]
"""Asks the user for a fact: its name, and the question."""


@dataclass
class FactSheet:
    """The facts by name, each with its origin, and remarks on them."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def learn(self, origin: str, facts: Mapping[str, Any]) -> None:
        """Add facts; those that are known already stay."""
        for name, value in facts.items():
            if value is not None and name not in self.values:
                self.values[name], self.origins[name] = value, origin

    def complete(self, name: str, ask: Ask | None, among: Iterable[str] = tuple(QUESTIONS)) -> None:
        """Ask for the required facts that are missing; ``among`` names them.

        Raises:
            BuilderError: there is nobody to ask; one line with the options that would say it.
        """
        missing = [fact for fact in among if fact not in self.values]
        if missing and ask is None:
            options = ", ".join(f"--{fact.replace('_', '-')} ({QUESTIONS[fact]})" for fact in missing)
            raise BuilderError(f"{name}: what cannot be measured of it has to be said: give {options}")
        for fact in missing if ask else ():
            assert ask is not None
            self.learn(GIVEN, {fact: ask(fact, QUESTIONS[fact])})

    def codec(self, provisional_hop: int | None = None) -> CodecFacts:
        """Return the facts in the form of a codec file's section.

        Args:
            provisional_hop: with this and other stand-ins for what can only be measured once the codec is loaded.

        Raises:
            BuilderError: a value that none of its kind can have; one line each.
        """
        values = dict(self.values)
        if provisional_hop is not None:
            values = {"hop": provisional_hop, "codebooks": 1, "bitrate": 1.0, "quantizer": "multi", **values}
        values["taxonomy"] = {name: values.pop(name) for name in TAXONOMY if name in values}
        values.pop("codebook_size", None)
        try:
            return CodecFacts.model_validate(values)
        except ValidationError as error:
            problems = [
                f"--{'-'.join(map(str, p['loc'][-1:]))}: {p['msg']}, got {p['input']!r}" for p in error.errors()
            ]
            raise BuilderError("\n".join(line.replace("_", "-", 1) for line in problems)) from error

    def notes(self) -> dict[str, str]:
        """Return facts that are less sure than measured ones, each with what it rests on, for the codec file."""
        return {name: origin for name, origin in self.origins.items() if origin in (ESTIMATED, UNFOUNDED)}

    def rows(self) -> list[list[str]]:
        """Return a table for users: fact, value, origin."""
        known = [name for name in ORDER if name in self.values]
        return [[name, _printed(self.values[name]), self.origins[name]] for name in known]


def _printed(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def first_facts(
    name: str, given: Mapping[str, Any], config: Mapping[str, Any], label_of: Callable[[str, int | None], int]
) -> FactSheet:
    """Return what is known before the codec has run.

    Args:
        given: by the user; ``None`` where nothing was said.
        config: what the checkpoint's own config tells.
        label_of: the label of a family in the dataset that the codec goes into; refuses another one that was given.
    """
    facts = FactSheet()
    facts.learn(GIVEN, given)
    facts.learn(ASSUMED, {"family": name.lower()})
    family = facts.values["family"]
    label = label_of(family, given.get("label"))
    if family in LABELS:
        facts.values.pop("label", None)  # it is the family's own, and stands in no codec file
    else:
        facts.learn("next free", {"label": label})
    facts.learn(CONFIG, config)
    return facts


def config_facts(folder: Path, bitrate: float | None) -> dict[str, float]:
    """Return the facts that the config of a transformers codec in ``folder`` states.

    Args:
        bitrate: that is wanted, bit/s, for codecs of several.
    """
    from codec_adapters.external.adapters.transformers_config import config_of, figures_of

    return figures_of(config_of(folder), folder, None if bitrate is None else bitrate / 1000)


def rough_hop(adapter: Adapter) -> int:
    """Estimate the hop of a codec of which nothing is known yet, so that it can be given whole frames; 1 where no
    estimate works.

    From the frames of a length that most hops divide; :func:`learn_by_measuring` finds the true one.
    """
    length = probe_samples(1)
    try:
        codes = adapter.encode(torch.zeros(1, length))
    except CodecError:
        return 1
    frames = max(scale.shape[-1] for scale in codes)
    hops = [hop for hop in range(1, length + 1) if length % hop == 0 and 0 <= frames - length // hop <= MOST_MORE]
    return max(hops, default=1)


def learn_by_measuring(facts: FactSheet, adapter: Adapter) -> None:
    """Measure the facts that are not known: hop, codebooks, bit rate, delay, and whether a clip's end depends on what
    follows.
    """
    waves = bundled_speech(adapter.sample_rate, SPEECH_CLIPS, SPEECH_SECONDS)
    codes = measure.measure_codes(adapter, waves)
    if codes is not None:
        if codes.hop != int(codes.hop):
            facts.remarks.append(f"frames come every {codes.hop:g} samples; give --hop as a whole number")
        else:
            facts.learn(MEASURED, {"hop": int(codes.hop)})
        facts.learn(MEASURED, {"codebooks": codes.codebooks, "quantizer": "multi" if codes.codebooks > 1 else "single"})
        if "bitrate" not in facts.values:
            facts.learn(MEASURED, {"bitrate": _bitrate(facts, adapter, waves)})
    else:
        rule = measure.measure_length_rule(adapter, waves)
        if rule.rounding in ("up", "down"):
            facts.learn(MEASURED, {"hop": rule.multiple})
    outputs = [measure.run_codec(adapter, wave) for wave in waves]
    delay = measure.measure_delay(adapter, waves, outputs)
    _learn_delay(facts, delay)
    reach = measure.measure_tail_reach(adapter, waves, facts.values["delay_samples"])
    facts.learn(MEASURED, {"tail_local": measure.is_tail_local(reach)})
    facts.remarks.append(f"gain: {measure.measure_gain(waves, outputs):+.2f} dB (clips get their source's level)")
    facts.learn(ASSUMED, {"auxiliary": "none", "decoder_domain": "time"})
    facts.learn(ASSUMED, dict.fromkeys(LICENCES[:2], "not stated"))


def _learn_delay(facts: FactSheet, delay: measure.Delay) -> None:
    """Take over a measured delay with what it rests on; where nothing tells it, 0 is assumed, and said to be."""
    if delay.tolerance is None:
        facts.learn(UNFOUNDED, {"delay_samples": 0})
        facts.remarks.append(f"delay: {delay}; 0 is assumed without evidence: give --delay-samples if you know better")
    elif delay.samples < -delay.tolerance:
        facts.learn(MEASURED, {"delay_samples": 0})
        facts.remarks.append(f"delay: {delay}: the output is ahead of the input, which no spec can say; 0 is written")
    else:
        facts.learn(ESTIMATED if delay.estimated else MEASURED, {"delay_samples": max(0, delay.samples)})


def _bitrate(facts: FactSheet, adapter: Adapter, waves: list[Any]) -> float:
    """Compute the bit rate from the size of the codebooks: as stated, or the power of two above the codes of speech."""
    scales = [adapter.encode(torch.from_numpy(wave)[None]) for wave in waves]
    size = facts.values.get("codebook_size")
    if size is None:
        largest = max(int(codes.max()) for clip in scales for codes in clip)
        size = 1 << largest.bit_length()
        facts.remarks.append(
            f"bitrate: for codebooks of {size} entries, since the largest code of the bundled speech is {largest}; "
            "give --codebook-size or --bitrate if that is not so"
        )
    seconds = sum(len(wave) for wave in waves) / adapter.sample_rate
    count = sum(codes.numel() for clip in scales for codes in clip)
    return round(count / seconds * math.log2(size), 1)
