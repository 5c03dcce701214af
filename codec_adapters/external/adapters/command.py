"""Adapter of backend ``command``: programs that read one audio file and write another. No shell runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from codec_adapters.base import Setup
from codec_adapters.errors import OutputError
from codec_adapters.external.adapters.functions import ExternalAdapter
from codec_adapters.external.adapters.wave_files import read_mono
from codec_adapters.external.command_line import filled, program


class CommandAdapter(ExternalAdapter):
    """Runs programs once per clip, in a folder that is removed afterwards.

    Args:
        steps: argument lists with placeholders (``external/command_line.py``), run one after the other.
        codec_folder: the codec file's folder, for ``{folder}``.
        timeout_seconds: most seconds that a step may take.

    Raises:
        CheckpointError: a program is not installed.
    """

    def __init__(
        self, setup: Setup, steps: Sequence[Sequence[str]], codec_folder: Path, timeout_seconds: float
    ) -> None:
        super().__init__(setup)
        for step in steps:
            program(step, codec_folder)
        self._steps, self._codec_folder, self._timeout_seconds = steps, codec_folder, timeout_seconds

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        waves = [self._clip(item, seed) for item, seed in zip(wav, seeds, strict=True)]
        lengths = {len(wave) for wave in waves}
        if len(lengths) > 1:
            raise OutputError(f"{self.spec.name}: outputs of {sorted(lengths)} samples for inputs of equal length")
        return torch.stack(waves).to(self.device)[:, : wav.shape[1]]

    def _clip(self, wave: Tensor, seed: int) -> Tensor:
        """Run the steps on one waveform, float32 ``[samples]``; return theirs, on the CPU."""
        with tempfile.TemporaryDirectory(prefix="codecfake-", ignore_cleanup_errors=True) as name:
            work = Path(name)
            source, target = work / "in.wav", work / "out.wav"
            soundfile.write(source, wave.cpu().numpy(), self.sample_rate, subtype="FLOAT")
            values: dict[str, object] = {name: str(value) for name, value in self.options.items()}
            values |= {"in": source, "out": target, "work": work, "folder": self._codec_folder, "seed": seed}
            values |= {"python": sys.executable, "rate": self.sample_rate}
            for step in self._steps:
                self._run([filled(argument, values) for argument in step], work)
            who = f"{self.spec.name}: {self._steps[-1][0]}"
            samples = read_mono(target, self.sample_rate, who, OutputError)
            if not len(samples):
                raise OutputError(f"{who} wrote no samples")
            return torch.from_numpy(samples)

    def _run(self, arguments: Sequence[str], work: Path) -> None:
        """Run one program in folder ``work``; raise :class:`OutputError` where it fails or takes too long."""
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
                code = process.wait(self._timeout_seconds)
            except subprocess.TimeoutExpired as error:
                raise OutputError(f"{what}: did not end within {self._timeout_seconds:g} s") from error
            finally:
                with suppress(ProcessLookupError):  # and whatever it started, which would outlive the clip's folder
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if code:
                errors.seek(max(0, errors.tell() - 4096))
                lines = errors.read().decode(errors="replace").strip().splitlines()
                reason = f": {lines[-1].strip()[:200]}" if lines else ", without a word on stderr"
                ending = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                raise OutputError(f"{what}: ended with {ending}{reason}")
