"""Checks of what the engine relies on: the same clip gives the same output, whatever stands beside it or came before.

Each returns what it measured in words, or raises :class:`Failed` or :class:`NotJudged`.
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
from codecfake_builder.conformance.subject import Failed, NotJudged, Subject

LOUDEST_PEAK = 4.0
"""No codec answers speech within full scale with a peak above this; an output in 16-bit integers does."""


def loads_offline(subject: Subject) -> str:
    """It can be loaded once more with every connection refused."""
    if subject.load is None:
        raise NotJudged("there is no way to load it again")
    with network_refused() as attempts:
        try:
            subject.load()
        except Exception as error:  # whatever it is: was it for want of a network?
            if attempts:
                raise Failed(f"needs {attempts[0]} to load: {one_line(error)}") from error
            raise
    return f"asked for {attempts[0]}, and loads without" if attempts else "loads without a network"


def deterministic(subject: Subject) -> str:
    """Same input, same seed, same output: at once, and after other inputs."""
    if subject.repeats_itself:
        raise Failed(subject.repeats_itself)
    return "equal runs agree, at once and with other inputs between"


def seeds(subject: Subject) -> str:
    """A seed decides the random step of its own item and of no other; no seeds are zeros."""
    subject.need_repeatable()
    wave = subject.waves[0]
    first, second, third = subject.run([wave] * 3, [1, 2, 1])
    alone = subject.run([wave], [2])[0]
    for one, other, words in ((first, third, "two items with one seed"), (second, alone, "an item among others")):
        if problem := subject.differ(one, other, subject.same):
            raise Failed(f"{words}: {problem}")
    batch = torch.from_numpy(wave[None])
    without = subject.adapter.resynthesize(batch)[0].cpu().numpy()
    if problem := subject.differ(without, subject.adapter.resynthesize(batch, [0])[0].cpu().numpy()):
        raise Failed(f"no seeds are not the same as zeros: {problem}")
    return "a random step from each item's seed" if subject.differ(first, second, subject.same) else "no random step"


def batch_invariance(subject: Subject) -> str:
    """Each item of a batch of different clips and seeds comes out as if it were alone."""
    subject.need_repeatable()
    length = min(map(len, subject.waves))
    waves = [wave[:length] for wave in subject.waves]
    quiet = [*waves, 0.01 * waves[0], np.zeros_like(waves[0])]  # what leaks from a loud neighbour shows in these
    numbers = list(range(1, len(quiet) + 1))
    together = subject.run(quiet, numbers)
    most = 0.0
    for item, (wave, seed) in enumerate(zip(quiet, numbers, strict=True)):
        alone = subject.run([wave], [seed])[0]
        if len(alone) != len(together[item]):
            raise Failed(f"item {item + 1} of {len(quiet)}: {len(together[item])} samples, alone {len(alone)}")
        most = max(most, float(np.abs(alone - together[item]).max()))
    words = f"a batch of {len(quiet)} differs from its items alone by at most {most:.1g} of full scale"
    if not subject.exact_dtype:
        raise NotJudged(f"{words}; in half precision that is not promised")
    if most > subject.same:
        raise Failed(words)
    return words


def thread_safety(subject: Subject) -> str:
    """Several threads at once get what they would get one after the other."""
    subject.need_repeatable()
    jobs = [(subject.waves[n % len(subject.waves)], n + 1) for n in range(subject.settings.threads)]
    serial = [subject.run([wave], [seed])[0] for wave, seed in jobs]
    outcomes: list[Wave | Exception] = []
    together = threading.Barrier(len(jobs))

    def work(number: int) -> None:
        wave, seed = jobs[number]
        together.wait()
        try:
            outcomes[number] = subject.run([wave], [seed])[0]
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the verdict
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
                raise Failed(f"in several threads at once: {one_line(outcome)}")
            if problem := subject.differ(alone, outcome):
                raise Failed(f"another output in several threads at once: {problem}")
    return f"{len(jobs)} threads at once, twice, give the serial outputs"


def any_length(subject: Subject) -> str:
    """Clips from a tenth of a second on pass through the engine's padding and come back whole."""
    subject.need_waveforms()
    lengths = subject.settings.seconds
    for seconds in lengths:
        wave = subject.speech(seconds)
        length = subject.rule.padded(len(wave))
        out = subject.adapter.resynthesize(torch.from_numpy(np.pad(wave, (0, length - len(wave))))[None], [1])
        subject.restored(wave, out[0].cpu().numpy())
    return f"{len(lengths)} lengths from {min(lengths):g} to {max(lengths):g} s"


def length_rule(subject: Subject) -> str:
    """Round the codec's own frame, unpadded: the output is as long as the input but for a frame and the delay."""
    subject.need_waveforms()
    adapter = subject.adapter
    frame = max(adapter.hop, adapter.length_multiple)
    base = -(-adapter.sample_rate // 3 // frame) * frame
    around = [base + more for more in (-1, 0, 1, frame // 2, frame - 1)]
    rule = measure.measure_length_rule(adapter, subject.waves, sorted(set(around)))
    slack = round(subject.settings.policy.max_missing_seconds * adapter.sample_rate)
    most = frame + adapter.spec.delay_samples + slack
    for given, out in rule.lengths:
        if abs(out - given) > most:
            raise Failed(f"{given} samples in, {out} out, more than {most} apart; {rule}")
    return str(rule)


def nonsense_refused(subject: Subject) -> str:
    """What is no batch of waveforms is refused with :class:`InputError`, whatever it is."""
    wave = torch.zeros(1, max(1000, subject.adapter.length_multiple))
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
            subject.adapter.resynthesize(wav, numbers)
        except InputError:
            continue
        except Exception as error:  # whatever it is, it is no InputError
            raise Failed(f"{words}: raises {one_line(error)}, not InputError") from error
        raise Failed(f"{words}: accepted")
    return f"{len(cases)} kinds"


def output(subject: Subject) -> str:
    """Speech gives float32 [batch, samples] on the adapter's device, finite, with a peak that can be speech's."""
    wave = subject.waves[0]
    padded = np.pad(wave, (0, subject.rule.padded(len(wave)) - len(wave)))
    out = subject.adapter.resynthesize(torch.from_numpy(padded)[None].repeat(2, 1), [1, 2])
    if not isinstance(out, torch.Tensor):
        raise Failed(f"a {type(out).__name__}, expected a tensor")
    if out.dtype != torch.float32 or out.ndim != 2 or out.shape[0] != 2 or not out.shape[1]:
        raise Failed(f"{out.dtype} {list(out.shape)} for a batch of two, expected float32 [2, samples]")
    if out.device.type != subject.adapter.device.type:
        raise Failed(f"on {out.device}, the adapter is on {subject.adapter.device}")
    if wrong := int((~torch.isfinite(out)).sum()):
        raise Failed(f"{wrong} of {out.numel()} samples are NaN or infinite")
    peak = float(out.abs().max())
    if peak > LOUDEST_PEAK:
        raise Failed(f"peak {peak:.1f} for speech with peak {np.abs(wave).max():.2f}; full scale is 1")
    return f"peak {peak:.2f} for speech with peak {np.abs(wave).max():.2f}"


def one_line(error: object) -> str:
    """An exception in one line."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
