"""Sources as workers read them: the indexed file, at a level that every codec takes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codecfake_builder import audio
from codecfake_builder.rejections import RejectedError
from codecfake_builder.shards.shard import Utterance
from codecfake_builder.shards.source_audio import read_source
from tests.kit.synthetic import voice


def utterance(path: Path) -> Utterance:
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return Utterance("mine", path.stem, str(path), "s", "en", None, 16000, 16000, digest)


@pytest.mark.parametrize("scale", [1, 3, 32768, 1e20])
def test_a_codec_gets_a_source_within_full_scale_and_clips_say_by_what_factor(scale: float, tmp_path: Path) -> None:
    wave = (scale * voice(1, 16000, 1)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    source = read_source(utterance(tmp_path / "a.wav"), 16000, 5)
    assert np.abs(source.wave).max() <= 1
    assert np.allclose(source.wave, wave.astype(np.float64) * source.gain, atol=1e-6)
    assert source.gain == (1 if scale == 1 else pytest.approx(audio.FULL_SCALE / np.abs(wave).max()))
    assert audio.finish(source.wave, source.gain).gain == source.gain


def test_a_source_that_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(RejectedError, match="unreadable: a FIFO, no regular file"):
        read_source(utterance(tmp_path / "a.wav"), 16000, 5)
