"""The contract of audio language models, held by every one for which a small checkpoint can be made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import codec_adapters
from codec_adapters import alm, registration
from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt
from codec_adapters.spec import AlmSpec
from tests.kit.marks import slow_unless
from tests.kit.on_demand import OnDemand
from tests.kit.synthetic import voice
from tools.small_networks.alms import ALMS, small_options

NAMES = sorted(ALMS)
QUICK = ("codec_lm_mimi", "mini_omni", "orpheus", "valle")


@pytest.fixture(scope="module")
def alms(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> dict[str, Alm]:
    """Each model, loaded when it is asked for."""
    return OnDemand(
        lambda name: alm.load(name, tiny_alms[name], tiny[alm.spec(name).codec_variant], options=small_options(name))
    )


def prompts_for(model: Alm, count: int = 3, seconds: float = 0.5) -> list[Prompt]:
    """Prompts with the parts that a model needs, of different lengths."""
    made = []
    for number in range(count):
        wav = torch.from_numpy(voice(seconds + 0.2 * (number % 2), model.prompt_rate, number))
        parts = {"text": "a b c"[: 2 * number + 1], "audio": wav, "transcript": "c"}
        needed = {name: value for name, value in parts.items() if name in model.spec.prompt}
        made.append(Prompt(f"vctk/p225_{number:03d}", language="en", **needed))  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize("name", slow_unless(lambda name: name in QUICK, NAMES))
def test_generation_has_the_form_that_the_contract_promises(alms: dict[str, Alm], name: str) -> None:
    model = alms[name]
    for made in model.generate(prompts_for(model), [1, 2, 3]):
        assert made.wav.dtype == torch.float32
        assert made.wav.ndim == 1
        assert made.wav.device.type == "cpu"
        assert torch.isfinite(made.wav).all()
        assert made.stop in ("eos", "length")
        assert (made.frames > 0) == (made.wav.numel() > 0)
        assert made.wav.numel() <= round(1.0 * model.sample_rate)
        assert made.cut >= 0


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_clip_depends_on_its_prompt_and_seed_alone(alms: dict[str, Alm], name: str) -> None:
    model = alms[name]
    prompts = prompts_for(model)
    together = model.generate(prompts, [1, 2, 3])
    torch.manual_seed(99)  # nobody's business
    for number, seed in ((2, 3), (0, 1), (1, 2)):
        (alone,) = model.generate([prompts[number]], [seed])
        assert torch.equal(alone.wav, together[number].wav)
        assert dataclasses.replace(alone, wav=together[number].wav) == together[number]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_speaks_too(tiny: dict[str, Path], tiny_alms: dict[str, Path], name: str) -> None:
    codec = tiny[alm.spec(name).codec_variant]
    model = alm.load(
        name, tiny_alms[name], codec, dtype="bfloat16", options={**small_options(name), "max_seconds": 0.3}
    )
    (made,) = model.generate(prompts_for(model, 1), [1])
    assert made.wav.dtype == torch.float32
    assert torch.isfinite(made.wav).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_global_generator_is_left_alone(alms: dict[str, Alm], name: str) -> None:
    model = alms[name]
    before = torch.get_rng_state()
    model.generate(prompts_for(model, 1), [7])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", slow_unless(lambda name: name in QUICK, NAMES))
def test_prompts_that_lack_something_are_refused(alms: dict[str, Alm], name: str) -> None:
    model = alms[name]
    with pytest.raises(codec_adapters.InputError, match=f"prompt x/y: has no {model.spec.prompt[0]}"):
        model.generate([Prompt("x/y")], [1])
    with pytest.raises(codec_adapters.InputError, match="2 seeds for 1 prompts"):
        model.generate(prompts_for(model, 1), [1, 2])
    if "audio" in model.spec.prompt:
        whole = prompts_for(model, 1)[0]
        with pytest.raises(codec_adapters.InputError, match=r"float32 tensor \[samples\], not empty; got .*\[1, 9\]"):
            model.generate([dataclasses.replace(whole, audio=torch.zeros(1, 9))], [1])


@pytest.mark.parametrize("name", alm.names())
def test_every_spec_names_a_codec_and_a_limit(name: str) -> None:
    spec = alm.spec(name)
    assert codec_adapters.spec(spec.codec_variant).label > 0
    assert isinstance(spec.options["max_seconds"], float)
    assert name not in codec_adapters.names()
    if spec.checkpoint:
        assert spec.checkpoint in codec_adapters.files.weights.lock()


def test_names_are_checked() -> None:
    with pytest.raises(codec_adapters.UnknownVariantError, match="did you mean codec_lm_mimi"):
        alm.spec("codec_lm_mim")
    with pytest.raises(codec_adapters.OptionError, match="unknown option 'tempo'; its options: "):
        alm.load("codec_lm_mimi", ".", ".", options={"tempo": 1})
    with pytest.raises(codec_adapters.CheckpointError, match="folder nowhere does not exist"):
        alm.load("codec_lm_mimi", "nowhere")


class Echo(Alm):
    """Says nothing but its seed."""

    def _generate(self, prompts: object, seeds: list[int]) -> list[Generation]:
        return [Generation(torch.full((100,), float(seed)), "eos", 1) for seed in seeds]


def test_plugins_register_alms(tiny: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration._session, "entries", {})
    base = alm.spec("codec_lm_mimi")
    spec = dataclasses.replace(base, name="echo", codec_variant="dac_16khz", prompt=("text",))
    alm.register(spec, Echo)
    assert "echo" in alm.names()
    assert not registration.default_catalogue().entry("echo").builtin
    model = alm.load("echo", codec_checkpoint=tiny["dac_16khz"])
    assert [made.wav[0].item() for made in model.generate([Prompt("a", "A"), Prompt("b", "B")], [4, 5])] == [4, 5]
    for name, reason in (("mimi_8codebooks", "codec variant has this name"), ("a/b", "letters, digits, dots")):
        with pytest.raises(ValueError, match=reason):
            alm.register(dataclasses.replace(spec, name=name), Echo)
    with pytest.raises(ValueError, match="'x', which is no codec variant"):
        alm.register(dataclasses.replace(spec, codec_variant="x"), Echo)


class OwnVoice(Alm):
    """Answers with its prompt's audio, and decodes by itself."""

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        return [Generation(prompt.audio, "eos", 1) for prompt in prompts if prompt.audio is not None]


