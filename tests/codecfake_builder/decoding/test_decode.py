"""Files of every kind: read whole, or rejected; odd headers, tags, junk, absurd promises."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from codecfake_builder.decoding.decode import decode
from codecfake_builder.decoding.mpeg import mpeg_frames
from codecfake_builder.rejections import RejectedError
from tests.kit.synthetic import voice

SAMPLES = 15999
"""An odd number, so that 8-bit and 24-bit files need a pad byte."""
KINDS = {
    "wav": ("WAV", "PCM_16", "FILE"),
    "wav u8": ("WAV", "PCM_U8", "FILE"),
    "wav 24": ("WAV", "PCM_24", "FILE"),
    "wav float": ("WAV", "FLOAT", "FILE"),
    "wav a-law": ("WAV", "ALAW", "FILE"),
    "wav big-endian": ("WAV", "PCM_16", "BIG"),
    "wav extensible": ("WAVEX", "PCM_24", "FILE"),
    "rf64": ("RF64", "PCM_16", "FILE"),
    "w64": ("W64", "PCM_16", "FILE"),
    "aiff": ("AIFF", "PCM_16", "FILE"),
    "aiff 24": ("AIFF", "PCM_24", "FILE"),
    "aiff float": ("AIFF", "FLOAT", "FILE"),
    "aiff little-endian": ("AIFF", "PCM_16", "LITTLE"),
    "au": ("AU", "PCM_16", "FILE"),
    "caf": ("CAF", "PCM_16", "FILE"),
    "flac": ("FLAC", "PCM_16", "FILE"),
    "flac 24": ("FLAC", "PCM_24", "FILE"),
    "ogg": ("OGG", "VORBIS", "FILE"),
    "opus": ("OGG", "OPUS", "FILE"),
    "mp3": ("MP3", "MPEG_LAYER_III", "FILE"),
}


def written(kind: str, wave: np.ndarray | None = None, rate: int = 16000) -> bytes:
    file_format, subtype, endian = KINDS[kind]
    buffer = io.BytesIO()
    wave = voice(1, rate, 1)[:SAMPLES] if wave is None else wave
    soundfile.write(buffer, wave, rate, format=file_format, subtype=subtype, endian=endian)
    return buffer.getvalue()


FILES = {kind: written(kind) for kind in KINDS}


def put(data: bytes, position: int, layout: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, position, *values)
    return bytes(changed)


def samples(data: bytes) -> int:
    return len(decode(data)[0])


def reason(data: bytes) -> str:
    with pytest.raises(RejectedError) as caught:
        decode(data)
    assert "0x" not in caught.value.detail
    assert "\n" not in caught.value.detail
    return str(caught.value.reason)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read_whole(kind: str) -> None:
    wave, rate = decode(FILES[kind])
    assert (len(wave), rate) == (SAMPLES, 16000)
    if kind not in ("ogg", "opus", "mp3"):
        assert np.allclose(wave, voice(1, 16000, 1)[:SAMPLES], atol=0.03)


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(list(KINDS)), share=st.floats(0, 1))
def test_a_file_that_is_cut_anywhere_is_rejected(kind: str, share: float) -> None:
    data = FILES[kind]
    end = len(data) - 2 if kind in ("wav u8", "wav 24", "wav extensible", "aiff 24", "wav a-law") else len(data) - 1
    assert reason(data[: round(share * end)]) in ("truncated", "unreadable", "empty")


@pytest.mark.parametrize("lacking", range(1, 5))
def test_an_mp3_that_lacks_just_its_last_frame_is_rejected(lacking: int) -> None:
    """One frame less is what programs count otherwise; the size that the file states tells."""
    data = FILES["mp3"]
    last = data.rfind(data[:2])
    while not (len(data[:last]) and mpeg_frames(data[:last]).frames == mpeg_frames(data).frames - 1):
        last = data.rfind(data[:2], 0, last)
    assert reason(data[: last + lacking - 1]) == "truncated"


@pytest.mark.parametrize("kind", KINDS)
def test_junk_and_tags_at_the_end_change_nothing(kind: str) -> None:
    tag = b"TAG" + bytes(125)
    for junk in (bytes(100), tag, b"LIST\x04\0\0\0abcd", np.random.default_rng(1).bytes(301)):
        assert samples(FILES[kind] + junk) == SAMPLES


@pytest.mark.parametrize("seed", range(20))
def test_junk_behind_an_mp3_is_no_cut_frame(seed: int) -> None:
    junk = np.random.default_rng(seed).bytes(3000)
    assert samples(FILES["mp3"] + junk) == SAMPLES


@pytest.mark.parametrize(
    ("whole", "data"),
    [
        (0, 0),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x7FFFF024, 0x7FFFF000),
        (0x7FFFF023, 0x7FFFEFFF),
        (0x80000024, 0x80000000),
        (0xFFFFFFFF, 0xFFFFFFD3),
        (0x7FFFFF24, 0x7FFFFF00),
        (0xFFFFFFFF, SAMPLES * 2),
        (0, SAMPLES * 2),
        (10**6, SAMPLES * 2),
        (100, SAMPLES * 2),
    ],
)
def test_the_sizes_of_a_streamed_wav_mean_nothing(whole: int, data: int) -> None:
    wav = put(put(FILES["wav"], 4, "<I", whole), 40, "<I", data)
    assert samples(wav) == SAMPLES
    if data == SAMPLES * 2:
        assert reason(wav[:-2]) == "truncated"


def test_other_fields_promise_what_the_data_chunk_does_not() -> None:
    wav = put(FILES["wav"], 40, "<I", 0xFFFFFFFF)
    assert reason(wav[: len(wav) // 2]) == "truncated"  # by the size of the whole file
    at = FILES["wav float"].index(b"data") + 4
    floats = put(put(FILES["wav float"], at, "<I", 0xFFFFFFFF), 4, "<I", 0xFFFFFFFF)
    assert samples(floats) == SAMPLES
    assert reason(floats[: len(floats) // 2]) == "truncated"  # by the fact chunk
    sound = FILES["aiff"].index(b"SSND") + 4
    aiff = put(put(FILES["aiff"], 4, ">I", 0), sound, ">I", 0)
    assert samples(aiff) == SAMPLES
    assert reason(aiff[: len(aiff) // 2]) == "truncated"  # by the common chunk
    assert reason(put(FILES["aiff"], FILES["aiff"].index(b"COMM") + 10, ">I", 20000)) == "truncated"


def test_streamed_files_of_other_kinds_are_read_whole() -> None:
    long = FILES["rf64"].index(b"ds64") + 8
    for size in (0, (1 << 64) - 1):
        assert samples(put(FILES["rf64"], long, "<QQ", size, size)) == SAMPLES
    assert samples(b"BW64" + FILES["rf64"][4:]) == SAMPLES
    common, sound = FILES["aiff"].index(b"COMM") + 10, FILES["aiff"].index(b"SSND") + 4
    piped = put(put(put(FILES["aiff"], 4, ">I", 0x7F00002E), common, ">I", 0x3F800000), sound, ">I", 0x7F000008)
    assert samples(piped) == SAMPLES
    for size in (0, 0xFFFFFFFF):
        assert samples(put(FILES["au"], 8, ">I", size)) == SAMPLES
    assert samples(put(FILES["caf"], FILES["caf"].index(b"data") + 4, ">q", -1)) == SAMPLES


def test_an_honestly_empty_file_is_empty() -> None:
    empty = put(put(FILES["wav"][:44], 4, "<I", 36), 40, "<I", 0)
    assert reason(empty) == "empty"
    assert reason(put(empty, 4, "<I", 52) + b"LIST\x08\0\0\0INFOabcd") == "empty"


@pytest.mark.parametrize("size", [4, 5])
def test_chunks_before_and_after_the_samples_are_skipped(size: int) -> None:
    extra = b"LIST" + struct.pack("<I", size) + b"INFOx"[:size] + bytes(size % 2)
    wav = FILES["wav"]
    for data in (wav[:36] + extra + wav[36:], wav + extra):
        assert samples(put(data, 4, "<I", len(data) - 8)) == SAMPLES


def flac(total: int, md5: bytes | None = None) -> bytes:
    data = FILES["flac"]
    packed = int.from_bytes(data[18:26], "big") >> 36 << 36 | total
    return data[:18] + packed.to_bytes(8, "big") + (data[26:42] if md5 is None else md5) + data[42:]


@pytest.mark.parametrize("md5", [None, bytes(16)])
def test_the_total_of_a_flac_is_held_against_its_samples(md5: bytes | None) -> None:
    tag = b"TAG" + bytes(125)
    unknown = flac(0, md5)
    assert samples(unknown) == samples(unknown + tag) == SAMPLES
    for share in (0.3, 0.7, 0.99):
        assert reason(unknown[: int(len(unknown) * share)]) == "truncated"
    for total in (SAMPLES + 1, 1 << 30, (1 << 36) - 1):
        assert reason(flac(total, md5)) == "truncated"


def test_a_flac_that_has_more_than_it_says_is_not_shortened() -> None:
    assert reason(flac(100)) == "unreadable"  # its MD5 is another one
    assert samples(flac(100, bytes(16))) == SAMPLES


def test_a_changed_byte_within_a_flac_is_found() -> None:
    data = bytearray(FILES["flac"])
    data[len(data) // 2] ^= 0xFF
    assert reason(bytes(data)) in ("unreadable", "truncated")


def test_a_damaged_or_missing_page_of_ogg_is_found() -> None:
    data = written("ogg", voice(20, 16000, 1))
    pages = [position for position in range(len(data)) if data[position : position + 4] == b"OggS"]
    flipped = bytearray(data)
    flipped[pages[3] + 100] ^= 1
    assert reason(bytes(flipped)) == "unreadable"
    assert reason(data[: pages[3]] + data[pages[4] :]) == "unreadable"
    assert reason(data[: pages[-1]]) == "truncated"


@pytest.mark.parametrize("count", [0, 5, 28])
def test_an_mp3_is_not_shortened_by_a_wrong_count(count: int) -> None:
    at = max(FILES["mp3"].find(b"Xing"), FILES["mp3"].find(b"Info")) + 8
    assert samples(put(FILES["mp3"], at, ">I", count)) >= SAMPLES


def test_an_mp3_in_a_wrapping_of_tags_is_read_whole() -> None:
    front = b"ID3\x04\0\0\0\0\0\x10" + bytes(16)
    tags = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0x80000000) + bytes(8) + b"TAG" + bytes(125)
    assert samples(front + FILES["mp3"] + tags) == SAMPLES


@pytest.mark.parametrize("rate", [0, 1, 999, 768001, 10**9, 1 << 31, (1 << 32) - 1])
def test_absurd_rates_are_refused(rate: int) -> None:
    assert reason(put(FILES["wav"], 24, "<I", rate)) == "unreadable"


@pytest.mark.parametrize("channels", [0, 65, 255, 256, 1024, 65535])
def test_absurd_numbers_of_channels_are_refused(channels: int) -> None:
    assert reason(put(FILES["wav"], 22, "<H", channels)) == "unreadable"


def bomb() -> bytes:
    return written("flac", np.zeros((48000 * 600, 8), np.int16), 48000)


def promise() -> bytes:
    """Four hours of eight channels, of which nothing is there."""
    return put(put(put(FILES["wav"], 22, "<H", 8), 32, "<H", 16), 40, "<I", 4 * 3600 * 16000 * 16)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (bomb, "too_long"),
        (promise, "truncated"),
        (lambda: flac((1 << 36) - 1), "truncated"),
        (lambda: b"\xff" * 20_000_000, "unreadable"),
        (lambda: b"\xff\xfb\x90\x00" * 5_000_000, "unreadable"),
        (lambda: b"RIFF\0\0\0\0WAVE" + b"abcd\0\0\0\0" * 2_500_000, "unreadable"),
        (lambda: flac(0, bytes(16)) + b"\xff\xf8" * 300_000, "truncated"),
        (lambda: (b"OggS" + bytes(23)) * 500_000, "unreadable"),
    ],
)
def test_no_header_takes_much_memory_or_time(make: Callable[[], bytes], expected: str) -> None:
    data = make()
    tracemalloc.start()
    started = time.monotonic()
    assert reason(data) == expected
    assert time.monotonic() - started < 20
    assert tracemalloc.get_traced_memory()[1] < 10 * len(data) + (64 << 20)
    tracemalloc.stop()


def test_channels_that_cancel_each_other_are_no_silent_clip() -> None:
    wave = voice(1, 16000, 1)
    assert reason(written("wav", np.stack([wave, -wave], axis=1))) == "silent"
    assert reason(written("wav", np.stack([wave, -0.95 * wave], axis=1))) == "silent"
    assert samples(written("wav", np.stack([wave, 0 * wave], axis=1))) == 16000
    assert samples(written("wav", np.stack([wave, voice(1, 16000, 2)], axis=1))) == 16000


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_values_that_are_no_samples_are_rejected(value: float) -> None:
    wave = np.stack([voice(1, 16000, 1)] * 2, axis=1)
    wave[100] = value
    assert reason(written("wav float", wave)) == "non_finite"
