"""Find clips that are copies of each other, in any codec, at any level and shift, among many.

A fingerprint holds landmarks: pairs of peaks of the spectrogram, each hashed from their two frequencies and the time
between them (Wang, "An Industrial-Strength Audio Search Algorithm", ISMIR 2003). Of all landmarks those with the
smallest hashes are kept, so that two copies keep the same ones. Copies share many landmarks at one offset in time.

Measured on 100 clips of real and embedded speech (``tests/codecfake_builder/audit/test_fingerprints.py`` does so
again): a copy through MP3, Ogg or µ-law, shifted by 1 to 400 ms, louder or softer by 6 dB, with noise of -20 dB, or cut
by a fifth shares at least 16 of 64 landmarks, and 38 or more as a rule; two of 4,950 pairs of different clips share 3,
none more. Outputs of small codecs that stammer alike share up to 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from scipy import fft

from codecfake_builder.audio import RATE, Wave

Ints = np.ndarray[Any, np.dtype[np.int64]]

MOST_LANDMARKS = 64
"""Landmarks that are kept of a clip."""
LEAST_VOTES = 6
"""Landmarks at one offset in time that make two clips candidates."""
MOST_SHARERS = 200
"""A landmark that more utterances have tells nothing: it is left out."""
HOP = 128
"""Samples at 16 kHz between two frames: 8 ms."""
_WINDOW = 512
"""Samples at 8 kHz of a frame: 64 ms, so that a shift by a part of a frame changes little."""
_LOWEST = 13
"""First bin that is looked at: 203 Hz, above mains hum and what microphones cut."""
_FRAMES_AROUND, _BINS_AROUND = 24, 8
"""A peak is the largest value within so many frames and bins on each side."""
_FLOOR = 0.01
"""Peaks are at most 40 dB below the loudest frames."""
_NEIGHBOURS = 24
"""A peak is paired with so many of the next ones at most."""
_GAPS = range(4, 101)
"""Frames between the two peaks of a pair."""
_WIDEST = 120
"""Bins between them at most."""
_FRAMES_PER_STEP, _BINS_PER_STEP = 6, 2
"""Steps in which times and frequencies go into the hash."""
_PAIRS_AT_A_TIME = 1 << 21
"""Pairs of landmarks that are counted at a time: about 100 MB."""


@dataclass(frozen=True)
class Fingerprint:
    """The landmarks of a clip, at most :data:`MOST_LANDMARKS`, by hash."""

    hashes: np.ndarray[Any, np.dtype[np.uint32]]
    """Ascending, each once."""
    frames: np.ndarray[Any, np.dtype[np.uint16]]
    """Where each begins, in frames of 8 ms."""


def fingerprint(wave: Wave) -> Fingerprint:
    """Return the fingerprint of a clip; it has no landmarks where there is nothing but silence or one steady sound.

    Args:
        wave: float32 ``[samples]`` at 16 kHz; of more than 8 minutes the first are looked at.
    """
    times, bins = _peaks(wave[: HOP * np.iinfo(np.uint16).max])
    hashes, frames = [], []
    for step in range(1, min(_NEIGHBOURS, len(times) - 1) + 1):
        gap, width = times[step:] - times[:-step], np.abs(bins[step:] - bins[:-step])
        taken = (gap >= _GAPS.start) & (gap < _GAPS.stop) & (width <= _WIDEST)
        low, high, gap = (part[taken].astype(np.uint64) for part in (bins[:-step], bins[step:], gap))
        hashes.append(
            (low // _BINS_PER_STEP << np.uint64(16))
            | (high // _BINS_PER_STEP << np.uint64(8))
            | gap // _FRAMES_PER_STEP
        )
        frames.append(times[:-step][taken])
    if not hashes:
        return Fingerprint(np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.uint16))
    kept, first = np.unique(_mixed(np.concatenate(hashes)), return_index=True)
    return Fingerprint(kept[:MOST_LANDMARKS], np.concatenate(frames)[first[:MOST_LANDMARKS]].astype(np.uint16))


def near_duplicates(fingerprints: Sequence[Fingerprint], same: Any) -> Iterator[tuple[int, int, int]]:
    """Yield candidates for copies: two rows, the smaller first, and how many landmarks they share at one offset.

    Memory grows with the number of clips, not with that of pairs.

    Args:
        fingerprints: one per clip.
        same: ``[clips]``: clips of equal numbers, as those of one utterance, are no candidates for each other.
    """
    sizes = [len(item.hashes) for item in fingerprints]
    if not sum(sizes):
        return
    rows = np.repeat(np.arange(len(sizes)), sizes)
    hashes = np.concatenate([item.hashes for item in fingerprints])
    frames = np.concatenate([item.frames for item in fingerprints]).astype(np.int64)
    _, same = np.unique(np.asarray(same), return_inverse=True)
    order = np.argsort(hashes, kind="stable")  # rows ascend within a hash
    kept = order[_telling(hashes[order], same[rows[order]])]
    hashes, rows, frames = hashes[kept], rows[kept], frames[kept]
    ends = np.searchsorted(hashes, hashes, side="right")
    by_row = np.argsort(rows, kind="stable")
    for entries in _portions(by_row, rows, (ends - np.arange(len(ends)) - 1)[by_row]):
        yield from _candidates(entries, ends, rows, frames, same)


def _peaks(wave: Wave) -> tuple[Ints, Ints]:
    """Return frames and bins of the peaks of a clip's spectrogram, in the order of time."""
    half = soxr.resample(wave, RATE, RATE // 2, quality="LQ")  # speech has its strongest peaks below 4 kHz
    half = np.pad(half, (0, max(0, _WINDOW - len(half))))
    frames = np.lib.stride_tricks.sliding_window_view(half, _WINDOW)[:: HOP // 2]
    levels = np.abs(fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=1))[:, _LOWEST:]
    around = _running_maximum(_running_maximum(levels, _FRAMES_AROUND).T, _BINS_AROUND).T
    loud = np.quantile(levels.max(axis=1), 0.95)
    times, bins = np.nonzero((levels == around) & (levels > _FLOOR * loud))
    return times, bins


def _running_maximum(values: Any, around: int) -> Any:
    """Return the maximum over so many values on each side along the first axis, by doubling the width."""
    width, done = 2 * around + 1, 1
    found = np.pad(np.ascontiguousarray(values), ((around, around), (0, 0)))
    while 2 * done <= width:
        found = np.maximum(found[:-done], found[done:])
        done *= 2
    rest = width - done
    return np.maximum(found[: len(found) - rest], found[rest:])


def _mixed(values: Any) -> Any:
    """Return 32-bit hashes in which nothing of a landmark's frequencies shows, so that the smallest are a fair choice
    (the finisher of SplitMix64)."""
    values = values * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (values >> np.uint64(32)).astype(np.uint32)


def _telling(hashes: Any, same: Any) -> Any:
    """Return which entries, ordered by hash, have a hash of more than one utterance and of not too many."""
    order = np.lexsort((same, hashes))
    ordered, owners = hashes[order], same[order]
    new_hash = np.r_[True, ordered[1:] != ordered[:-1]]
    new_owner = new_hash | np.r_[True, owners[1:] != owners[:-1]]
    starts = np.flatnonzero(new_hash)
    sharers = np.add.reduceat(new_owner.astype(np.int64), starts)
    number = np.cumsum(new_hash) - 1  # the same in both orders, since both go by hash
    return (sharers[number] > 1) & (sharers[number] <= MOST_SHARERS)


def _portions(by_row: Any, rows: Any, partners: Any) -> Iterator[Any]:
    """Yield entries in portions with few enough partners, whole rows each."""
    if not len(by_row):
        return
    totals = np.cumsum(partners)
    starts = np.flatnonzero(np.r_[True, rows[by_row][1:] != rows[by_row][:-1]])
    portion = (totals[starts] - partners[starts]) // _PAIRS_AT_A_TIME
    cuts = starts[np.r_[True, portion[1:] != portion[:-1]]]
    yield from np.split(by_row, cuts[1:])


def _candidates(entries: Any, ends: Any, rows: Any, frames: Any, same: Any) -> Iterator[tuple[int, int, int]]:
    """Yield the candidates whose first rows are those of some entries."""
    partners = ends[entries] - entries - 1
    first = np.repeat(entries, partners)
    place = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    second = first + 1 + place
    apart = same[rows[first]] != same[rows[second]]
    first, second = first[apart], second[apart]
    span = 1 << 18  # more than there are offsets, so that those of two pairs are never neighbours
    offsets = frames[first] - frames[second] + (span >> 1)
    keys, counts = np.unique((rows[first] * len(same) + rows[second]) * span + offsets, return_counts=True)
    votes = counts.copy()  # of an offset and the two above it: copies lie between frames
    for step in (1, 2):
        follows = keys[step:] - keys[:-step]
        votes[:-step] += np.where(follows <= 2, counts[step:], 0)
    pairs = keys // span
    many = votes >= LEAST_VOTES
    found, starts = np.unique(pairs[many], return_index=True)
    if len(found):
        best = np.maximum.reduceat(votes[many], starts)
        for pair, number in zip(found.tolist(), best.tolist(), strict=True):
            yield pair // len(same), pair % len(same), number
