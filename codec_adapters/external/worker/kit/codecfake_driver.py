"""The driver's side of the protocol, and WAV files. Standard library only, Python 3.8 or newer.

A driver defines functions and hands them to :func:`serve`; see ``template.py``. Whatever it prints goes to the worker's
log, since standard output belongs to the protocol.
"""

from __future__ import annotations

import array
import json
import os
import struct
import sys
import threading
import time
import traceback
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

PROTOCOL = 1
_FLOAT = 3
_PCM = 1


def serve(operations: Dict[str, Callable[..., Optional[Dict[str, Any]]]]) -> None:
    """Answer the builder's requests until standard input ends.

    Args:
        operations: function by name of operation; each is called with the request's payload as keyword arguments and
            returns a dict (or None) that can be written as JSON. An exception is answered as an error; the worker
            goes on running.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # programs that the codec's own code runs, such as ffmpeg, must not read the requests
    os.close(nothing)
    os.dup2(2, 1)  # what the codec's own code and its C libraries print must not get between the answers
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    for line in requests:
        request = json.loads(line)
        try:
            result = operations[request["op"]](**request["payload"]) or {}
            if request["op"] == "load":
                result = {**result, "protocol": PROTOCOL}
            # allow_nan: Python would write NaN and Infinity, which are not part of JSON
            answer = json.dumps({"id": request["id"], "ok": True, "result": result}, allow_nan=False)
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            answer = json.dumps({"id": request["id"], "ok": False, "error": reason})
        answers.write(answer + "\n")
        answers.flush()


def _end_with(parent: int) -> None:
    """End this process when the builder has ended, also in the middle of a computation."""
    while os.getppid() == parent:
        time.sleep(2)
    os._exit(1)


def read_wav(path: str) -> Tuple[List[float], int]:
    """Read a mono WAV file of 32-bit floats or 16-bit integers; return samples in [-1, 1] and the rate in Hz."""
    with open(path, "rb") as stream:
        data = stream.read()
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"{path}: no WAV file")
    position, kind, rate = 12, 0, 0
    while position + 8 <= len(data):
        name, size = data[position : position + 4], struct.unpack("<I", data[position + 4 : position + 8])[0]
        body = data[position + 8 : position + 8 + size]
        if name == b"fmt ":
            kind, channels, rate = struct.unpack("<HHI", body[:8])
            if channels != 1:
                raise ValueError(f"{path}: {channels} channels, expected one")
        elif name == b"data" and kind == _FLOAT:
            return list(_numbers("f", body)), rate
        elif name == b"data" and kind == _PCM:
            return [value / 32768 for value in _numbers("h", body)], rate
        position += 8 + size + size % 2
    raise ValueError(f"{path}: no samples of a known format")


def write_wav(path: str, samples: Iterable[float], rate: int) -> None:
    """Write floats in [-1, 1] as a mono WAV file of 32-bit floats."""
    numbers = array.array("f", samples)
    if sys.byteorder == "big":
        numbers.byteswap()
    body = numbers.tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, _FLOAT, 1, rate, rate * 4,
                       4, 32, b"data", len(body))  # fmt: skip
    with open(path, "wb") as stream:
        stream.write(head + body)


def _numbers(kind: str, body: bytes) -> Any:
    numbers: Any = array.array(kind)
    numbers.frombytes(body[: len(body) // numbers.itemsize * numbers.itemsize])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
