"""Backend ``python``: a Python object. It is code, which runs with the user's rights."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

from pydantic import Field, model_validator

from codec_adapters.errors import CheckpointError
from codec_adapters.external.axes import CallLayout, CodeOrder, DecoderTakes
from codec_adapters.external.backend import Backend, copy_pinned
from codec_adapters.files.hashing import sha256_of
from codec_adapters.files.pinned import PinnedFile
from codec_adapters.files.python_files import import_file

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup


_FOUND = ("layout", "codes", "decoder_takes")
"""Fields that are found by trying where they are not stated; they are in the content key where they are stated."""


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
    layout: CallLayout | None = None
    """Axes of the waveforms that it takes; ``None``: found by trying."""
    codes: CodeOrder | None = None
    """Order of the axes of its codes; ``None``: found by trying."""
    decoder_takes: DecoderTakes | None = None
    """What ``decode`` gets of what ``encode`` returns; ``None``: found by trying."""

    @model_validator(mode="after")
    def _module_or_file(self) -> Self:
        if (self.module is None) == (self.file is None):
            raise ValueError("give either module or file")
        if self.batched and self.layout == "S":
            raise ValueError("layout: S has no axis for a batch, batched needs one; take BS or BCS")
        return self

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return (*((self.file,) if self.file else ()), *self.beside)

    @classmethod
    def from_user(
        cls,
        folder: Path,
        given: str,
        batched: bool = False,
        numpy: bool = False,
        factory: bool = False,
        layout: str | None = None,
    ) -> Self:
        """Make the backend from ``module:Name``, or from ``file.py:Name``, whose file is copied into ``folder``.

        Raises:
            CheckpointError: neither form, no such file, or no such layout.
        """
        where, colon, name = given.rpartition(":")
        if not colon or not where or not name:
            raise CheckpointError(f"--python {given}: expected module:Class, or file.py:Class")
        if layout is not None and layout not in get_args(CallLayout):
            raise CheckpointError(f"--layout {layout}: is none of {', '.join(get_args(CallLayout))}")
        if batched and layout == "S":
            raise CheckpointError("--layout S has no axis for a batch, --batched needs one; take BS or BCS")
        if not where.endswith(".py"):
            source: dict[str, Any] = {"module": where}
        else:
            source = {"file": copy_pinned(Path(where), folder / Path(where).name, folder)}
        if layout:
            source["layout"] = layout
        return cls(name=name, **source, batched=batched, numpy=numpy, factory=factory).at(folder)

    def settings(self) -> str:
        stated = {name: value for name, value in json.loads(super().settings()).items() if name not in _FOUND or value}
        return json.dumps(stated, sort_keys=True)

    def settled(self, adapter: Adapter) -> Self:
        form = getattr(adapter, "form", None)
        found = {name: value for name in _FOUND if (value := getattr(form, name, None)) is not None}
        return self.model_copy(update=found) if found else self

    def hashes(self) -> dict[str, str]:
        found = super().hashes()
        if self.module:
            found[f"module {self.module}"] = sha256_of(_source_of(self.module))
        return found

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.call_form import CallForm
        from codec_adapters.external.adapters.python import CallStyle, make_adapter

        where = f"python: {self.file.file if self.file else self.module}:{self.name}"
        style = CallStyle(self.batched, self.numpy, self.factory)
        form = CallForm(self.layout, self.codes, self.decoder_takes)
        return make_adapter(setup, where, self._import, self.name, style, form)

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
