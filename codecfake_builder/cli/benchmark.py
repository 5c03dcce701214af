"""The commands ``benchmark score``, ``train``, ``evaluate``, ``trace`` and ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codecfake_builder.cli.options import DeviceOption, command_line
from codecfake_builder.devices import resolve_device
from codecfake_builder.errors import BenchmarkError, CheckFailedError
from codecfake_builder.origin import View

if TYPE_CHECKING:
    from codecfake_builder.benchmark.trace import TraceResult

app = typer.Typer(
    name="benchmark",
    help="Train, score and compare source-tracing models on a dataset.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FORMAT_NAMES = ("text", "json", "markdown", "latex")
FormatOption = Annotated[str, typer.Option("--format", help=f"What to print: {', '.join(FORMAT_NAMES)}.")]
BootstrapOption = Annotated[int, typer.Option(min=0, help="Bootstrap samples of speakers for the intervals; 0: none.")]
ViewOption = Annotated[
    View,
    typer.Option(
        help="What is fake where real is told from fake: synthesis, whatever was not recorded; transmission, generated "
        "or vocoded speech only, not what a codec merely transmitted."
    ),
]

SslOption = Annotated[str | None, typer.Option(help="Folder of XLS-R, if a W2V2-AASIST is to take it from there.")]


@app.command(
    epilog="Example: python -m codecfake_builder benchmark score predictions.csv --dataset st-codecfake   or, for "
    "released per-file results: benchmark score pretrained_model/AASIST/result --name AASIST"
)
def score(
    predictions: Annotated[
        list[str],
        typer.Argument(
            metavar="PREDICTIONS...",
            help="Files of predictions (Parquet, CSV, or text lines 'file class score'), a folder of them, a folder of "
            "released results, or SET=FILE for sets outside a dataset (eval_id=..., C3-1=..., id_config/mine=...).",
        ),
    ],
    dataset: Annotated[Path | None, typer.Option(help="Dataset folder to hold them against.")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(metavar="SET=FILE|CLASS", help="Label file of a set, or its one class; repeatable."),
    ] = None,
    fit: Annotated[
        Path | None, typer.Option(help="Outputs to fit detectors on, of training clips; default: those given.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the model in the tables.")] = "model",
    bootstrap: BootstrapOption = 1000,
    view: ViewOption = View.SYNTHESIS,
    format_: FormatOption = "text",
    out: Annotated[Path | None, typer.Option(help="Folder to write the tables to, in all forms.")] = None,
) -> None:
    """Score predictions: the publication's Tables 3 to 6, and real against fake, with confidence intervals."""
    from codecfake_builder.benchmark.scoring.inputs import match_to_dataset, match_to_labels, released_files
    from codecfake_builder.benchmark.scoring.score import score as run

    _check_format(format_)
    if dataset is not None:
        if labels:
            raise BenchmarkError("--labels: the dataset says the labels; give --dataset or --labels")
        matched = match_to_dataset([Path(given) for given in predictions], dataset, fit)
    else:
        if fit is not None:
            raise BenchmarkError("--fit: only with --dataset, which says what the training clips are")
        files = released_files(Path(predictions[0])) if len(predictions) == 1 else {}
        pairs = _pairs(labels or [], "--labels", "SET=FILE or SET=CLASS")
        matched = match_to_labels(files or _set_files(predictions), pairs)
    _show(run(matched, name, bootstrap, view=view), format_, out)


