"""Audio language models in isolation: what a worker answers is checked, and whatever is wrong is one error."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codec_adapters import OptionError
from codec_adapters.alm.base import Alm, Prompt
from codec_adapters.alm.loading import load_alm
from codec_adapters.builtin import builtin_catalogue
from codec_adapters.errors import WorkerError, WorkerRefusedError
from codec_adapters.external.worker import environment
from codec_adapters.external.worker.entry import Isolated
from codec_adapters.external.worker.environment import EnvironmentSpec
from codec_adapters.external.worker.worker import Limits
from codec_adapters.spec import AlmSpec
from tests.conftest import REPOSITORY
from tests.kit.synthetic import voice

DRIVERS = Path(environment.__file__).parent / "drivers"
MISBEHAVING = REPOSITORY / "tests" / "kit" / "misbehaving_driver.py"


def prompt(seconds: float, rate: int = 16000) -> Prompt:
    wav = torch.from_numpy(voice(seconds, rate, round(10 * seconds)))
    return Prompt("vctk/p225_001", text="never sent", audio=wav, language="en")


SHORT, LONG = prompt(0.5), prompt(1.0)


def isolated(
    name: str, driver: Path, rate: int = 16000, options: dict[str, Any] | None = None, **limits: Any
) -> Isolated:
    """Model ``name`` behind a driver; it is to speak at ``rate``, and hears at 16 kHz or, a parrot, at 8."""
    spec = AlmSpec(
        name=name,
        title="A model",
        codec_variant="dac_16khz",
        prompt=("audio",),
        code_licence="",
        weights_licence="",
        paper="",
        repo="",
        checkpoint="",
        options={"max_seconds": 5.0, **(options or {})},
        sample_rate=rate,
        prompt_rate=8000 if driver.stem == "parrot" else None,
    )
    return Isolated(spec, EnvironmentSpec(), driver, Limits(**{"clip_seconds": 20.0, **limits}))


def loaded(model: Isolated, **options: float) -> Alm:
    return load_alm(model.entry(), builtin_catalogue().entry("dac_16khz"), options=options)


def load(name: str, driver: Path, rate: int = 16000, options: dict[str, Any] | None = None, **limits: Any) -> Alm:
    return loaded(isolated(name, driver, rate, options, **limits))


def misbehaving(fault: str, tmp_path: Path, **limits: Any) -> Alm:
    options = {"fault": fault, "starts": str(tmp_path / "starts")}
    return load(f"alm_{fault}", MISBEHAVING, options=options, **limits)


def starts(tmp_path: Path) -> int:
    return len((tmp_path / "starts").read_text().splitlines())


def test_the_parrot_says_the_pieces_of_its_prompt_through_mu_law() -> None:
    model = load("parrot", DRIVERS / "parrot.py", rate=8000, options={"piece_seconds": 0.1})
    heard = [prompt(0.45, 8000), prompt(0.7, 8000)]
    assert heard[0].audio is not None
    together = model._generate(heard, [1, 2])  # in one request, as on a GPU
    for number, (seed, one) in enumerate(zip((1, 2), heard, strict=True)):
        (alone,) = model.generate([one], [seed])
        assert torch.equal(alone.wav, together[number].wav)
    first = together[0]
    assert (first.stop, first.cut, first.text, first.frames) == ("eos", 0, None, 23)  # 0.45 s of 50 frames/s
    assert not torch.equal(model.generate(heard[:1], [5])[0].wav, first.wav)
    pieces = [heard[0].audio.numpy()[start : start + 800].astype(np.float64) for start in range(0, 3600, 800)]
    random.Random(1).shuffle(pieces)
    samples = np.concatenate(pieces)
    codes = np.round((np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256) + 1) / 2 * 255) / 255 * 2 - 1
    expected = np.sign(codes) * np.expm1(np.abs(codes) * np.log(256)) / 255
    step = np.abs(expected) * 0.05 + 1e-4  # the nearest level: where the code's rounding differs, its neighbour
    assert (np.abs(first.wav.numpy() - expected) <= step).all()
    assert len(np.unique(first.wav.numpy())) <= 256


def test_the_parrot_stops_at_its_limit() -> None:
    model = load("brief_parrot", DRIVERS / "parrot.py", 8000, {"piece_seconds": 0.1, "max_seconds": 0.3})
    (made,) = model.generate([prompt(0.5, 8000)], [1])
    assert (len(made.wav), made.stop) == (2400, "length")
    with pytest.raises(WorkerRefusedError, match="generate: KeyError: 'piece_seconds'"):
        load("bare_parrot", DRIVERS / "parrot.py", 8000).generate([prompt(0.5, 8000)], [1])


def test_parts_that_a_prompt_lacks_are_null(tmp_path: Path) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import json\nfrom codecfake_driver import serve, write_wav\n"
        "def generate(prompts, outputs, seeds):\n"
        "    for path in outputs:\n"
        "        write_wav(path, [0.1] * 100, 16000)\n"
        "    return {'clips': [{'text': json.dumps([prompt, seed]), 'stop': 'length'} "
        "for prompt, seed in zip(prompts, seeds)]}\n"
        "serve({'load': lambda **_: {'sample_rate': 16000}, 'generate': generate})\n"
    )
    model = load("teller", driver)
    (made,) = model.generate([Prompt("a/b", "T\u00e4xt", torch.zeros(5), "de", "said")], [2**62 + 1])
    assert made.text is not None
    told, seed = json.loads(made.text)
    assert Path(told.pop("audio")).parent.is_dir()
    assert (told, seed) == ({"id": "a/b", "text": "T\u00e4xt", "transcript": "said", "language": "de"}, 2**62 + 1)
    assert (made.stop, made.cut, len(made.wav)) == ("length", 0, 100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("hang", "did not answer generate within 1 s"),
        ("die", r"died \(exit code 7\); its last words: out of luck"),
        ("garbage", "printed what is no answer to generate: 'Epoch 3"),
        ("infinite", 'printed what is no answer to generate: \'{"id": 2'),
        ("fill", "filled its scratch folder and log with over 8 MB"),
    ],
)
def test_a_worker_that_misbehaves_costs_one_request(tmp_path: Path, fault: str, words: str) -> None:
    model = misbehaving(fault, tmp_path, clip_seconds=1.0 if fault == "hang" else 20.0, scratch_mb=8)
    if fault != "infinite":  # which answers the first request after loading
        assert len(model.generate([SHORT], [1])[0].wav) == 8000
    with pytest.raises(WorkerError, match=words):
        model.generate([LONG], [1])
    (after,) = model.generate([SHORT], [1])
    assert after.text == "I heard vctk/p225_001"
    assert starts(tmp_path) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refuse", "generate: ValueError: too long for me"),
        ("halves", r"generate: ValueError: half \?$"),
        ("number", "generate: ValueError: Out of range float values"),
        ("shape", "expected one entry of clips for each of 1 prompts, got no list"),
        ("count", "expected one entry of clips for each of 1 prompts, got 3"),
        ("entry", "an entry of clips is 'hello', expected text, stop and cut"),
        ("stop", "stop is 'tired', expected eos or length"),
        ("cut", "cut is -1, expected a number of ids"),
        ("bool", "cut is True, expected a number of ids"),
        ("text", "text is 7, expected a string or null"),
        ("half", r"text is 'half \\ud800', expected a string or null"),
        ("nothing", r"wrote something that is no file"),
        ("pipe", "wrote something that is no file$"),
        ("folder", "wrote something that is no file$"),
        ("rate", "wrote 100 samples, 1 channels, 8000 Hz; expected one channel, 16000 Hz"),
        ("noise", "wrote no audio: Format not recognised"),
        ("long", r"wrote 9.00 s, over the limit of 5 s"),
    ],
)
def test_an_answer_that_is_none_leaves_the_worker_alone(tmp_path: Path, fault: str, words: str) -> None:
    model = misbehaving(fault, tmp_path)
    with pytest.raises(WorkerRefusedError, match=words) as caught:
        model.generate([LONG], [1])
    str(caught.value).encode()
    assert "\n" not in str(caught.value)
    if fault != "shape":
        assert model.generate([SHORT], [1])[0].stop == "eos"
    assert starts(tmp_path) == 1


def test_a_clip_without_samples_is_an_answer(tmp_path: Path) -> None:
    (made,) = misbehaving("mute", tmp_path).generate([LONG], [1])
    assert (made.wav.shape, made.frames) == ((0,), 0)


def test_a_driver_that_speaks_at_another_rate_than_its_entry_says() -> None:
    model = load("low_parrot", DRIVERS / "parrot.py", 16000, {"piece_seconds": 0.1})
    with pytest.raises(WorkerRefusedError, match="works at 8000 Hz, its spec says 16000 Hz"):
        model.generate([prompt(0.5, 8000)], [1])
    spec = dataclasses.replace(model.spec, name="deaf_parrot", sample_rate=8000, prompt_rate=16000)
    deaf = loaded(Isolated(spec, EnvironmentSpec(), DRIVERS / "parrot.py"))
    with pytest.raises(WorkerRefusedError, match="generate: ValueError: hears 8000 Hz only, got 16000 Hz"):
        deaf.generate([SHORT], [1])


def test_limits_hold_for_options_too(tmp_path: Path) -> None:
    none = isolated("alm_none", MISBEHAVING, options={"fault": "none", "starts": str(tmp_path / "starts")})
    with pytest.raises(OptionError, match="max_seconds must be above 0"):
        loaded(none, max_seconds=0)
    brief = loaded(none, max_seconds=0.25)
    with pytest.raises(WorkerRefusedError, match=r"wrote 0\.50 s, over the limit of 0\.25 s"):
        brief.generate([SHORT], [1])
