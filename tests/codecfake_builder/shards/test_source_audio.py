"""Sources as workers read them: the indexed file, at a level that every codec takes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codecfake_builder import audio
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.finished_clip import finish
from codecfake_builder.rejections import RejectedError
from codecfake_builder.shards.shard import Utterance
from codecfake_builder.shards.source_audio import read_prompt, read_source
from tests.kit.synthetic import voice


def utterance(path: Path) -> Utterance:
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return Utterance("mine", path.stem, str(path), "s", "en", None, 16000, 16000, digest)


@pytest.mark.parametrize("scale", [1, 3, 32768, 1e20])
def test_a_codec_gets_a_source_within_full_scale_and_clips_say_by_what_factor(scale: float, tmp_path: Path) -> None:
    wave = (scale * voice(1, 16000, 1)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    source = read_source(utterance(tmp_path / "a.wav"), 16000, 5, AudioPolicy())
    assert np.abs(source.wave).max() <= 1
    assert np.allclose(source.wave, wave.astype(np.float64) * source.gain, atol=1e-6)
    assert source.gain == (1 if scale == 1 else pytest.approx(audio.FULL_SCALE / np.abs(wave).max()))
    assert np.array_equal(source.reference.wave, source.wave)
    assert finish(source.wave, source.reference, AudioPolicy(fade_seconds=0), source.gain).gain == pytest.approx(
        source.gain,
        rel=0.02,  # a peak at full scale may move with the mean
    )


def test_a_source_is_read_with_its_context_and_held_to_itself_at_16_khz(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.pad(voice(1, 16000, 1), 2000), 16000, subtype="FLOAT")
    source = read_source(utterance(tmp_path / "a.wav"), 24000, 5, AudioPolicy(trim_db=25), context=480)
    assert (len(source.wave), len(source.reference.wave)) == (30000 + 960, 20000)
    assert source.reference.kept == slice(1920, 18080)
    prompt = read_prompt(utterance(tmp_path / "a.wav"), 24000, 5)
    assert np.array_equal(prompt, source.wave[480:-480])
    with pytest.raises(RejectedError, match=r"too_short: 1.010 s within 25 dB of the loudest part \(audio.trim_db\), "):
        read_source(utterance(tmp_path / "a.wav"), 24000, 5, AudioPolicy(trim_db=25, min_seconds=1.1))


def test_the_same_audio_under_two_names_has_one_reference(tmp_path: Path) -> None:
    """Of another format, too: it stays the same audio once it is dithered."""
    for name in ("a.wav", "b.flac"):
        soundfile.write(tmp_path / name, (20000 * voice(1, 22050, 1)).astype(np.int16), 22050)
    one, other = (read_source(utterance(tmp_path / name), 16000, 5, AudioPolicy()) for name in ("a.wav", "b.flac"))
    assert one.reference.seed == other.reference.seed
    assert np.array_equal(one.reference.wave, other.reference.wave)


def test_a_source_that_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(RejectedError, match="unreadable: a FIFO, no regular file"):
        read_source(utterance(tmp_path / "a.wav"), 16000, 5, AudioPolicy())
