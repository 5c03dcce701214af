"""Codecs that came as commands, which read one audio file and write another. Never through a shell."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import string
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from codec_adapters.added.functions import AddedAdapter
from codec_adapters.added.ways import CommandWay
from codec_adapters.base import Setup
from codec_adapters.errors import CheckpointError, OutputError
from codec_adapters.wave_files import read_mono
from codec_adapters.weights import sha256_of

PLACEHOLDERS = ("in", "out", "work", "folder", "python", "seed", "rate")
"""What an argument may hold in braces, beside the names of the codec's options: the input and output file, the clip's
own empty folder (also the working folder), the codec file's folder, this interpreter, the clip's seed, the rate in Hz."""


def adapter(way: CommandWay, setup: Setup) -> CommandAdapter:
    """The adapter of a command."""
    return CommandAdapter(setup, way)


class CommandAdapter(AddedAdapter):
    """Runs the steps once per clip, in a folder that is gone afterwards."""

    def __init__(self, setup: Setup, way: CommandWay) -> None:
        super().__init__(setup)
        for step in way.steps:
            _program(step, way.folder)
        self._way = way

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        waves = [self._clip(item, seed) for item, seed in zip(wav, seeds, strict=True)]
        lengths = {len(wave) for wave in waves}
        if len(lengths) > 1:
            raise OutputError(f"{self.spec.name}: outputs of {sorted(lengths)} samples for inputs of equal length")
        return torch.stack(waves).to(self.device)[:, : wav.shape[1]]

    def _clip(self, wave: Tensor, seed: int) -> Tensor:
        with tempfile.TemporaryDirectory(prefix="codecfake-", ignore_cleanup_errors=True) as name:
            work = Path(name)
            source, target = work / "in.wav", work / "out.wav"
            soundfile.write(source, wave.cpu().numpy(), self.sample_rate, subtype="FLOAT")
            values: dict[str, object] = {name: str(value) for name, value in self.options.items()}
            values |= {"in": source, "out": target, "work": work, "folder": self._way.folder, "seed": seed}
            values |= {"python": sys.executable, "rate": self.sample_rate}
            for step in self._way.steps:
                self._run([filled(argument, values) for argument in step], work)
            samples = read_mono(target, self.sample_rate, f"{self.spec.name}: {self._way.steps[-1][0]}", OutputError)
            return torch.from_numpy(samples)

    def _run(self, arguments: Sequence[str], work: Path) -> None:
        what = f"{self.spec.name}: {Path(arguments[0]).name}"
        with (work / ".stderr").open("w+b") as errors:
            try:
                process = subprocess.Popen(  # noqa: S603 - running the command that the user names is what this is for
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    cwd=work,
                    env={**os.environ, "TMPDIR": str(work)},
                    start_new_session=True,
                )
            except OSError as error:
                raise OutputError(f"{what}: does not start: {error.strerror}") from error
            try:
                code = process.wait(self._way.timeout_seconds)
            except subprocess.TimeoutExpired as error:
                raise OutputError(f"{what}: did not end within {self._way.timeout_seconds:g} s") from error
            finally:
                with suppress(ProcessLookupError):  # and whatever it started, which would outlive the clip's folder
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if code:
                errors.seek(max(0, errors.tell() - 4096))
                lines = errors.read().decode(errors="replace").strip().splitlines()
                said = f": {lines[-1].strip()[:200]}" if lines else ", without a word on stderr"
                ending = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                raise OutputError(f"{what}: ended with {ending}{said}")


def filled(argument: str, values: Mapping[str, object]) -> str:
    """``argument`` with the placeholders filled in; ``{{`` is a brace."""
    parts = string.Formatter().parse(argument)
    return "".join(text + (str(values[name]) if name is not None else "") for text, name, _, _ in parts)


def placeholder_problem(argument: str, options: Sequence[str]) -> str | None:
    """What is wrong with the placeholders of an argument."""
    known = (*PLACEHOLDERS, *options)
    try:
        found = [(name, form, how) for _, name, form, how in string.Formatter().parse(argument) if name is not None]
    except ValueError as error:
        return f"{argument!r}: {error}; write {{{{ for a brace"
    for name, form, how in found:
        if name not in known or form or how:
            return f"{argument!r}: unknown placeholder {{{name}}}; known: {', '.join(known)}; write {{{{ for a brace"
    return None


def program_hashes(way: CommandWay) -> dict[str, str]:
    """sha256 of each step's program, and of what the version command prints where one is given.

    A program's own file says nothing of the libraries that it loads; the version command is there for those.

    Raises:
        CheckpointError: a program is not installed, or the version command fails.
    """
    programs = [_program(step, way.folder) for step in way.steps]
    hashes = {f"program {path.name}": _sha256_of(path) for path in programs}
    if way.version:
        command = [filled(argument, {"python": sys.executable, "folder": way.folder}) for argument in way.version]
        hashes["version"] = _printed(tuple(command))
    return hashes


def _program(step: Sequence[str], folder: Path) -> Path:
    """The file that a step runs, links followed."""
    name = filled(step[0], {"python": sys.executable, "folder": folder})
    found = shutil.which(name)
    if found is None:
        raise CheckpointError(f"command: {name}: no such program; install it, or give its path")
    return Path(found).resolve()


@lru_cache
def _sha256_of(path: Path) -> str:
    return sha256_of(path)


@lru_cache
def _printed(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise CheckpointError(f"command.version: {' '.join(command)}: {error}") from error
    return hashlib.sha256(done.stdout + done.stderr).hexdigest()