@app.command(
    epilog="Example: python -m codecfake_builder benchmark train st-codecfake --preset aasist --out runs/aasist "
    "--device cuda --set training.precision=bfloat16"
)
def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder; learns from its split train, chooses on dev.")],
    out: Annotated[Path, typer.Option(help="Run folder; new, empty, or of an earlier call to go on with.")],
    preset: Annotated[
        str,
        typer.Option(
            help="YAML file, or name of a packaged one: resnet (our own), mel_lcnn, aasist, w2v2_aasist (as "
            "published), resnet_small, mel_lcnn_small, aasist_small (small datasets, CPUs)."
        ),
    ] = "resnet",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field of it; repeatable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same as --set training.seed=N.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Train a source-tracing model, or go on with a run that was interrupted."""
    from codecfake_builder.benchmark.config import load_config
    from codecfake_builder.benchmark.training import train as run

    chosen = [*(set_ or []), *([] if seed is None else [f"training.seed={seed}"])]
    run(dataset, load_config(preset, chosen), out, resolve_device(device))
    print(f"trained    {out}")
    print(f"judge it   {command_line('benchmark', 'evaluate', out, '--dataset', dataset)}")


@app.command(epilog="Example: python -m codecfake_builder benchmark evaluate runs/aasist --dataset st-codecfake")
def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Run folder, or a released checkpoint (.pt, .pth).")],
    dataset: Annotated[Path, typer.Option(help="Dataset folder.")],
    out: Annotated[Path | None, typer.Option(help="Folder for outputs and tables; default: RUN/evaluation.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in the tables; default: the run's.")] = None,
    ssl: SslOption = None,
    device: DeviceOption = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Clips at a time.")] = 24,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read clips.")] = 0,
    bootstrap: BootstrapOption = 1000,
    view: ViewOption = View.SYNTHESIS,
    format_: FormatOption = "text",
) -> None:
    """Judge all splits with a trained model: logits and embeddings as Parquet, and the tables with every detector."""
    from codecfake_builder.benchmark.evaluation import EvaluationSettings
    from codecfake_builder.benchmark.evaluation import evaluate as run
    from codecfake_builder.benchmark.scoring.render import FORMATS

    _check_format(format_)
    folder = _evaluation_folder(checkpoint) if out is None else out
    settings = EvaluationSettings(resolve_device(device), batch_size, workers, bootstrap, view)
    results = run(checkpoint, dataset, folder, name or checkpoint.resolve().stem, ssl, settings)
    print(FORMATS[format_][1](results), end="")


@app.command(
    epilog="Example: python -m codecfake_builder benchmark trace speech.wav more/ --run runs/aasist --detector kNN"
)
def trace(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Audio files, or folders of them.")],
    run: Annotated[
        Path, typer.Option(help="Run folder, or a released checkpoint, that evaluate has judged a dataset with.")
    ],
    evaluation: Annotated[Path | None, typer.Option(help="Folder of that evaluation; default: RUN/evaluation.")] = None,
    detector: Annotated[str, typer.Option(help="Open-set detector that decides what is unknown.")] = "Energy",
    ssl: SslOption = None,
    device: DeviceOption = "auto",
    format_: Annotated[str, typer.Option("--format", help="table, or json: an object per line.")] = "table",
) -> None:
    """Say of each file: real, which codec, or unknown; judged in windows over all of it that holds sound."""
    import json
    from dataclasses import asdict

    from codecfake_builder.benchmark.run_folder import synthesized_speech
    from codecfake_builder.benchmark.trace import Tracer, audio_files
    from codecfake_builder.progress import say, tell

    if format_ not in ("table", "json"):
        raise BenchmarkError(f"--format {format_}: unknown; known: table, json")
    tracer = Tracer(run, evaluation or _evaluation_folder(run), detector, ssl, resolve_device(device))
    if spoken := synthesized_speech(run):
        say(f"note: trained on synthesized speech ({'; '.join(spoken)}); answers on recordings say little")
    failed = 0
    if format_ == "table":
        tell(_TRACE_LINE.format("answer", "nearest", "prob.", "range", "windows", "agree", "score", "dev rank", "file"))
    for result in tracer.trace(audio_files(files)):
        if result.error:
            failed += 1
            say(f"{result.file}: {result.error}")
        if format_ == "json":
            print(json.dumps(asdict(result)), flush=True)
        elif not result.error:
            tell(_TRACE_LINE.format(result.answer, result.nearest, *_figures(result), result.file))
    if failed:
        raise CheckFailedError(f"{failed} files could not be judged")


def _figures(result: TraceResult) -> list[str]:
    """Return the columns of numbers of a traced file; lines where nothing was judged."""
    if result.probability is None:
        return ["-"] * 6
    span = f"{result.lowest:.2f}-{result.highest:.2f}"
    return [
        f"{result.probability:.4g}",
        span,
        str(result.windows),
        f"{result.agreement:.0%}",
        f"{result.score:.4g}",
        f"{result.dev_rank:.3f}",
    ]


_TRACE_LINE = "{:<16} {:<16} {:>8} {:>10} {:>7} {:>6} {:>9} {:>8}  {}"
"""Columns of fixed width, since every line is printed as soon as its file is traced."""


@app.command(
    epilog="Example: python -m codecfake_builder benchmark report runs/*/evaluation --dataset st-codecfake "
    "--out report.html"
)
def report(
    evaluations: Annotated[list[Path], typer.Argument(metavar="EVALUATION...", help="Folders that evaluate left.")],
    dataset: Annotated[Path, typer.Option(help="Dataset folder they judged.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
) -> None:
    """Write an HTML report: tables, confusion matrices, score histograms, embeddings, ROC and DET, worst errors."""
    from codecfake_builder.benchmark.report import write_report

    write_report(evaluations, dataset, out)
    print(f"report     {out}")


def _evaluation_folder(checkpoint: Path) -> Path:
    """Return the folder of a run's evaluation; a checkpoint file has none."""
    if checkpoint.is_file():
        raise BenchmarkError(f"{checkpoint}: is a file; say with --out where the outputs go")
    return checkpoint / "evaluation"


def _set_files(predictions: list[str]) -> dict[str, Path]:
    """Return the file of predictions of each set, given as ``SET=FILE``."""
    wanted = "SET=FILE (or a folder of released results, or --dataset)"
    return {name: Path(path) for name, path in _pairs(predictions, "PREDICTIONS", wanted).items()}


def _pairs(given: list[str], option: str, wanted: str) -> dict[str, str]:
    """Split ``KEY=VALUE`` arguments, or say which of them is not what ``option`` takes."""
    pairs: dict[str, str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key or not value:
            raise BenchmarkError(f"{option} {item}: expected {wanted}")
        if key in pairs:
            raise BenchmarkError(f"{option} {item}: {key} is given twice")
        pairs[key] = value
    return pairs


def _check_format(name: str) -> None:
    """Refuse a format that is not known."""
    if name not in FORMAT_NAMES:
        from codec_adapters.files.documents import nearest

        raise BenchmarkError(f"--format {name}: unknown; {nearest(name, FORMAT_NAMES)}")


def _show(results: Any, format_: str, out: Path | None) -> None:
    """Print results in one form, and write all forms to a folder."""
    from codecfake_builder.benchmark.scoring.render import FORMATS
    from codecfake_builder.files import write_text

    if out is not None:
        for suffix, form in FORMATS.values():
            write_text(out / f"results.{suffix}", form(results))
    print(FORMATS[format_][1](results), end="")
