"""Audio files with any damage: samples that a clip can be made of, or a rejection of one line; never a traceback, and
never more memory or time than the file and the limit of its samples call for."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codecfake_builder.decoding.decode import RATES, decode
from codecfake_builder.rejections import RejectedError
from tests.kit.synthetic import voice

MOST_VALUES = 1 << 20
KINDS = (
    *(
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("WAV", "PCM_24"),
        ("WAV", "ULAW"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "MS_ADPCM"),
    ),
    *(("WAV", "GSM610"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16")),
    *(
        ("AIFF", "FLOAT"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("CAF", "ALAC_16"),
        ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"),
    ),
    *(("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")),
)
EXTREMES = (
    0,
    1,
    2,
    3,
    255,
    256,
    0x7FFF,
    0xFFFF,
    0x7FFFF000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 36,
    (1 << 64) - 1,
)


def _written(file_format: str, subtype: str, channels: int) -> bytes:
    wave = voice(0.25, 16000, 1)
    if subtype == "GSM610":
        channels = 1
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([wave] * channels, axis=1), 16000, format=file_format, subtype=subtype)
    return buffer.getvalue()


FILES = [_written(*kind, channels) for kind in KINDS for channels in (1, 2)]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file with changed fields, cut, lengthened, or with a piece taken out, doubled or of another file."""
    data = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(0, 4))):
        reach = draw(st.sampled_from((64, 256, len(data))))
        position = draw(st.integers(0, max(0, min(reach, len(data)) - 1)))
        match draw(st.sampled_from(("field", "bits", "cut", "out", "twice", "other", "tail"))):
            case "field":
                layout = draw(st.sampled_from(("B", "<H", ">H", "<I", ">I", "<Q", ">Q")))
                width = struct.calcsize(layout)
                if position + width <= len(data):
                    value = draw(st.sampled_from(EXTREMES) | st.integers(0, (1 << 64) - 1)) % (1 << 8 * width)
                    struct.pack_into(layout, data, position, value)
            case "bits":
                data[position : position + 1] = bytes([draw(st.integers(0, 255))])
            case "cut":
                del data[position:]
            case "out":
                del data[position : position + draw(st.integers(1, 64))]
            case "twice":
                data[position:position] = data[position : position + draw(st.integers(1, 64))]
            case "other":
                data[:position] = draw(st.sampled_from(FILES))[:position]
            case "tail":
                data += draw(st.binary(max_size=64) | st.sampled_from(FILES))
    return bytes(data)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False)
@given(data=damaged())
def test_a_damaged_file_gives_samples_or_one_line(data: bytes) -> None:
    started = time.monotonic()
    try:
        wave, rate = decode(data, MOST_VALUES)
    except RejectedError as error:
        assert len(error.detail.splitlines()) == 1  # noqa: PT017 - any outcome but this and samples is a failure
        assert "0x" not in error.detail  # noqa: PT017
    else:
        assert wave.dtype == np.float32
        assert wave.ndim == 1
        assert 0 < len(wave) <= MOST_VALUES
        assert np.isfinite(wave).all()
        assert rate in RATES
    assert time.monotonic() - started < 10
