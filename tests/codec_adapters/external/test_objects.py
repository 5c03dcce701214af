"""Codecs that came as Python objects and as commands."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from codec_adapters import CheckpointError, InputError
from codec_adapters.errors import OutputError
from codec_adapters.external.codec_file import codec_file_entry
from codec_adapters.external.command import CommandBackend
from codec_adapters.external.python import PythonBackend
from codec_adapters.files.pinned import PinnedFile
from tests.kit.external_codecs import COMMAND, adapter_source, entry_of, loaded, python_file

WAV = torch.rand(3, 4000, generator=torch.Generator().manual_seed(1)) - 0.5


FUNCTION = "def codec(wav):\n    assert wav.shape == (1, 4000), wav.shape\n    return wav * 0.5\n"
PAIR = """
import torch

class codec:
    def __init__(self, gain, device):
        self.gain = gain
    def encode(self, wav):
        return (wav[:, ::160] * 100).long()[:, None].repeat(1, 3, 1)
    def decode(self, codes):
        return codes[:, 0].repeat_interleave(160, 1) * self.gain / 50
"""
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "a function": (FUNCTION, {}),
    "a function of batches": ("def codec(wav):\n    assert len(wav) == 3\n    return wav * 0.5\n", {"batched": True}),
    "a numpy function": ("def codec(wav):\n    return wav.astype('float64')[:, None] * 0.5\n", {"numpy": True}),
    "a factory": (
        "def codec(gain, device='cuda'):\n    assert device == 'cpu'\n    return lambda wav: wav * gain\n",
        {"factory": True},
    ),
    "an adapter": (adapter_source('wav * self.options["gain"]'), {}),
}


@pytest.mark.parametrize("kind", WAYS)
def test_python_objects(kind: str, tmp_path: Path) -> None:
    code, settings = WAYS[kind]
    takes_gain = kind in ("a factory", "an adapter")
    adapter = loaded(tmp_path, python_file(tmp_path, code, **settings), {"gain": 0.5} if takes_gain else None)
    assert torch.equal(adapter.resynthesize(WAV), WAV * 0.5)


def test_an_object_with_encode_and_decode(tmp_path: Path) -> None:
    adapter = loaded(tmp_path, python_file(tmp_path, PAIR), {"gain": 0.5})
    codes = adapter.encode(WAV)
    assert codes[0].shape == (3, 3, 25)
    assert torch.equal(adapter.decode(codes), adapter.resynthesize(WAV))
    floats = PAIR.replace(".long()", "")
    adapter = loaded(tmp_path, python_file(tmp_path, floats), {"gain": 0.5})
    assert adapter.resynthesize(WAV).shape == WAV.shape
    with pytest.raises(InputError, match="has continuous latents, no codes"):
        adapter.encode(WAV)


def test_a_module_is_imported_and_counts_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_codec.py").write_text("class Codec:\n    gain = 0.5\n    def __call__(self, wav, seed):\n"
                                             "        return wav * self.gain + seed\n")  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    backend = PythonBackend(module="their_codec", name="Codec")
    adapter = loaded(tmp_path, backend)
    assert torch.equal(adapter.resynthesize(WAV, [0, 1, 2])[2], WAV[2] * 0.5 + 2)
    hashes = codec_file_entry(tmp_path / "added.yaml").provider.prepare()
    assert set(hashes) == {"codec file", "module their_codec"}
    (tmp_path / "their_codec.py").write_text("class Codec: pass\n")
    assert codec_file_entry(tmp_path / "added.yaml").provider.prepare() != hashes
    absent = entry_of(tmp_path, PythonBackend(module="no_such_thing", name="x"))
    with pytest.raises(CheckpointError, match=r"python\.module: no_such_thing: no such module"):
        absent.provider.prepare()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("codec = 5\n", "is a int, neither encode and decode nor a function"),
        ("import no_such_thing\n", r"cannot be made \(ModuleNotFoundError"),
        ("class codec:\n    sample_rate = 8000\n    def __call__(self, wav): return wav\n", "works at 8000 Hz"),
        ("class codec:\n    def __init__(self): raise OSError('no weights')\n", r"\(OSError: no weights\)"),
    ],
)
def test_python_objects_that_are_no_codec(code: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"python: mine\.py:codec: .*{words}"):
        loaded(tmp_path, python_file(tmp_path, code))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def codec(wav): return wav.long()\n", r"gave int64 \[1, 4000\], expected a float waveform"),
        ("def codec(wav): return wav[:, None].repeat(1, 2, 1)\n", r"gave float32 \[1, 2, 4000\]"),
        ("def codec(wav): return wav[:, :0]\n", r"gave float32 \[1, 0\]"),
        ("def codec(wav): return 'speech'\n", "gave str, expected"),
        ("def codec(wav): return wav[:, : 4000 - int(wav.abs().sum() * 1000) % 97]\n", "for inputs of equal length"),
    ],
)
def test_outputs_that_are_no_waveform(code: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"added: .*{words}"):
        loaded(tmp_path, python_file(tmp_path, code)).resynthesize(WAV)


def command(*steps: str | list[str], **settings: Any) -> CommandBackend:
    return CommandBackend.model_validate({"steps": list(steps), **settings})


SCRIPT = """
import sys
import soundfile
source, target, gain, seed, rate = sys.argv[1:]
samples, found = soundfile.read(source, dtype="float32")
assert found == int(rate)
soundfile.write(target, samples * float(gain) + int(seed), found, subtype="FLOAT")
"""


@pytest.mark.slow
def test_a_command(tmp_path: Path) -> None:
    assert torch.equal(loaded(tmp_path, COMMAND).resynthesize(WAV), WAV)
    (tmp_path / "scale.py").write_text(SCRIPT)
    backend = command(
        "{python} {folder}/scale.py {in} {work}/half.wav {gain} {seed} {rate}",
        "{python} -c 'import shutil, sys; shutil.move(*sys.argv[1:])' {work}/half.wav {out}",
    ).model_copy(update={"beside": [PinnedFile.at(tmp_path / "scale.py", tmp_path)]})
    adapter = loaded(tmp_path, backend, {"gain": 0.5})
    assert torch.equal(adapter.resynthesize(WAV, [0, 1, 2]), WAV * 0.5 + torch.tensor([[0.0], [1.0], [2.0]]))
    with pytest.raises(InputError, match="gives no codes"):
        adapter.encode(WAV)


def test_a_command_never_meets_a_shell(tmp_path: Path) -> None:
    marker = tmp_path / "touched"
    backend = command(["{python}", "-c", "import sys; sys.exit(sys.argv[1])", f"$(touch {marker}); touch {marker}"])
    with pytest.raises(OutputError, match=r"ended with exit code 1: \$\(touch"):
        loaded(tmp_path, backend).resynthesize(WAV)
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pass", r"answered, but wrote no output"),
        ("print('no such model', file=sys.stderr); sys.exit(3)", "ended with exit code 3: no such model"),
        ("import os; os.kill(os.getpid(), 9)", "ended with signal SIGKILL, without a word on stderr"),
        ("import time; time.sleep(60)", "did not end within 0.5 s"),
        ("open(out, 'w').write('speech')", "wrote no audio"),
        ("import os; os.symlink('/etc/hostname', out)", "wrote something that is no file"),
        ("import soundfile; soundfile.write(out, [0.1] * 99, 8000)", "wrote 99 samples, 1 channels, 8000 Hz; expected"),
        ("import soundfile; soundfile.write(out, [[0.1, 0.2]] * 99, 16000)", "99 samples, 2 channels, 16000 Hz"),
    ],
)
def test_what_a_command_does_wrong_costs_its_clip(code: str, words: str, tmp_path: Path) -> None:
    backend = command(["{python}", "-c", f"import sys; out = sys.argv[1]; {code}", "{out}"], timeout_seconds=0.5)
    slow = backend if "sleep" in code else backend.model_copy(update={"timeout_seconds": 30.0})
    with pytest.raises(OutputError, match=f"added: .*{words}"):
        loaded(tmp_path, slow).resynthesize(WAV[:1])


def test_the_programs_are_in_the_key(tmp_path: Path) -> None:
    program = tmp_path / "encode"
    program.write_text("#!/bin/sh\ncp $1 $2\n")
    program.chmod(0o755)
    backend = command("{folder}/encode {in} {out}", version=["{python}", "-c", "print('libcodec 1')"])
    before = entry_of(tmp_path, backend).provider.prepare()
    assert set(before) == {"codec file", "program encode", "version"}
    assert torch.equal(loaded(tmp_path, backend).resynthesize(WAV), WAV)
    newer = backend.model_copy(update={"version": ["{python}", "-c", "print('libcodec 2')"]})
    after = entry_of(tmp_path, newer).provider.prepare()
    assert {key for key in before if before[key] != after[key]} == {"codec file", "version"}
    absent = entry_of(tmp_path, command("no-such-program {in} {out}"))
    with pytest.raises(CheckpointError, match="command: no-such-program: no such program; install it"):
        absent.provider.prepare()


FFMPEG = {
    "g711": (8000, "ffmpeg -loglevel error -i {in} -c:a pcm_alaw {work}/c.wav", "{work}/c.wav", 0.98),
    "opus": (48000, "ffmpeg -loglevel error -i {in} -c:a libopus -b:a 24k {work}/c.ogg", "{work}/c.ogg", 0.9),
}


@pytest.mark.parametrize("kind", FFMPEG)
def test_codecs_of_ffmpeg(kind: str, tmp_path: Path) -> None:
    from tests.kit.synthetic import voice

    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    rate, encode, middle, least = FFMPEG[kind]
    backend = command(
        encode,
        f"ffmpeg -loglevel error -i {middle} -c:a pcm_f32le -ar {rate} {{out}}",
        version="ffmpeg -version",
    )
    adapter = loaded(tmp_path, backend, rate=rate, hop=1, codebooks=1)
    wav = torch.from_numpy(voice(1.0, rate, 3))[None]
    try:
        out = adapter.resynthesize(wav)
    except OutputError as error:
        if "Unknown encoder" in str(error) or "Error" in str(error):
            pytest.skip(f"this ffmpeg has no encoder for {kind}: {error}")
        raise
    samples = min(out.shape[1], wav.shape[1])
    assert samples > 0.95 * wav.shape[1]
    likeness = torch.corrcoef(torch.stack([out[0, :samples], wav[0, :samples]]))[0, 1]
    assert not torch.equal(out[0, :samples], wav[0, :samples])
    assert likeness > least
