"""Any Hugging Face audio dataset: from the hub, a folder of data files, or a folder that ``save_to_disk`` wrote.

The bytes of the audio are written undecoded into files of the user's cache, once, and these are read, hashed and
checked like the files of any other corpus. Dataset scripts do not run: ``datasets`` 4 and later cannot run them, and
nothing here trusts remote code.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, model_validator
from scipy.io import wavfile

from codec_adapters.catalogue import Catalogue
from codec_adapters.errors import first_line
from codec_adapters.files.cache import cache_root
from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.corpora.base import NOBODY, UNKNOWN_SPEAKER, CorpusConfig, SourceFile
from codecfake_builder.corpora.listing.paths import is_file
from codecfake_builder.corpora.listing.values import listed_text
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
    """Where it is ``None``, the id is the name of the audio file (with the number of the row where several share it),
    or else the number of the row."""
    speaker: str | None = None
    language: str | None = None
    text: str | None = None


class HuggingFaceConfig(CorpusConfig):
    """A ``split`` of a Hugging Face dataset, by hub id (``hub``, ``config``, ``revision``) or in a folder, ``root``."""

    layout: ClassVar[str] = "a dataset that load_dataset or load_from_disk opens"

    says_speaker: ClassVar[str] = "columns.speaker or speaker"

    kind: Literal["hf"]
    hub: str | None = None
    config: str | None = None
    revision: str | None = None
    split: str = "train"
    columns: Columns = Columns()
    language: str = "und"
    speaker: str | None = None
    """The speaker of rows for which none is given; by default they are not known."""

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
        names = _class_names(dataset.features)
        folder = self.audio_folder()
        files = []
        with progress(f"reading {self.hub or root}", len(dataset), "rows") as advance:
            try:
                for number, row in enumerate(dataset):
                    files.append(self._file(folder, number, row, names))
                    advance(1)
            except (pa.ArrowException, ValueError, TypeError) as error:
                place = f"{self.hub or root}: row {len(files)}"
                raise CorpusError(f"{place}: cannot be read ({_first_line(error)})") from error
        return files if self.columns.utterance_id else _numbered(files)

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
                if isinstance(opened, datasets.DatasetDict):
                    opened = opened[self.split]
            else:
                opened = datasets.load_dataset(str(root), self.config, split=self.split)
            if self.columns.audio in opened.column_names and not _holds_samples(opened.features[self.columns.audio]):
                opened = opened.cast_column(self.columns.audio, datasets.Audio(decode=False))
        except Exception as error:  # the libraries raise a dozen kinds; the user needs one sentence
            place = f"{self.hub or root}: cannot be opened as a dataset, split {self.split}"
            raise CorpusError(f"{place}: {_first_line(error)}") from error
        return opened

    def _check_columns(self, there: list[str]) -> None:
        for use, name in self.columns.model_dump().items():
            if name is not None and name not in there:
                raise CorpusError(
                    f"{self.hub or self.root}: columns.{use}: no column {name!r}; there are {', '.join(there)}"
                )

    def _file(
        self, folder: Path, number: int, row: Mapping[str, Any], names: Mapping[str, Sequence[str]]
    ) -> SourceFile:
        place = f"{self.hub or self.root}: row {number}"

        def value(use: str) -> str | None:
            column = getattr(self.columns, use)
            if column is None:
                return None
            held = row[column]
            if column in names and isinstance(held, int):
                held = _class_name(names[column], held, f"{place}: columns.{use}")
            return listed_text(held, place, f"columns.{use}")

        own, data = self._audio(row[self.columns.audio], place)
        said_by = "the column" if (speaker := value("speaker")) else "the recipe" if self.speaker else NOBODY
        file = SourceFile(
            utterance_id=value("utterance_id") or Path(own).stem or f"{number:08d}",
            path="",
            speaker=speaker or self.speaker or UNKNOWN_SPEAKER,
            language=value("language") or self.language,
            text=value("text"),
            place=place,
            speaker_by=said_by,
        )
        if not data:
            detail = f"row {number} holds no audio" + (" and names a file elsewhere" if own else "")
            return replace(file, reason=RejectionReason.MISSING, detail=detail)
        return replace(file, path=_stored(folder, number, own, data))

    def _audio(self, held: Any, place: str) -> tuple[str, bytes | None]:
        """Return the name and the bytes of a row's audio; samples with their rate become a WAV file."""
        if held is None:
            return "", None
        if not isinstance(held, dict):
            raise CorpusError(
                f"{place}: columns.audio: expected audio (bytes, a path, or array and sampling_rate), found "
                f"a {type(held).__name__}"
            )
        path = held.get("path")
        name = Path(path).name if isinstance(path, str) else ""
        if held.get("array") is not None:
            return f"{Path(name).stem}.wav" if name else "", _as_wav(held["array"], held.get("sampling_rate"), place)
        return name, held.get("bytes") or self._beside(path)

    def _beside(self, path: str | None) -> bytes | None:
        """Read the file that a row names, if it lies in the dataset's folder or in the caches of the libraries."""
        import datasets
        from huggingface_hub.constants import HF_HUB_CACHE

        if not path:
            return None
        places = [Path(path), *([] if self.root is None else [self.root / path])]
        there = next((place for place in places if is_file(place)), None)
        if there is None:
            return None
        homes = [
            Path(datasets.config.HF_DATASETS_CACHE),
            Path(HF_HUB_CACHE),
            *([] if self.root is None else [self.root]),
        ]
        file = there.resolve()
        return file.read_bytes() if any(file.is_relative_to(home.resolve()) for home in homes) else None


