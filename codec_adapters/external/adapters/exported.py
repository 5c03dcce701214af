"""Adapter of backend ``exported``: ``torch.export`` programs (.pt2), a round trip, or an encoder and a decoder.

Programs run on one item at a time. A program states which lengths it takes; the input is padded to the next of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from codec_adapters.base import Setup
from codec_adapters.code_form import shown
from codec_adapters.errors import CheckpointError, OutputError
from codec_adapters.external.adapters.code_order import code_form, from_order, to_order
from codec_adapters.external.adapters.exported_archive import load_program
from codec_adapters.external.adapters.functions import Functions, FunctionsAdapter, failing_clips, seeded
from codec_adapters.external.axes import CodeOrder


def make_adapter(setup: Setup, graphs: Sequence[Path], codes: CodeOrder | None) -> FunctionsAdapter:
    """Make the adapter of one or two exported programs.

    Args:
        graphs: a round trip, or encoder and decoder.
        codes: order of the codes' axes; ``None`` finds it.

    Raises:
        CheckpointError: a file is no program that can be loaded without executing what it holds; the program takes one
            length only, or no single item; or the order of its codes cannot be found.
    """
    name = setup.spec.name
    if len(graphs) == 1:
        whole = _Program.load(graphs[0], setup)

        def round_trip(wav: Tensor, seeds: Sequence[int]) -> Any:
            with seeded(seeds[0], setup.device):
                return whole(wav)

        return FunctionsAdapter(setup, Functions(round_trip=round_trip))
    first, second = graphs
    encoder, decoder = _Program.load(first, setup), load_program(second).module().to(setup.device)
    with torch.inference_mode():
        order, codebooks = code_form(setup, encoder, codes, setup.device)

    def encode(wav: Tensor) -> Tensor:
        made = encoder(wav)
        return from_order(name, made, order) if order else made

    def decode(codes: Tensor) -> Any:
        with failing_clips(f"{name}: decoder"):
            return decoder(to_order(codes, order) if order else codes)

    return FunctionsAdapter(setup, Functions(encode=encode, decode=decode, codebooks=codebooks))


@dataclass(frozen=True)
class _Program:
    """A program that takes one waveform: its module, and the lengths, in samples, that it takes."""

    name: str
    run: Any
    channel: bool
    """Whether it takes ``[batch, 1, samples]``; else ``[batch, samples]``."""
    step: int
    """Lengths are multiples of this."""
    shortest: int
    longest: float

    @classmethod
    def load(cls, path: Path, setup: Setup) -> _Program:
        """Load a program and read its limits; raises as :func:`make_adapter` does."""
        program = load_program(path)
        nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
        inputs = [node for node in nodes if node.name in program.graph_signature.user_inputs]
        shapes = [node.meta["val"].shape for node in inputs]
        if len(shapes) != 1 or len(shapes[0]) not in (2, 3) or (len(shapes[0]) == 3 and shapes[0][1] != 1):
            found = ", ".join(str([str(size) for size in shape]) for shape in shapes)
            raise CheckpointError(f"{path}: takes {found or 'nothing'}; expected [batch, samples] or a channel of 1")
        low, high, _ = _range(shapes[0][0], program.range_constraints)
        if not low <= 1 <= high:
            raise CheckpointError(f"{path}: takes {low} or more items at once; export it for a batch from 1")
        low, high, step = _range(shapes[0][-1], program.range_constraints)
        if low == high:
            raise CheckpointError(f"{path}: takes {low} samples and no other length; export it with dynamic_shapes")
        run = program.module().to(setup.device)
        return cls(setup.spec.name, run, len(shapes[0]) == 3, step, int(low), high)

    def __call__(self, wav: Tensor) -> Tensor:
        samples = max(wav.shape[1], self.shortest)
        samples += -samples % self.step
        if samples > self.longest:
            has = f"in whole frames the clip has {wav.shape[1]}"
            raise OutputError(f"{self.name}: takes at most {self.longest:g} samples, {has}")
        given = pad(wav, (0, samples - wav.shape[1]))
        with failing_clips(self.name):
            made = self.run(given[:, None] if self.channel else given)
        made = made[0] if isinstance(made, list | tuple) and len(made) == 1 else made
        if not isinstance(made, Tensor):
            raise OutputError(f"{self.name}: gave {shown(made)}, expected one tensor")
        return made


def _range(size: Any, constraints: Any) -> tuple[int, float, int]:
    """Return the least and greatest value of a dimension, and the step between its values."""
    if isinstance(size, int):
        return size, size, 1
    expression = size.node.expr
    factor = int(expression.as_coeff_Mul()[0])
    known = constraints.get(expression)
    if known is None:
        return factor, float("inf"), factor
    # where there is no limit, export has a very large number
    return int(known.lower), float(known.upper), factor
