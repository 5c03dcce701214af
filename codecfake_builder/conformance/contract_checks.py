"""Checks of the adapter contract: the same clip gives the same output, whatever its batch and whatever came before.

Each check returns what it measured in words, or raises :class:`FailVerdict` or :class:`SkipVerdict`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from codec_adapters.errors import InputError
from codecfake_builder.audio import Wave
from codecfake_builder.conformance import measure
from codecfake_builder.conformance.offline import network_refused
from codecfake_builder.conformance.under_test import CodecUnderTest, FailVerdict, SkipVerdict

LOUDEST_PEAK = 4.0
"""Full scale is 1. No codec reaches this peak for speech within full scale; output in 16-bit integers exceeds it."""


def loads_offline(codec: CodecUnderTest) -> str:
    """Check that the codec loads again while every connection is refused."""
    if codec.load is None:
        raise SkipVerdict("there is no way to load it again")
    with network_refused() as attempts:
        try:
            codec.fresh = codec.load()
        except Exception as error:  # a codec may raise anything; was the network the reason?
            if attempts:
                raise FailVerdict(f"needs {attempts[0]} to load: {one_line(error)}") from error
            raise
    return f"asked for {attempts[0]}, and loads without" if attempts else "loads without a network"


def deterministic(codec: CodecUnderTest) -> str:
    """Check that the same input and seed give the same output, at once and after other inputs."""
    if codec.repeat_problem:
        raise FailVerdict(codec.repeat_problem)
    return "equal runs agree, at once and with other inputs between"


def seeds(codec: CodecUnderTest) -> str:
    """Check that a seed changes its own item only, and that no seeds are the same as zeros."""
    codec.skip_if_unrepeatable()
    wave = codec.waves[0]
    first, second, third = codec.run([wave] * 3, [1, 2, 1])
    alone = codec.run([wave], [2])[0]
    for one, other, words in ((first, third, "two items with one seed"), (second, alone, "an item among others")):
        if problem := codec.difference(one, other, codec.tolerance):
            raise FailVerdict(f"{words}: {problem}")
    batch = torch.from_numpy(wave[None])
    without = codec.adapter.resynthesize(batch)[0].cpu().numpy()
    if problem := codec.difference(without, codec.adapter.resynthesize(batch, [0])[0].cpu().numpy()):
        raise FailVerdict(f"no seeds are not the same as zeros: {problem}")
    return (
        "a random step from each item's seed" if codec.difference(first, second, codec.tolerance) else "no random step"
    )


def batch_invariance(codec: CodecUnderTest) -> str:
    """Check that each item of a batch of different clips and seeds gives the output it gives alone."""
    codec.skip_if_unrepeatable()
    length = min(map(len, codec.waves))
    waves = [wave[:length] for wave in codec.waves]
    quiet = [*waves, 0.01 * waves[0], np.zeros_like(waves[0])]  # a leak from a loud item shows in these
    numbers = list(range(1, len(quiet) + 1))
    together = codec.run(quiet, numbers)
    most = 0.0
    for item, (wave, seed) in enumerate(zip(quiet, numbers, strict=True)):
        alone = codec.run([wave], [seed])[0]
        if len(alone) != len(together[item]):
            raise FailVerdict(f"item {item + 1} of {len(quiet)}: {len(together[item])} samples, alone {len(alone)}")
        most = max(most, float(np.abs(alone - together[item]).max()))
    words = f"a batch of {len(quiet)} differs from its items alone by at most {most:.1g} of full scale"
    if not codec.is_float32:
        raise SkipVerdict(f"{words}; in half precision that is not promised")
    if most > codec.tolerance:
        raise FailVerdict(words)
    return words


def thread_safety(codec: CodecUnderTest) -> str:
    """Check that several threads at once get the outputs that they get one after the other."""
    codec.skip_if_unrepeatable()
    jobs = [(codec.waves[n % len(codec.waves)], n + 1) for n in range(codec.settings.threads)]
    serial = [codec.run([wave], [seed])[0] for wave, seed in jobs]
    outcomes: list[Wave | Exception] = []
    together = threading.Barrier(len(jobs))

    def work(number: int) -> None:
        wave, seed = jobs[number]
        together.wait()
        try:
            outcomes[number] = codec.run([wave], [seed])[0]
        except Exception as error:  # noqa: BLE001 - a codec may raise anything; it fails this check
            outcomes[number] = error

    for _ in range(2):
        outcomes[:] = [RuntimeError("a thread ended without a word")] * len(jobs)
        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(jobs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for alone, outcome in zip(serial, outcomes, strict=True):
            if not isinstance(outcome, np.ndarray):
                raise FailVerdict(f"in several threads at once: {one_line(outcome)}")
            if problem := codec.difference(alone, outcome):
                raise FailVerdict(f"another output in several threads at once: {problem}")
    return f"{len(jobs)} threads at once, twice, give the serial outputs"


def any_length(codec: CodecUnderTest) -> str:
    """Check that clips of all lengths, padded as builds pad them, come back whole."""
    codec.skip_without_waveforms()
    lengths = codec.settings.seconds
    for seconds in lengths:
        codec.restored_passage(seconds)
    return f"{len(lengths)} lengths from {min(lengths):g} to {max(lengths):g} s"


def length_rule(codec: CodecUnderTest) -> str:
    """Check that, without padding, the output is as long as the input up to a frame and the delay."""
    codec.skip_without_waveforms()
    adapter = codec.adapter
    frame = max(adapter.hop, adapter.length_multiple)
    base = -(-adapter.sample_rate // 3 // frame) * frame
    around = [base + more for more in (-1, 0, 1, frame // 2, frame - 1)]
    rule = measure.measure_length_rule(adapter, codec.waves, sorted(set(around)))
    slack = round(codec.settings.policy.max_missing_seconds * adapter.sample_rate)
    most = frame + adapter.spec.delay_samples + slack
    for given, out in rule.lengths:
        if abs(out - given) > most:
            raise FailVerdict(f"{given} samples in, {out} out, more than {most} apart; {rule}")
    return str(rule)


def nonsense_refused(codec: CodecUnderTest) -> str:
    """Check that input that is no batch of waveforms is refused with :class:`InputError`."""
    wave = torch.zeros(1, max(1000, codec.adapter.length_multiple))
    cases: list[tuple[str, Any, Sequence[int] | None]] = [
        ("8 channels", torch.zeros(1, 8, 1000), None),
        ("one dimension", wave[0], None),
        ("float64", wave.double(), None),
        ("16-bit integers", wave.short(), None),
        ("no samples", wave[:, :0], None),
        ("an empty batch", wave[:0], None),
        ("an array", wave.numpy(), None),
        ("two seeds for one clip", wave, [1, 2]),
    ]
    for words, wav, numbers in cases:
        try:
            codec.adapter.resynthesize(wav, numbers)
        except InputError:
            continue
        except Exception as error:  # a codec may raise anything; here only InputError is right
            raise FailVerdict(f"{words}: raises {one_line(error)}, not InputError") from error
        raise FailVerdict(f"{words}: accepted")
    return f"{len(cases)} kinds"


def output(codec: CodecUnderTest) -> str:
    """Check that speech gives finite float32 ``[batch, samples]`` on the adapter's device, with a plausible peak."""
    wave = codec.waves[0]
    padded = np.pad(wave, (0, codec.padding.padded(len(wave)) - len(wave)))
    out = codec.adapter.resynthesize(torch.from_numpy(padded)[None].repeat(2, 1), [1, 2])
    if not isinstance(out, torch.Tensor):
        raise FailVerdict(f"a {type(out).__name__}, expected a tensor")
    if out.dtype != torch.float32 or out.ndim != 2 or out.shape[0] != 2 or not out.shape[1]:
        raise FailVerdict(f"{out.dtype} {list(out.shape)} for a batch of two, expected float32 [2, samples]")
    if out.device.type != codec.adapter.device.type:
        raise FailVerdict(f"on {out.device}, the adapter is on {codec.adapter.device}")
    if wrong := int((~torch.isfinite(out)).sum()):
        raise FailVerdict(f"{wrong} of {out.numel()} samples are NaN or infinite")
    peak = float(out.abs().max())
    if peak > LOUDEST_PEAK:
        raise FailVerdict(f"peak {peak:.1f} for speech with peak {np.abs(wave).max():.2f}; full scale is 1")
    codec.output_passed = True
    return f"peak {peak:.2f} for speech with peak {np.abs(wave).max():.2f}"


def one_line(error: object) -> str:
    """Return the type and the first line of an exception."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
