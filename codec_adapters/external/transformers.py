"""Backend ``transformers``: any audio codec class of the library, in a local folder or a hub repository."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from codec_adapters.errors import CheckpointError
from codec_adapters.external.backend import Backend, copied
from codec_adapters.files import weights
from codec_adapters.files.cache import cache_root
from codec_adapters.files.pinned import NamedFile, PinnedFile, PinnedFiles

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup

MODEL_FOLDER = "model"
"""Within the codec's folder: a copied checkpoint."""
_PICKED = (".json", ".safetensors", ".bin")
"""What transformers may pick in a model folder."""


class TransformersBackend(Backend):
    """An audio codec class of transformers, found from the config."""

    key: ClassVar[str] = "transformers"
    placing: ClassVar[set[str]] = {"folder"}

    folder: str | None = None
    """A local folder, relative to the codec file."""
    repo: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """A hub repository."""
    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """All 40 digits, so that the files cannot become others."""
    files: PinnedFiles = Field(min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
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
    def place(self) -> Path:
        """Where config and weights lie; of a hub repository in the user's cache, once they are fetched."""
        if self.repo and self.commit:
            return _cached(self.repo, self.commit)
        return self.home / Path(self.folder or ".").expanduser()

    def prepare(self) -> None:
        if self.repo and self.commit:
            _fetch(self.repo, self.commit, self.files, "give a local folder instead (transformers.folder)")
        super().prepare()

    @classmethod
    def placed(cls, home: Path, given: str, revision: str = "main") -> Self:
        """Copy a local model folder into the codec's folder ``home``, or pin a hub repository at the commit that
        ``revision`` is now; its files are downloaded.

        Raises:
            CheckpointError: neither a folder nor a repository, no network, or one without config or weights.
        """
        local = Path(given).expanduser()
        if local.is_dir():
            for name in _model_files(local):
                copied(local / name, home / MODEL_FOLDER / name, home)
            return cls.in_folder(home / MODEL_FOLDER, home)
        if local.exists() or given.count("/") != 1:
            raise CheckpointError(f"--transformers {given}: neither a folder nor a hub repository (owner/name)")
        return cls.in_repository(given, revision).at(home)

    @classmethod
    def in_folder(cls, model: Path, home: Path) -> Self:
        """Pin the model in a local folder as it is, for a codec file in ``home``.

        Raises:
            CheckpointError: no such folder, or one without config or weights.
        """
        place = model.absolute()
        inside = place.is_relative_to(home.absolute())
        said = place.relative_to(home.absolute()).as_posix() if inside else str(place)
        files = tuple(PinnedFile.of(place, name) for name in _model_files(model))
        return cls(folder=said, files=files).at(home)

    @classmethod
    def in_repository(cls, repo: str, revision: str = "main") -> Self:
        """Pin a hub repository at the commit that ``revision`` is now; its files are downloaded.

        Raises:
            CheckpointError: no network, no such repository, or one without config or weights.
        """
        import huggingface_hub

        try:
            info = huggingface_hub.HfApi().model_info(repo, revision=revision)
            commit, there = str(info.sha), [str(file.rfilename) for file in info.siblings or ()]
        except Exception as error:  # the client raises a dozen kinds
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CheckpointError(f"{repo}: cannot be found on the hub at {revision} ({reason})") from error
        names = _picked_from(there)
        _refuse_incomplete(f"{repo}@{commit}", names)
        _fetch(repo, commit, tuple(NamedFile(file=name) for name in names), "give a local folder instead")
        files = tuple(PinnedFile.of(_cached(repo, commit), name) for name in names)
        return cls(repo=repo, commit=commit, files=files)

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.transformers import adapter

        return adapter(setup, self.place, frozenset(file.file for file in self.files))


def _cached(repo: str, commit: str) -> Path:
    """Where the files of a hub repository lie in the user's cache."""
    return cache_root() / "added" / repo.replace("/", "--") / commit


def _fetch(repo: str, commit: str, files: tuple[NamedFile, ...], otherwise: str) -> None:
    entry = weights.LockedCheckpoint(repo, "", files, hub=repo, revision=commit)
    weights.fetch_into(_cached(repo, commit), entry, otherwise)


def _model_files(model: Path) -> list[str]:
    """The files of a local model folder that transformers may pick."""
    if not model.is_dir():
        raise CheckpointError(f"{model}: no such folder")
    names = sorted(path.name for path in model.iterdir() if path.suffix in _PICKED and path.is_file())
    _refuse_incomplete(str(model), names)
    return names


def _picked_from(there: Collection[str]) -> list[str]:
    """The files of a hub repository that are needed: config, and weights as safetensors where it has them."""
    tensors = [name for name in there if name.startswith("model") and name.endswith(".safetensors")]
    tensors = tensors or [name for name in there if name == "pytorch_model.bin"]
    beside = ("config.json", "preprocessor_config.json", "model.safetensors.index.json")
    return sorted([*(name for name in there if name in beside), *tensors])


def _refuse_incomplete(where: str, names: Collection[str]) -> None:
    if "config.json" not in names or not any(name.endswith((".safetensors", ".bin")) for name in names):
        found = ", ".join(sorted(names)[:8]) or "nothing"
        raise CheckpointError(f"{where}: expected config.json and model.safetensors, found {found}")
