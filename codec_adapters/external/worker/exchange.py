"""Exchange audio with a worker, as WAV files in its scratch folder; everything that comes back is checked."""

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
    """Requests to one worker about clips; it has to answer with audio at one sample rate."""

    def __init__(self, worker: Worker, sample_rate: int, clip_seconds: float) -> None:
        """Start nothing yet.

        Args:
            sample_rate: of the audio that the worker writes, Hz.
            clip_seconds: how long to wait per clip of a request.
        """
        self.worker = worker
        self.sample_rate = sample_rate
        self._clip_seconds = clip_seconds
        self._numbers = count()
        self._lock = threading.RLock()

    @contextmanager
    def files(self, clips: int, kind: str) -> Iterator[list[Path]]:
        """Yield one path per clip for a request's files; whatever lies there afterwards is removed.

        One thread at a time may be in this context, since all files are removed when a worker fails.

        Args:
            clips: their number.
            kind: part of the files' names.
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
        """Write float32 ``[samples]`` as a WAV file of 32-bit floats.

        Raises:
            WorkerError: the disk is full, or the worker removed its own folder; the next request starts it again.
        """
        try:
            soundfile.write(path, samples, rate, subtype="FLOAT")
        except (soundfile.LibsndfileError, OSError) as error:
            reason = getattr(error, "error_string", error)
            self.worker.give_up(f"cannot be given audio: {path.parent} cannot be written to ({reason})")

    def request(self, op: str, payload: Mapping[str, Any], clips: int) -> dict[str, Any]:
        """Request one operation on a number of clips; arguments as of :meth:`Worker.request`.

        Raises:
            WorkerError, WorkerRefusedError: as of :meth:`Worker.request`; or the driver works at another sample rate.
        """
        result = self.worker.request(op, payload, self._clip_seconds * clips)
        if (rate := self.worker.loaded.get("sample_rate")) != self.sample_rate:
            self.refuse(f"works at {rate!r:.20} Hz, its spec says {self.sample_rate} Hz")
        return result

    def read(self, path: Path, longest: float | None = None) -> np.ndarray:
        """Read one output as float32 ``[samples]``, which may be empty.

        Args:
            longest: most seconds that it may last.

        Raises:
            WorkerRefusedError: no regular file, no audio, another sample rate or number of channels, or too long.
        """
        return read_mono(path, self.sample_rate, f"{self.worker.name}: its worker", WorkerRefusedError, longest)

    def refuse(self, what: str) -> NoReturn:
        """Refuse an answer that does not fit the request; the worker goes on running.

        Args:
            what: what is wrong, for the message.

        Raises:
            WorkerRefusedError: always.
        """
        raise WorkerRefusedError(f"{self.worker.name}: {what}")
