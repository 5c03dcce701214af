"""Audio to and from a worker: WAV files in its scratch folder. Nothing that comes back is believed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import soundfile

from codec_adapters.errors import WorkerRefusedError
from codec_adapters.external.adapters.wave_files import read_mono
from codec_adapters.external.worker.process import remove
from codec_adapters.external.worker.worker import Worker


class Exchange:
    """Requests about clips to one worker, which is to answer with audio at one rate."""

    def __init__(self, worker: Worker, sample_rate: int, clip_seconds: float) -> None:
        """Nothing runs yet.

        Args:
            sample_rate: Hz, of what the worker writes.
            clip_seconds: patience per clip of a request.
        """
        self.worker = worker
        self.sample_rate = sample_rate
        self._clip_seconds = clip_seconds
        self._numbers = count()
        self._lock = threading.RLock()

    @contextmanager
    def files(self, clips: int, kind: str) -> Iterator[list[Path]]:
        """Paths for a request's files, which are removed afterwards, whatever the worker made of them.

        One thread at a time: a worker that fails takes all files along.
        """
        with self._lock:
            number = next(self._numbers)
            paths = [self.worker.scratch / f"{number}-{clip}-{kind}.wav" for clip in range(clips)]
            try:
                yield paths
            finally:
                for path in paths:
                    remove(path)

    def write(self, path: Path, samples: np.ndarray, rate: int) -> None:
        """Write float32 ``[samples]`` as they are.

        Raises:
            WorkerError: the disk is full, or the worker removed its own folder; the next request starts another.
        """
        try:
            soundfile.write(path, samples, rate, subtype="FLOAT")
        except (soundfile.LibsndfileError, OSError) as error:
            reason = getattr(error, "error_string", error)
            self.worker.give_up(f"cannot be given audio: {path.parent} cannot be written to ({reason})")

    def request(self, op: str, payload: Mapping[str, Any], clips: int) -> dict[str, Any]:
        """Ask for one operation on a number of clips.

        Raises:
            WorkerError, WorkerRefusedError: as :meth:`Worker.request`; or the driver works at another rate.
        """
        result = self.worker.request(op, payload, self._clip_seconds * clips)
        if (rate := self.worker.loaded.get("sample_rate")) != self.sample_rate:
            self.refuse(f"works at {rate!r:.20} Hz, its spec says {self.sample_rate} Hz")
        return result

    def read(self, path: Path, longest: float | None = None) -> np.ndarray:
        """One output, float32 ``[samples]``, which may be empty.

        Args:
            longest: seconds that it may last.

        Raises:
            WorkerRefusedError: no regular file, no audio, of another form, or longer.
        """
        return read_mono(path, self.sample_rate, f"{self.worker.name}: its worker", WorkerRefusedError, longest)

    def refuse(self, what: str) -> NoReturn:
        """Say that an answer is none; the worker lives on.

        Raises:
            WorkerRefusedError: always.
        """
        raise WorkerRefusedError(f"{self.worker.name}: {what}")
