"""Checks of calls as such: that they leave their input alone, and that many of them give what one gives.

Each check returns what it measured in words, or raises :class:`FailVerdict` or :class:`SkipVerdict`.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from codec_adapters.errors import InputError
from codecfake_builder.conformance.under_test import CodecUnderTest, FailVerdict, SkipVerdict

SHORT_CLIP_SECONDS = 0.4


def input_kept(codec: CodecUnderTest) -> str:
    """Check that a call does not write into the waveforms, or the codes, that it is given."""
    codec.skip_without_waveforms()
    wave = codec.waves[0]
    batch = torch.from_numpy(np.pad(wave, (0, codec.padding.padded(len(wave)) - len(wave))))[None].repeat(2, 1)
    before = batch.clone()
    codec.adapter.resynthesize(batch, [1, 2])
    if not torch.equal(batch, before):
        raise FailVerdict("resynthesize writes into its input")
    try:
        codes = codec.adapter.encode(batch)
        kept = [scale.clone() for scale in codes]
    except InputError:
        return "resynthesize leaves its input alone"
    except (Exception, SystemExit):  # noqa: BLE001 - a codec may raise anything; "codes" reports it
        return "resynthesize leaves its input alone; encode does not run, see codes"
    if not torch.equal(batch, before):
        raise FailVerdict("encode writes into its input")
    try:
        codec.adapter.decode(codes, [1, 2])
    except (Exception, SystemExit):  # noqa: BLE001 - a codec may raise anything; "codes" reports it
        return "resynthesize and encode leave their input alone; decode does not run, see codes"
    if not all(torch.equal(one, other) for one, other in zip(codes, kept, strict=True)):
        raise FailVerdict("decode writes into its codes")
    return "resynthesize, encode and decode leave their input alone"


def many_calls(codec: CodecUnderTest) -> str:
    """Check that a short clip gives the same at every one of many calls, as far as there is time for them."""
    if not codec.settings.calls:
        raise SkipVerdict("not asked for")
    codec.skip_if_unrepeatable()
    wave = codec.speech(SHORT_CLIP_SECONDS)
    first = codec.run([wave])[0]
    end = time.monotonic() + codec.settings.calls_seconds
    made = 1
    while made < codec.settings.calls and time.monotonic() < end:
        made += 1
        if problem := codec.difference(first, codec.run([wave])[0]):
            raise FailVerdict(f"the same input and seed give another output at call {made}: {problem}")
    few = "" if made == codec.settings.calls else f"; {codec.settings.calls_seconds:g} s gave no time for more"
    return f"{made} calls on {SHORT_CLIP_SECONDS:g} s give the same{few}"
