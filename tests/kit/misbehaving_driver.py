"""A driver that gives its input back, but for the fault that its options name, on clips longer than 0.7 s.

As a codec (``resynthesize``) and as a model that repeats its prompt (``generate``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from codecfake_driver import read_wav, serve, write_wav

options: dict[str, Any] = {}
protocol = os.fdopen(os.dup(1), "w")  # past what serve() redirects


def load(device: str, dtype: str, options: dict[str, Any], checkpoint: str | None) -> dict[str, Any]:
    globals()["options"] = options
    print("loading: this line goes to the log")
    with Path(options["starts"]).open("a") as stream:
        stream.write("start\n")
    if options["fault"] == "start":
        raise RuntimeError("no such weights")
    if options["fault"] == "exit":
        sys.exit("cannot import the codec")
    return {"sample_rate": 16000}


def resynthesize(inputs: list[str], outputs: list[str], seeds: list[int]) -> None:
    for source, target in zip(inputs, outputs, strict=True):
        samples, rate = read_wav(source)
        if len(samples) > (0.7 + 2 * 0.32) * rate:  # with the context before and after it
            fault(options["fault"], target)
        if not Path(target).exists():
            write_wav(target, samples, rate)


def generate(prompts: list[dict[str, Any]], outputs: list[str], seeds: list[int]) -> dict[str, Any]:
    clips: list[Any] = []
    for prompt, target in zip(prompts, outputs, strict=True):
        samples, rate = read_wav(prompt["audio"])
        said: Any = {"text": f"I heard {prompt['id']}", "stop": "eos", "cut": 0}
        if len(samples) > 0.7 * rate:
            kind = options["fault"]
            fault(kind, target)
            said = {**said, **ODD_WORDS[kind]} if kind in ODD_WORDS else said
            said = {"entry": "hello"}.get(kind, said)
            clips += [said] * {"count": 2}.get(kind, 0)
            samples = {"mute": [], "long": samples * 9, "nan": [float("nan")] * len(samples)}.get(kind, samples)
        clips.append(said)
        if not os.path.lexists(target):
            write_wav(target, samples, rate)
    return {"clips": clips if options["fault"] != "shape" else "all"}


ODD_WORDS: dict[str, dict[str, Any]] = {
    "stop": {"stop": "tired"},
    "cut": {"cut": -1},
    "bool": {"cut": True},
    "text": {"text": 7},
    "half": {"text": "half \ud800"},
    "number": {"cut": float("nan")},
}


def fault(kind: str, target: str) -> None:
    if kind == "hang":
        time.sleep(1000)
    if kind == "die":
        print("out of luck", file=sys.stderr)
        os._exit(7)
    if kind == "orphan" and os.fork() == 0:  # a child that keeps the pipes open, out of the group's reach
        os.setsid()
        time.sleep(5)
        os._exit(0)
    if kind == "orphan":
        os._exit(7)
    if kind == "garbage":
        protocol.write("Epoch 3: 50%|#####     | \n")
        protocol.flush()
    if kind == "flood":
        while True:
            protocol.write("x" * 65536)
    if kind == "infinite":
        protocol.write('{"id": 2, "ok": true, "result": {"clips": [{"stop": "eos", "cut": NaN}]}}\n')
        protocol.flush()
    if kind == "stale":
        protocol.write('{"id": 0, "ok": true, "result": {}}\n')
        protocol.flush()
    if kind == "chatter":
        while True:
            print("no such thing " * 1000)
            time.sleep(0.001)
    if kind == "unasked":
        for _ in range(100):
            protocol.write("more and more\n")
        protocol.flush()
    if kind == "fill":
        with Path(os.environ["TMPDIR"], "junk").open("wb") as stream:
            while True:
                stream.write(bytes(1 << 20))
                stream.flush()
                time.sleep(0.005)
    if kind == "refuse":
        raise ValueError("too long\nfor me")
    if kind == "reader":  # as ffmpeg does, which reads what its parent would
        subprocess.run(["cat"], check=True)
    if kind == "cuda":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if kind == "squatter":
        shutil.rmtree(os.environ["TMPDIR"])
        Path(os.environ["TMPDIR"]).write_text("mine")
    if kind == "halves":
        raise ValueError("half \ud800")
    if kind == "nothing":
        Path(target).symlink_to("/etc/hostname")
    if kind == "pipe":
        os.mkfifo(target)
    if kind == "folder":
        Path(target).mkdir()
    if kind == "homeless":
        shutil.rmtree(os.environ["TMPDIR"])
    if kind == "rate":
        write_wav(target, [0.0] * 100, 8000)
    if kind == "noise":
        Path(target).write_text("no audio")


serve({"load": load, "resynthesize": resynthesize, "generate": generate})