def _holds_samples(feature: Any) -> bool:
    """Return whether a column holds decoded audio: a structure of samples (``array``) and their rate."""
    return isinstance(feature, dict) and "array" in feature


def _class_names(features: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Return the names of the classes of each column that holds numbers of classes."""
    import datasets

    return {name: kind.names for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)}


def _class_name(names: Sequence[str], number: int, place: str) -> str | None:
    if number >= len(names):
        raise CorpusError(f"{place}: class {number}, and the column has {len(names)} classes")
    return names[number] if number >= 0 else None  # -1 is the class of rows that have none


def _as_wav(samples: Any, rate: Any, place: str) -> bytes:
    """Return a WAV file of float32 samples; the same ones make the same bytes.

    Args:
        samples: ``[samples]``, or with channels before or after them; integers are 16-bit PCM, or 32-bit where they are
            larger.
        rate: Hz.
        place: dataset and row, for messages.
    """
    hertz = listed_text(rate, place, "columns.audio: sampling_rate") or ""
    if not re.fullmatch(r"[1-9]\d{0,8}", hertz):
        raise CorpusError(f"{place}: columns.audio: sampling_rate {rate!r:.40} is no rate")
    try:
        wave = np.asarray(samples)
        if wave.dtype.kind in "iu":
            peak = max(abs(int(wave.min())), abs(int(wave.max())))
            wave = wave / (1 << 15 if peak <= 1 << 15 else 1 << 31)
        if wave.dtype.kind != "f" or wave.ndim not in (1, 2):
            raise ValueError(f"{wave.ndim} dimensions of {wave.dtype}")
    except (ValueError, TypeError, OverflowError) as error:
        raise CorpusError(f"{place}: columns.audio: array is no samples of audio ({_first_line(error)})") from error
    channels_last = wave if wave.ndim == 1 or wave.shape[0] > wave.shape[1] else wave.T
    buffer = io.BytesIO()
    wavfile.write(buffer, int(hertz), np.ascontiguousarray(channels_last, dtype=np.float32))
    return buffer.getvalue()


def _numbered(files: list[SourceFile]) -> list[SourceFile]:
    """Return the files of all rows; those that share their id, the name of a file, get the number of the row added."""
    counts = Counter(file.utterance_id for file in files)
    return [
        file if counts[file.utterance_id] == 1 else replace(file, utterance_id=f"{file.utterance_id}-{number:08d}")
        for number, file in enumerate(files)
    ]


def _first_line(error: BaseException) -> str:
    """Return what went wrong in one line: of the first cause, since the library's own words say nothing."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = first_line(error)
    if isinstance(error, ImportError):
        return f"{said}; pip install '.[train]' brings it, or read the folder with kind: folder"
    return f"no entry {said}" if isinstance(error, KeyError) else said


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
