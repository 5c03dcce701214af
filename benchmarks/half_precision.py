"""What bfloat16 and float16 do to each codec: which codes change, how near the output stays, how fast it is.

    python -m benchmarks.half_precision --speech CLIPS --checkpoint dac_16khz=FOLDER --device cuda
    python -m benchmarks.half_precision --speech CLIPS --goldens ../shared/goldens

A variant named without ``=FOLDER`` uses the official weights of the user's cache. Writes a Markdown table.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

import codec_adapters
from benchmarks.report import machine, markdown_table
from codec_adapters.base import Adapter
from codec_adapters.errors import CodecError
from codecfake_builder import audio
from codecfake_builder.devices import settle_numerics
from codecfake_builder.progress import progress, say
from codecfake_builder.rejections import RejectedError

DTYPES = ("float32", "bfloat16", "float16")
TABLE = Path(__file__).with_suffix(".md")
HEADER = ("variant", "dtype", "works", "first codebook", "all codes", "SNR (dB)", "real-time factor", "batch = items")
GOLDENS = {
    "speechtokenizer_hubert_avg": "speechtokenizer/a_elu",
    "wavtokenizer_small_75tps": "wavtokenizer/a_small_320",
    "academicodec_encodec_16k_320d": "soundstream_academicodec/encodec_16k_320d_a",
    "academicodec_hifi_16k_320d": "academicodec/hificodec_16k_a",
    "audiodec_libritts_v1": "audiodec/libritts_v1_a",
    "funcodec_libritts_nq32ds640": "funcodec/encodec_ds640",
    "funcodec_libritts_gr8nq32ds320": "funcodec/freqcodec_mag_phase",
    "facodec_v1": "facodec/v1_a",
    "facodec_v2": "facodec/v2_a",
    "snac_24khz": "snac/a_24k_noise",
}
"""Cases whose checkpoints ``--goldens`` takes: random weights, so what they say about real ones is little."""


@dataclass(frozen=True)
class Run:
    """What one precision made of the clips."""

    codes: list[list[Tensor]]
    """Per clip, the tensors of :class:`codec_adapters.base.Codes`."""
    outputs: list[Tensor]
    seconds: float
    """Of computing, for ``audio_seconds`` of speech."""
    audio_seconds: float
    batch_is_items: bool
    """Codes of a batch are those of its items."""


def share_changed(codes: Sequence[Sequence[Tensor]], reference: Sequence[Sequence[Tensor]]) -> tuple[float, float]:
    """Share of codes that differ from ``reference``'s, of the coarsest codebook and of all, over all clips."""
    pairs = [pair for ours, theirs in zip(codes, reference, strict=True) for pair in zip(ours, theirs, strict=True)]
    firsts = [(ours[0][:, :1], theirs[0][:, :1]) for ours, theirs in zip(codes, reference, strict=True)]
    return _share(firsts), _share(pairs)


