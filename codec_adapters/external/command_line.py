"""Argument lists with placeholders, and the hashes of the programs that they run."""

from __future__ import annotations

import hashlib
import shutil
import string
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from codec_adapters.errors import CheckpointError
from codec_adapters.files.hashing import sha256_once

PLACEHOLDERS = ("in", "out", "work", "folder", "python", "seed", "rate")
"""What an argument may hold in braces, beside the names of the codec's options: the input and output file, the
clip's own empty folder (also the working folder), the codec file's folder, this interpreter, the clip's seed, the rate
in Hz."""


def filled(argument: str, values: Mapping[str, object]) -> str:
    """Return ``argument`` with its placeholders filled in; ``{{`` is a brace.

    >>> filled("--rate={rate}", {"rate": 24000})
    '--rate=24000'
    """
    parts = string.Formatter().parse(argument)
    return "".join(text + (str(values[name]) if name is not None else "") for text, name, _, _ in parts)


def placeholder_problem(argument: str, options: Sequence[str]) -> str | None:
    """Return what is wrong with the placeholders of an argument; ``None`` where nothing is."""
    known = (*PLACEHOLDERS, *options)
    try:
        found = [(name, form, how) for _, name, form, how in string.Formatter().parse(argument) if name is not None]
    except ValueError as error:
        return f"{argument!r}: {error}; write {{{{ for a brace"
    for name, form, how in found:
        if name not in known or form or how:
            return f"{argument!r}: unknown placeholder {{{name}}}; known: {', '.join(known)}; write {{{{ for a brace"
    return None


def program_hashes(steps: Sequence[Sequence[str]], version: Sequence[str], folder: Path) -> dict[str, str]:
    """Return sha256 of each step's program, and of what the version command prints where one is given.

    A program's own file does not tell which libraries it loads; the version command is there for those.

    Raises:
        CheckpointError: a program is not installed, or the version command fails.
    """
    programs = [program(step, folder) for step in steps]
    hashes = {f"program {path.name}": sha256_once(path) for path in programs}
    if version:
        command = [filled(argument, {"python": sys.executable, "folder": folder}) for argument in version]
        hashes["version"] = _hash_of_output(tuple(command))
    return hashes


def program(step: Sequence[str], folder: Path) -> Path:
    """Return the file that a step runs, with links followed.

    Raises:
        CheckpointError: the program is not installed.
    """
    name = filled(step[0], {"python": sys.executable, "folder": folder})
    found = shutil.which(name)
    if found is None:
        raise CheckpointError(f"command: {name}: no such program; install it, or give its path")
    return Path(found).resolve()


def _hash_of_output(command: tuple[str, ...]) -> str:
    """Return sha256 of what a command prints."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise CheckpointError(f"command.version: {' '.join(command)}: {error}") from error
    return hashlib.sha256(done.stdout + done.stderr).hexdigest()
