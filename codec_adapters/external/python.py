"""Backend ``python``: a Python object. It is code, which runs with the user's rights."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from codec_adapters.errors import CheckpointError
from codec_adapters.external.backend import Backend, copy_pinned
from codec_adapters.files.hashing import sha256_of
from codec_adapters.files.pinned import PinnedFile
from codec_adapters.files.python_files import import_file

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup


class PythonBackend(Backend):
    """An adapter, an object with encode and decode, or a function: ``name`` in a ``module`` or in a ``file``."""

    key: ClassVar[str] = "python"
    runs_code: ClassVar[bool] = True

    name: str = Field(pattern=r"^[A-Za-z_][\w.]*$")
    """Of the class, function or object."""
    module: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*$")
    file: PinnedFile | None = None
    beside: list[PinnedFile] = Field(default_factory=list)
    """Files that the code reads: weights, further modules."""
    batched: bool = False
    """True where it takes whole batches; else it is called with one item at a time."""
    numpy: bool = False
    """True where it takes and returns numpy arrays; else tensors."""
    factory: bool = False
    """True where the object is a function that makes the codec; else a function is the codec itself."""

    @model_validator(mode="after")
    def _module_or_file(self) -> Self:
        if (self.module is None) == (self.file is None):
            raise ValueError("give either module or file")
        return self

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return (*((self.file,) if self.file else ()), *self.beside)

    @classmethod
    def from_user(
        cls, folder: Path, given: str, batched: bool = False, numpy: bool = False, factory: bool = False
    ) -> Self:
        """Make the backend from ``module:Name``, or from ``file.py:Name``, whose file is copied into ``folder``.

        Raises:
            CheckpointError: neither form, or no such file.
        """
        where, colon, name = given.rpartition(":")
        if not colon or not where or not name:
            raise CheckpointError(f"--python {given}: expected module:Class, or file.py:Class")
        if not where.endswith(".py"):
            return cls(name=name, module=where, batched=batched, numpy=numpy, factory=factory).at(folder)
        file = copy_pinned(Path(where), folder / Path(where).name, folder)
        return cls(name=name, file=file, batched=batched, numpy=numpy, factory=factory).at(folder)

    def hashes(self) -> dict[str, str]:
        found = super().hashes()
        if self.module:
            found[f"module {self.module}"] = sha256_of(_source_of(self.module))
        return found

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.python import CallStyle, make_adapter

        where = f"python: {self.file.file if self.file else self.module}:{self.name}"
        return make_adapter(setup, where, self._import, self.name, CallStyle(self.batched, self.numpy, self.factory))

    def _import(self) -> ModuleType:
        """Return the module that holds the object; it is imported once."""
        if self.file is None:
            assert self.module is not None
            return importlib.import_module(self.module)
        path = self.file.checked(self.codec_folder)
        return import_file(path, f"added {path.absolute()} {self.file.sha256}")


def _source_of(module: str) -> Path:
    """Return the file of an installed module."""
    try:
        specification = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError) as error:
        raise CheckpointError(f"python.module: {module}: cannot be found ({error})") from error
    if specification is None or not specification.has_location or specification.origin is None:
        raise CheckpointError(f"python.module: {module}: no such module, or none that is a file; is it installed?")
    return Path(specification.origin)