def _share(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    changed = torch.cat([(ours != theirs).flatten() for ours, theirs in pairs])
    return changed.double().mean().item()


def snr(output: Tensor, reference: Tensor) -> float:
    """Signal-to-noise ratio in dB of ``output``, where ``reference`` is the signal; infinite where they are equal."""
    noise = (output.double() - reference.double()).square().sum()
    return float(10 * torch.log10(reference.double().square().sum() / noise))


def row(variant: str, dtype: str, run: Run | str, reference: Run | str) -> list[str]:
    """One line of the table; a text in place of a run says why there is none."""
    if isinstance(run, str):
        return [f"`{variant}`", dtype, f"no: {run}"]
    speed = f"{run.seconds / run.audio_seconds:.3f}"
    batch = "yes" if run.batch_is_items else "no"
    if dtype == "float32" or isinstance(reference, str):
        return [f"`{variant}`", dtype, "yes", "", "", "", speed, batch]
    first, every = share_changed(run.codes, reference.codes)
    ratios = [snr(*pair) for pair in zip(run.outputs, reference.outputs, strict=True)]
    median = torch.tensor(ratios).median().item()
    return [f"`{variant}`", dtype, "yes", f"{first:.1%}", f"{every:.1%}", f"{median:.1f}", speed, batch]


@torch.inference_mode()
def measured(
    variant: str, checkpoint: Path | None, dtype: str, device: str, clips: Sequence[Path], limit: float
) -> Run:
    """One variant in one precision over the first ``limit`` seconds of each clip.

    Raises:
        CodecError, RuntimeError: it does not load or run, or its output is not finite.
    """
    adapter = codec_adapters.load(variant, checkpoint, device=device, dtype=dtype)
    waves = [_speech(path, adapter.sample_rate, limit) for path in clips]
    adapter.resynthesize(waves[0])
    codes, outputs, seconds = [], [], 0.0
    for wave in waves:
        codes.append([level.cpu() for level in adapter.encode(wave)])
        started = _now(device)
        outputs.append(adapter.resynthesize(wave))
        seconds += _now(device) - started
    if not all(output.isfinite().all() for output in outputs):
        raise RuntimeError("the output is not finite")
    samples = sum(wave.shape[1] for wave in waves)
    outputs = [output.cpu() for output in outputs]
    return Run(codes, outputs, seconds, samples / adapter.sample_rate, _batch_is_items(adapter, waves))


def _speech(path: Path, rate: int, limit: float) -> Tensor:
    """The beginning of a clip, ``[1, samples]`` at ``rate`` Hz."""
    wave, own_rate = audio.decode(path.read_bytes())
    return torch.from_numpy(audio.resample(wave[: int(limit * own_rate)], own_rate, rate).copy())[None]


def _now(device: str) -> float:
    """Seconds; on the CPU, of this process alone, since the machine may be busy with other things."""
    if torch.device(device).type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def _batch_is_items(adapter: Adapter, waves: Sequence[Tensor]) -> bool:
    shortest = min(wave.shape[1] for wave in waves)
    batch = torch.cat([wave[:, :shortest] for wave in waves])
    alone = [adapter.encode(item) for item in batch.split(1)]
    together = adapter.encode(batch)
    return all(
        torch.equal(level[item], own[0])
        for item, codes in enumerate(alone)
        for level, own in zip(together, codes, strict=True)
    )


def chosen_checkpoints(entries: Iterable[str], goldens: Path | None) -> dict[str, Path | None]:
    """``VARIANT=FOLDER`` or ``VARIANT`` entries, and the golden checkpoints that are in ``goldens``, by variant.

    Raises:
        ValueError: nothing at all; one line.
        UnknownVariantError: no such variant.
    """
    cases = {variant: goldens / case / "checkpoint" for variant, case in GOLDENS.items()} if goldens else {}
    chosen: dict[str, Path | None] = {variant: folder for variant, folder in cases.items() if folder.is_dir()}
    for entry in entries:
        variant, separator, folder = entry.partition("=")
        codec_adapters.spec(variant)
        chosen[variant] = Path(folder) if separator else None
    if not chosen:
        raise ValueError("give --checkpoint VARIANT=FOLDER, or --goldens with a folder of golden cases")
    return chosen


def document(rows: Sequence[Sequence[str]], device: str, clips: int, limit: float, note: str) -> str:
    """The whole Markdown file."""
    threads = ", one thread" if device == "cpu" else ""
    text = f"""# Half precision

Written by `python -m benchmarks.half_precision`; {machine(device)}, device {device}{threads}.
{clips} clips of speech, the first {limit:g} s of each. {note}

*First codebook* and *all codes*: share of codes that are others than in float32; quantizer searches are in float32
in every precision, so a code changes because the latent does. *SNR*: of the output against float32's, median over the
clips; where codes changed, the outputs are two versions of a clip rather than a signal and noise. *Real-time factor*:
seconds of computing (on the CPU: CPU time) per second of speech, clip by clip. *Batch = items*: in a batch, each clip
gets the codes that it gets alone.

"""
    return text + markdown_table(HEADER, rows)


def main(
    speech: Annotated[Path, typer.Option(help="Folder of WAV or FLAC clips.")],
    checkpoint: Annotated[list[str] | None, typer.Option(metavar="VARIANT[=FOLDER]", help="Repeatable.")] = None,
    goldens: Annotated[Path | None, typer.Option(help="Folder of golden cases.")] = None,
    device: Annotated[str, typer.Option(help="A torch device: cpu, cuda, cuda:1.")] = "cpu",
    clips: Annotated[int, typer.Option(min=1, help="How many clips, spread over the folder.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.5, help="How much of each.")] = 3.0,
    note: Annotated[str, typer.Option(help="A sentence about the weights, for the table.")] = "",
    out: Annotated[Path, typer.Option(help="The table.")] = TABLE,
) -> None:
    """Measure half precision and write the table."""
    settle_numerics()  # as the builder's workers do: float32 means float32 on a GPU too
    found = audio.find_audio(speech)
    found = found[:: max(1, len(found) // clips)][:clips]
    try:
        checkpoints = chosen_checkpoints(checkpoint or [], goldens)
        if not found:
            raise ValueError(f"{speech}: holds no WAV or FLAC files")
    except (ValueError, CodecError) as error:
        say(f"error: {error}")
        raise typer.Exit(2) from None
    rows = []
    with progress("measuring", len(checkpoints) * len(DTYPES), "precisions") as advance:
        for variant, folder in checkpoints.items():
            runs: dict[str, Run | str] = {}
            for dtype in DTYPES:
                try:
                    runs[dtype] = measured(variant, folder, dtype, device, found, seconds)
                except (CodecError, RuntimeError, RejectedError) as error:
                    runs[dtype] = str(error).splitlines()[0]
                rows.append(row(variant, dtype, runs[dtype], runs["float32"]))
                advance(1)
    out.write_text(document(rows, device, len(found), seconds, note), encoding="utf-8")
    say(f"written: {out}")


if __name__ == "__main__":
    typer.run(main)
