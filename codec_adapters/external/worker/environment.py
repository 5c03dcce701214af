"""Environments of isolated codecs and ALMs: a checkout, a Python and its requirements, made once, with uv.

Environments lie in the user's cache under a hash of what they are made from, so that equal entries share one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from codec_adapters.errors import EnvironmentFailedError
from codec_adapters.files.cache import cache_root
from codec_adapters.files.hashing import sha256_of

CURRENT = "current"
"""Value of ``python`` for the interpreter that runs the builder."""
CREATION_SECONDS = 3600
"""Most seconds that each step of making an environment may take."""
_READY = "ready.json"
"""Written last: an environment without it is not complete. Lists the installed packages."""


@dataclass(frozen=True)
class EnvironmentSpec:
    """What an environment is made from.

    ``repo`` is an https address or a local folder, ``None`` where the driver needs no repository. ``commit`` (40 hex
    digits) is needed for an address; a local folder without one is used in place, as it is.
    """

    repo: str | None = None
    commit: str | None = None
    python: str = CURRENT
    """``3.10`` and the like, or ``current``."""
    requirements: tuple[str, ...] = ()
    """Lines of a requirements file; ``-r FILE`` names a file of the repository."""

    def problems(self) -> Iterator[str]:
        """Say what is wrong, one line per problem that begins with the name of the field."""
        remote = self.repo is not None and "://" in self.repo
        if remote and not str(self.repo).startswith("https://"):
            yield f"repo: {self.repo}: only https addresses and local folders are taken"
        if self.repo is not None and not remote and not Path(self.repo).is_dir():
            yield f"repo: {self.repo}: no such folder"
        if remote and self.commit is None:
            yield "commit: an address needs the commit to check out"
        if self.commit is not None and not re.fullmatch("[0-9a-f]{40}", self.commit):
            yield f"commit: {self.commit}: expected the 40 hex digits of a commit"
        if self.commit is not None and self.repo is None:
            yield "commit: there is no repo to check it out from"
        if not re.fullmatch(r"current|3\.\d+(\.\d+)?", self.python):
            yield f"python: {self.python}: expected a version such as 3.10, or current"
        for line in self.requirements:
            if line != line.strip() or len(line.splitlines()) != 1:
                yield f"requirements: {line!r}: expected one line each, without spaces around it"
            elif line.startswith("-") and not line.startswith("-r "):
                yield f"requirements: {line}: options are not taken, but for -r FILE"

    @property
    def in_place(self) -> bool:
        """Whether a local folder is used as it is, without a checkout."""
        return self.repo is not None and self.commit is None

    def key(self) -> str:
        """Return a hash of what the environment is made from; it names the folder."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Environment:
    """An environment that has been made."""

    python: Path
    """The interpreter."""
    repo: Path | None
    """The checkout, or the folder that is used in place."""
    hashes: dict[str, str]
    """sha256 of what decides the output of code that runs in it."""


def prepare(spec: EnvironmentSpec, name: str) -> Environment:
    """Return the environment of ``spec``; it is made unless it is there.

    Args:
        name: whose environment it is, for messages.

    Raises:
        EnvironmentFailedError: git or uv is not installed, or fails; the message ends with the last line of its log.
    """
    for problem in spec.problems():
        raise EnvironmentFailedError(f"isolated.{name}.{problem}")
    root = cache_root() / "environments"
    folder = root / spec.key()
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{spec.key()}.lock"):  # one process at a time makes it; the others wait and then find it
        if not (folder / _READY).is_file():
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted creation left
            folder.mkdir(parents=True)
            _create(spec, folder, name)
        packages = json.loads((folder / _READY).read_text(encoding="utf-8"))["packages"]
    repo = Path(spec.repo).resolve() if spec.in_place else folder / "repo" if spec.repo else None  # type: ignore[arg-type]
    hashes = {
        "environment": hashlib.sha256(
            json.dumps(asdict(spec) | {"repo": _portable(spec)}, sort_keys=True).encode()
        ).hexdigest(),
        "packages": hashlib.sha256("\n".join(packages).encode()).hexdigest(),
    }
    if spec.in_place and repo is not None:
        hashes["repository"] = _tree_hash(repo)
    return Environment(_interpreter(spec, folder), repo, hashes)


