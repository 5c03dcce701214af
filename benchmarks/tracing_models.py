"""Which tracing model is best on a dataset: trains each preset with several seeds, and compares what evaluate finds.

    python -m benchmarks.tracing_models DATASET --preset mel_lcnn_small --preset aasist_small --preset resnet_small

Runs that are finished in the folder of runs are not trained again. Writes a Markdown table.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, NamedTuple

import torch
import typer

from benchmarks.report import machine, markdown_table
from codecfake_builder.benchmark.config import load_config
from codecfake_builder.benchmark.evaluation import EvaluationSettings, evaluate
from codecfake_builder.benchmark.scoring.results import Results
from codecfake_builder.benchmark.training import train
from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import say

TABLE = Path(__file__).with_suffix(".md")
HEADER = (
    "preset",
    "classes, F1",
    "robustness, recall",
    "ALM back end, recall",
    "open set, best AUC",
    "its detector",
    "training (s)",
)


class Measured(NamedTuple):
    """Averages of one run in percent (NaN if the dataset has no such split), and the time of its training."""

    f1: float
    robustness: float
    alm: float
    auc: dict[str, float]
    """Average over the conditions, by detector."""
    seconds: float
    """CPU time of training, or NaN where the run was there."""


def averages(results: Results, seconds: float) -> Measured:
    """Return a run's averages: the last column of its tables.

    Args:
        results: of the evaluation.
        seconds: CPU seconds of the training.
    """

    def average(key: str) -> float:
        table = results.table(key)
        return next(iter(table.rows.values()))[-1].value if table else math.nan

    open_set = results.table("ood_auc")
    auc = {detector: cells[-1].value for detector, cells in open_set.rows.items()} if open_set else {}
    return Measured(average("id"), average("robustness"), average("alm"), auc, seconds)


def measured(preset: str, seed: int, dataset: Path, runs: Path, device: str) -> Measured:
    """Train and evaluate one model; a run that is there already is not trained again.

    Raises:
        BuilderError: the dataset or the preset is not there.
    """
    run = runs / f"{preset}-{seed}"
    there = (run / "evaluation").is_dir()
    started = time.process_time()
    train(dataset, load_config(preset, [f"training.seed={seed}"]), run, device)
    seconds = math.nan if there else time.process_time() - started
    return averages(
        evaluate(run, dataset, run / "evaluation", run.name, settings=EvaluationSettings(device, bootstrap_samples=0)),
        seconds,
    )


def row(preset: str, found: list[Measured]) -> list[str]:
    """Return a preset's row: means over its seeds, with the standard deviation between them."""
    detectors = found[0].auc
    best = max(detectors, key=lambda name: mean(run.auc[name] for run in found), default="")
    columns = [[run.f1 for run in found], [run.robustness for run in found], [run.alm for run in found]]
    columns.append([run.auc[best] for run in found] if best else [])
    seconds = [run.seconds for run in found]
    return [
        f"`{preset}`",
        *map(_spread, columns),
        best,
        "" if any(map(math.isnan, seconds)) else f"{mean(seconds):.0f}",
    ]


def _spread(values: list[float]) -> str:
    if not values or any(map(math.isnan, values)):
        return ""
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def document(rows: list[list[str]], dataset: str, seeds: int, device: str) -> str:
    """Return the whole Markdown file."""
    return f"""# Tracing models

Written by `python -m benchmarks.tracing_models`; {machine(device)}, device {device}. Dataset: {dataset}.
Percent; mean over {seeds} seeds, with the standard deviation between them. *Open set*: mean AUC over the conditions of
Table 5, of the detector that is best for this model. *Training*: CPU seconds.

{markdown_table(HEADER, rows)}"""


def main(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    preset: Annotated[list[str], typer.Option(help="YAML file, or name of a packaged one; repeatable.")],
    seeds: Annotated[int, typer.Option(min=1, help="How often each is trained.")] = 3,
    runs: Annotated[Path, typer.Option(help="Folder for the runs.")] = Path("runs"),
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    out: Annotated[Path, typer.Option(help="The table.")] = TABLE,
) -> None:
    """Train, evaluate, and write the table."""
    torch.set_num_threads(1)
    rows: list[list[str]] = []
    try:
        for name in preset:
            rows.append(row(name, [measured(name, seed, dataset, runs, device) for seed in range(seeds)]))
            out.write_text(document(rows, dataset.resolve().name, seeds, device), encoding="utf-8")
    except BuilderError as error:
        say(f"error: {error}")
        raise typer.Exit(error.exit_code) from None
    say(f"written: {out}")


if __name__ == "__main__":
    typer.run(main)
