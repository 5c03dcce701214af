"""Any Hugging Face audio dataset: from the hub, a folder of data files, or a folder that ``save_to_disk`` wrote.

The bytes of the audio are written undecoded into files of the user's cache, once, and these are read, hashed and
checked like the files of any other corpus. Dataset scripts do not run: ``datasets`` 4 and later cannot run them, and
nothing here trusts remote code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from codec_adapters.catalogue import Catalogue
from codec_adapters.files.cache import cache_root
from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.corpora.base import CorpusConfig, SourceFile
from codecfake_builder.errors import CorpusError
from codecfake_builder.files import replacing, sha256_text
from codecfake_builder.progress import progress
from codecfake_builder.rejections import RejectionReason

_SAVED = ("dataset_info.json", "state.json")
_SAVED_SPLITS = "dataset_dict.json"
_MAGIC = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"FORM": ".aiff"}


class Columns(BaseModel):
    """The columns of the dataset by what they hold; ``None`` for what it does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audio: str = "audio"
    utterance_id: str | None = None
    """Where it is ``None``, the id is the name of the audio file, or else the number of the row."""
    speaker: str | None = None
    language: str | None = None
    text: str | None = None


class HuggingFaceConfig(CorpusConfig):
    """A ``split`` of a Hugging Face dataset, by hub id (``hub``, ``config``, ``revision``) or in a folder, ``root``."""

    layout: ClassVar[str] = "a dataset that load_dataset or load_from_disk opens"

    kind: Literal["hf"]
    hub: str | None = None
    config: str | None = None
    revision: str | None = None
    split: str = "train"
    columns: Columns = Columns()
    language: str = "und"
    speaker: str = "unknown"
    """The speaker of rows for which none is given."""

    @model_validator(mode="after")
    def _one_place(self) -> HuggingFaceConfig:
        if self.hub is not None and self.root is not None:
            raise ValueError("give hub (an id) or root (a local folder), not both")
        return self

    def located(self) -> bool:
        return self.hub is not None or self.root is not None

    def audio_folder(self) -> Path:
        place = self.hub or str(self.root_folder().resolve())
        options = (self.config or "", self.revision or "", self.split, self.columns.audio)
        return cache_root() / "hf" / sha256_text(place, *options)[:16]

    def root_folder(self) -> Path:
        return self.audio_folder() if self.hub is not None else super().root_folder()

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        dataset = self._opened(root)
        self._check_columns(dataset.column_names)
        folder = self.audio_folder()
        files = []
        with progress(f"reading {self.hub or root}", len(dataset), "rows") as advance:
            for number, row in enumerate(dataset):
                files.append(self._file(folder, number, row))
                advance(1)
        return files

    def wanted_files(self, catalogue: Catalogue) -> list[SourceFile]:
        self.audio_folder().mkdir(parents=True, exist_ok=True)
        return super().wanted_files(catalogue)

    def _opened(self, root: Path) -> Any:
        """Open the split, its audio undecoded."""
        import datasets

        try:
            if self.hub is not None:
                opened = datasets.load_dataset(self.hub, self.config, split=self.split, revision=self.revision)
            elif (root / _SAVED_SPLITS).is_file() or all((root / name).is_file() for name in _SAVED):
                opened = datasets.load_from_disk(str(root))
                opened = opened[self.split] if isinstance(opened, datasets.DatasetDict) else opened
            else:
                opened = datasets.load_dataset(str(root), self.config, split=self.split)
        except Exception as error:  # the libraries raise a dozen kinds; the user needs one sentence
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CorpusError(
                f"{self.hub or root}: cannot be opened as a dataset, split {self.split}: {reason}"
            ) from error
        if self.columns.audio in opened.column_names:
            opened = opened.cast_column(self.columns.audio, datasets.Audio(decode=False))
        return opened

    def _check_columns(self, there: list[str]) -> None:
        for use, name in self.columns.model_dump().items():
            if name is not None and name not in there:
                raise CorpusError(
                    f"{self.hub or self.root}: columns.{use}: no column {name!r}; there are {', '.join(there)}"
                )

    def _file(self, folder: Path, number: int, row: Mapping[str, Any]) -> SourceFile:
        def value(column: str | None) -> str | None:
            return str(row[column]) if column is not None and row[column] not in (None, "") else None

        audio: dict[str, Any] = row[self.columns.audio] or {}
        own = Path(audio.get("path") or "").name
        data = audio.get("bytes") or self._beside(audio.get("path"))
        identity = value(self.columns.utterance_id) or Path(own).stem or f"{number:08d}"
        speaker = value(self.columns.speaker) or self.speaker
        language = value(self.columns.language) or self.language
        text = value(self.columns.text)
        if not data:
            detail = f"row {number} holds no audio" + (" and names a file elsewhere" if own else "")
            return SourceFile(identity, "", speaker, language, text, RejectionReason.MISSING, detail)
        return SourceFile(identity, _stored(folder, number, own, data), speaker, language, text)

    def _beside(self, path: str | None) -> bytes | None:
        """Read the file that a row names, if it lies in the dataset's folder or in the caches of the libraries."""
        import datasets
        from huggingface_hub.constants import HF_HUB_CACHE

        if not path or not Path(path).is_file():
            return None
        homes = [
            Path(datasets.config.HF_DATASETS_CACHE),
            Path(HF_HUB_CACHE),
            *([] if self.root is None else [self.root]),
        ]
        file = Path(path).resolve()
        return file.read_bytes() if any(file.is_relative_to(home.resolve()) for home in homes) else None


def _stored(folder: Path, number: int, name: str, data: bytes) -> str:
    """Write a row's audio into a file of ``folder``, unless it is there; return its name, made of the row's number."""
    suffix = Path(name).suffix.lower()
    if suffix not in AUDIO_SUFFIXES:
        suffix = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), ".wav")
    path = folder / f"{number:08d}{suffix}"
    if not path.is_file() or path.stat().st_size != len(data) or path.read_bytes() != data:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    return path.name