def _portable(spec: EnvironmentSpec) -> str | None:
    """Return the repository without the path of a local one, which its commit or its files identify."""
    return spec.repo if spec.repo is None or "://" in spec.repo else Path(spec.repo).name


def _interpreter(spec: EnvironmentSpec, folder: Path) -> Path:
    """Return the interpreter of an environment; the builder's own where nothing is to be installed."""
    own = spec.python != CURRENT or spec.requirements
    return folder / "venv" / "bin" / "python" if own else Path(sys.executable)


def _create(spec: EnvironmentSpec, folder: Path, name: str) -> None:
    """Make an environment in an empty folder."""
    log = folder / "log"
    if spec.repo is not None and not spec.in_place:
        git = ["git", "-c", "core.hooksPath=/dev/null"]
        source = spec.repo if "://" in spec.repo else str(Path(spec.repo).resolve())
        _run([*git, "clone", "--quiet", "--no-checkout", "--", source, str(folder / "repo")], folder, log, name)
        _run([*git, "-C", "repo", "checkout", "--quiet", "--detach", str(spec.commit)], folder, log, name)
    packages: list[str] = []
    if _interpreter(spec, folder) != Path(sys.executable):
        version = sys.executable if spec.python == CURRENT else spec.python
        _run([*_uv(name), "venv", "--quiet", "--no-project", "--python", version, "venv"], folder, log, name)
        if spec.requirements:
            lines = [_requirement(line, spec, folder, name) for line in spec.requirements]
            (folder / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
            python = ["--python", "venv/bin/python"]
            _run([*_uv(name), "pip", "install", "--quiet", *python, "-r", "requirements.txt"], folder, log, name)
            packages = _run([*_uv(name), "pip", "freeze", *python], folder, log, name).split("\n")
    unfinished = folder / f"{_READY}.part"
    unfinished.write_text(json.dumps({"packages": sorted(filter(None, packages))}) + "\n", encoding="utf-8")
    unfinished.replace(folder / _READY)  # the file must appear whole or not at all, also where the disk is full


def _requirement(line: str, spec: EnvironmentSpec, folder: Path, name: str) -> str:
    """Return a line of the requirements file; a file of the repository gets its full path."""
    if not line.startswith("-r "):
        return line
    repo = Path(str(spec.repo)).resolve() if spec.in_place else folder / "repo"
    path = (repo / line.removeprefix("-r ").strip()).resolve()
    if spec.repo is None or not path.is_relative_to(repo.resolve()) or not path.is_file():
        raise EnvironmentFailedError(f"isolated.{name}.requirements: {line}: the repository has no such file")
    return f"-r {path}"


def _uv(name: str) -> list[str]:
    """Return the command of uv, on the path or beside this interpreter."""
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if found is None:
        raise EnvironmentFailedError(f"isolated.{name}: making an environment needs uv: pip install uv")
    return [found]


def _run(command: list[str], folder: Path, log: Path, name: str) -> str:
    """Run a command in ``folder`` with its standard error in ``log``; return its standard output."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "UV_NO_PROGRESS": "1"}
    environment.pop("VIRTUAL_ENV", None)
    try:
        with log.open("a", encoding="utf-8") as errors:
            done = subprocess.run(  # noqa: S603 - the user's own entry says what is made here
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                timeout=CREATION_SECONDS,
                check=False,
            )
    except FileNotFoundError as error:
        raise EnvironmentFailedError(f"isolated.{name}: {command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailedError(
            f"isolated.{name}: {' '.join(command[:3])} took over {CREATION_SECONDS} s"
        ) from error
    if done.returncode != 0:
        words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = words[-1].strip() if words else f"exit code {done.returncode}"
        raise EnvironmentFailedError(f"isolated.{name}: {Path(command[0]).name} failed: {last[:300]} (log: {log})")
    return done.stdout


def _tree_hash(folder: Path) -> str:
    """Return sha256 over names and contents of all files; git's own and compiled ones are left out."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if not {".git", "__pycache__"} & set(Path(name).parts):
            digest.update(f"{sha256_of(path)}  {name}\n".encode())
    return digest.hexdigest()
