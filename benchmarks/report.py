"""What the tables of all measurements say: where and when, and rows in Markdown."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Sequence
from pathlib import Path

import torch


def machine(device: str = "cpu") -> str:
    """Date, processor and torch version of a measurement, in one line."""
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return f"{day}, {_processor(device)}, torch {torch.__version__}"


def _processor(device: str) -> str:
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    facts: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    if "model name" not in facts:
        return platform.processor() or platform.machine()
    family, model = facts.get("cpu family"), facts.get("model")
    return f"{facts['model name']} (family {family}, model {model})" if family and model else facts["model name"]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a row shorter than the header is filled with empty cells."""
    lines = [header, ["---"] * len(header), *([*row, *[""] * (len(header) - len(row))] for row in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
