"""Backend ``transformers``: any audio codec class of that library, in a local folder or a hub repository."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from codec_adapters.errors import CheckpointError, first_line
from codec_adapters.external.backend import Backend, copy_pinned
from codec_adapters.files import weights
from codec_adapters.files.cache import cache_root
from codec_adapters.files.pinned import NamedFile, PinnedFile, PinnedFiles

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup

MODEL_FOLDER = "model"
"""Folder of a copied checkpoint within the codec file's folder."""
_SUFFIXES = (".json", ".safetensors", ".bin")
"""Ends of the names of files that transformers may read in a model folder."""


class TransformersBackend(Backend):
    """An audio codec class of transformers, which the config names."""

    key: ClassVar[str] = "transformers"
    location_fields: ClassVar[set[str]] = {"folder"}

    folder: str | None = None
    """A local folder with config and weights, relative to the codec file."""
    repo: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """A hub repository, ``owner/name``."""
    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Of the repository; all 40 hex digits, so that the files stay the same."""
    files: PinnedFiles = Field(min_length=1)

    @model_validator(mode="after")
    def _folder_or_repository(self) -> Self:
        if (self.folder is None) == (self.repo is None):
            raise ValueError("give either folder, or repo with commit")
        if (self.repo is None) != (self.commit is None):
            raise ValueError("a repo needs its commit, all 40 digits, and a folder none")
        if "config.json" not in {file.file for file in self.files}:
            raise ValueError("files: config.json is missing")
        return self

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return self.files

    @property
    def address(self) -> str:
        return f"https://huggingface.co/{self.repo}" if self.repo else ""

    @property
    def files_folder(self) -> Path:
        """The folder of config and weights; of a hub repository in the user's cache, where they are fetched to."""
        if self.repo and self.commit:
            return _cached(self.repo, self.commit)
        return self.codec_folder / Path(self.folder or ".").expanduser()

    def prepare(self) -> None:
        if self.repo and self.commit:
            _fetch(self.repo, self.commit, self.files, "give a local folder instead (transformers.folder)")
        super().prepare()

    @classmethod
    def from_user(cls, folder: Path, given: str, revision: str = "main") -> Self:
        """Copy a local model folder into the codec file's ``folder``, or download a hub repository and pin its commit.

        Args:
            folder: the codec file's.
            given: a model folder, or a hub repository as ``owner/name``.
            revision: branch, tag or commit of the repository; the commit that it is now is pinned.

        Raises:
            CheckpointError: no such folder or repository, one without config or weights, or no network.
        """
        local = Path(given).expanduser()
        if local.is_dir():
            for name in _model_files(local):
                copy_pinned(local / name, folder / MODEL_FOLDER / name, folder)
            return cls.from_folder(folder / MODEL_FOLDER, folder)
        if local.exists() or given.count("/") != 1:
            raise CheckpointError(f"--transformers {given}: neither a folder nor a hub repository (owner/name)")
        return cls.from_repository(given, revision).at(folder)

    @classmethod
    def from_folder(cls, model: Path, folder: Path) -> Self:
        """Pin the files of a local model folder where they lie, for a codec file in ``folder``.

        Raises:
            CheckpointError: no such folder, or one without config or weights.
        """
        model_folder = model.absolute()
        inside = model_folder.is_relative_to(folder.absolute())
        shown = model_folder.relative_to(folder.absolute()).as_posix() if inside else str(model_folder)
        files = tuple(PinnedFile.of(model_folder, name) for name in _model_files(model))
        return cls(folder=shown, files=files).at(folder)

    @classmethod
    def from_repository(cls, repo: str, revision: str = "main") -> Self:
        """Download the files of a hub repository, and pin them at the commit that ``revision`` is now.

        Raises:
            CheckpointError: no network, no such repository, or one without config or weights.
        """
        import huggingface_hub

        try:
            info = huggingface_hub.HfApi().model_info(repo, revision=revision)
            commit, there = str(info.sha), [str(file.rfilename) for file in info.siblings or ()]
        except Exception as error:  # the client raises a dozen kinds
            reason = first_line(error)
            raise CheckpointError(f"{repo}: cannot be found on the hub at {revision} ({reason})") from error
        names = _needed_files(there)
        _refuse_incomplete(f"{repo}@{commit}", names)
        _fetch(repo, commit, tuple(NamedFile(file=name) for name in names), "give a local folder instead")
        files = tuple(PinnedFile.of(_cached(repo, commit), name) for name in names)
        return cls(repo=repo, commit=commit, files=files)

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.transformers import make_adapter

        return make_adapter(setup, self.files_folder, frozenset(file.file for file in self.files))


def _cached(repo: str, commit: str) -> Path:
    """Return the folder of a hub repository's files in the user's cache."""
    return cache_root() / "added" / repo.replace("/", "--") / commit


def _fetch(repo: str, commit: str, files: tuple[NamedFile, ...], otherwise: str) -> None:
    """Download files of a hub repository into the user's cache.

    Args:
        otherwise: what to do where they cannot be had, for the message.
    """
    entry = weights.LockedCheckpoint(repo, "", files, hub=repo, revision=commit)
    weights.fetch_into(_cached(repo, commit), entry, otherwise)


def _model_files(model: Path) -> list[str]:
    """List the files of a local model folder that transformers may read."""
    if not model.is_dir():
        raise CheckpointError(f"{model}: no such folder")
    names = sorted(path.name for path in model.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    _refuse_incomplete(str(model), names)
    return names


def _needed_files(there: Collection[str]) -> list[str]:
    """Choose the files of a hub repository that are needed: config, and weights, as safetensors where it has them."""
    tensors = [name for name in there if name.startswith("model") and name.endswith(".safetensors")]
    tensors = tensors or [name for name in there if name == "pytorch_model.bin"]
    beside = ("config.json", "preprocessor_config.json", "model.safetensors.index.json")
    return sorted([*(name for name in there if name in beside), *tensors])


def _refuse_incomplete(where: str, names: Collection[str]) -> None:
    """Raise :class:`CheckpointError` where config or weights are missing among ``names``."""
    if "config.json" not in names or not any(name.endswith((".safetensors", ".bin")) for name in names):
        found = ", ".join(sorted(names)[:8]) or "nothing"
        raise CheckpointError(f"{where}: expected config.json and model.safetensors, found {found}")