def test_a_model_that_decodes_by_itself_needs_no_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the codec's weights nor its network: there is no checkpoint of it anywhere."""
    monkeypatch.setattr(registration._session, "entries", {})
    spec = dataclasses.replace(
        alm.spec("codec_lm_mimi"), name="own_voice", local_only=False, sample_rate=22050, prompt_rate=16000
    )
    assert not alm.spec("codec_lm_mimi").decodes_itself
    alm.register(spec, OwnVoice)
    model = alm.load("own_voice")
    assert (model.prompt_rate, model.sample_rate) == (16000, 22050)
    (made,) = model.generate(prompts_for(model, 1), [1])
    assert made.wav.numel()
    with pytest.raises(codec_adapters.InputError, match="own_voice: decodes by itself; no codec is loaded"):
        _ = model.codec
    with pytest.raises(codec_adapters.OptionError, match="leave the codec's checkpoint and options out"):
        alm.load("own_voice", codec_options={"codebooks": 4})
    alm.register(dataclasses.replace(spec, prompt_rate=None), OwnVoice)
    assert alm.load("own_voice").prompt_rate == 22050


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"prompt": ()}, "prompt needs some of"), ({"prompt": ("video",)}, "video"), ({"options": {}}, "max_seconds")],
)
def test_specs_that_make_no_sense_are_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(alm.spec("codec_lm_mimi"), **changes)  # type: ignore[arg-type]


def test_setup_and_limit_are_checked(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> None:
    spec: AlmSpec = alm.spec("codec_lm_mimi")
    codec = codec_adapters.load(spec.codec_variant, tiny[spec.codec_variant])
    setup = AlmSetup(spec, spec.options, None, codec, torch.device("cpu"), torch.float32, codec.spec)
    with pytest.raises(codec_adapters.CheckpointError, match="needs a checkpoint folder"):
        _ = setup.folder
    with pytest.raises(codec_adapters.OptionError, match="max_seconds must be above 0, got 0"):
        alm.load("codec_lm_mimi", tiny_alms["codec_lm_mimi"], tiny[spec.codec_variant], options={"max_seconds": 0})
