"""What the audio chain leaves of the traces that are no codec's sound: how much of the class trivial features tell.

    python -m benchmarks.audio_chain --speech ../shared/speech/vctk --speech ../shared/speech/folder

Passes each clip through one variant of each family of a recipe (the embedded edition's small networks, Lyra V2 among
them) with the chain's own code, finishes it under several audio policies, and has a probe tell the classes apart by the
features that ``audit`` holds against chance, by other utterances than those it learned from. Writes a Markdown table.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from benchmarks.report import machine, markdown_table
from codec_adapters.base import Adapter
from codec_adapters.classes import REAL
from codec_adapters.errors import CodecError
from codec_adapters.loading import load_codec
from codecfake_builder import audio
from codecfake_builder.audio import Wave
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.audit.measuring.features import NAMES, Group, columns_of, measure
from codecfake_builder.devices import settle_numerics
from codecfake_builder.errors import BuilderError
from codecfake_builder.finished_clip import FinishedClip, Reference, content_seed, finish
from codecfake_builder.progress import progress, say
from codecfake_builder.recipe.load import load_recipe
from codecfake_builder.recipe.variants import ResolvedCodec, resolve_variants
from codecfake_builder.resynthesis import PaddingRule, resynthesize

TABLE = Path(__file__).with_suffix(".md")
DEFAULT = AudioPolicy()
STEPS: dict[str, AudioPolicy | None] = {
    "none of it (chain 2)": None,
    "mean, dither": AudioPolicy(context_seconds=0, level="own", fade_seconds=0),
    "and context": AudioPolicy(level="own", fade_seconds=0),
    "and level": AudioPolicy(fade_seconds=0),
    "and fade: the default": DEFAULT,
    "the default, trim_db 35": AudioPolicy(trim_db=35),
    "the default, trim_db 25": AudioPolicy(trim_db=25),
    "the default without context, trim_db 25": AudioPolicy(trim_db=25, context_seconds=0),
}
"""Settings of the chain, by what the table calls them; ``None``: samples rounded as they are."""
SINGLE = ("first_sample", "rms", "dc", "noise_floor")
GROUPED = (Group.SILENCE, Group.EDGES, Group.LEVEL, Group.QUANTIZATION)
TREES = 150
FOLDS = 5
_Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Output:
    """A source, or what a codec made of it, at 16 kHz and as long as the source."""

    family: str
    utterance: int
    wave: Wave
    reference: Reference
    gain: float


@dataclass(frozen=True)
class Speech:
    """A source as codecs get it."""

    wave: Wave
    rate: int
    gain: float
    at_16k: Wave
    seed: int


def read(path: Path, limit: float) -> Speech:
    """The first ``limit`` seconds of a clip.

    Raises:
        RejectedError: it is no speech.
    """
    decoded, rate = audio.decode(path.read_bytes())
    decoded = decoded[: int(limit * rate)]
    wave, gain = audio.make_fit(decoded, rate)
    return Speech(wave, rate, gain, audio.resample(wave, rate, audio.RATE), content_seed(decoded))


def restored(adapter: Adapter, speech: Speech, seconds: float) -> Wave:
    """A codec's output for a clip with so much context, as builds align it."""
    rate = adapter.sample_rate
    context = audio.context_samples(seconds, rate)
    wave = audio.with_context(audio.resample(speech.wave, speech.rate, rate), context)
    length = PaddingRule.of(adapter, DEFAULT).padded(len(wave))
    output = resynthesize(adapter, [wave], [1], length)[0]
    slack = round(DEFAULT.max_missing_seconds * audio.RATE)
    return audio.restore(output, rate, adapter.spec.delay_samples, len(speech.at_16k), slack, context)


def finished(output: Output, policy: AudioPolicy | None) -> FinishedClip:
    """A clip under a policy; without one, its samples rounded as they are."""
    if policy is not None:
        reference = Reference.of(output.reference.wave, output.reference.seed, policy)
        return finish(output.wave, reference, policy, output.gain)
    peak = float(np.abs(output.wave).max())
    gain = audio.FULL_SCALE / max(peak, audio.FULL_SCALE)
    pcm = np.rint(output.wave.astype(np.float64) * gain * 32768).astype(np.int16)
    return FinishedClip(b"", pcm, gain * output.gain, 1.0)


def told(values: _Floats, families: Sequence[str], utterances: Sequence[int]) -> tuple[float, float]:
    """How well a probe tells the classes of clips of other utterances, and the real from the others.

    Args:
        values: ``[clips, features]``.
        families: class of each clip.
        utterances: number of the source of each.

    Returns:
        Macro F1 over the classes; area under the curve of real against fake, 0.5 being chance.
    """
    names = sorted(set(families))
    classes = np.array([names.index(family) for family in families])
    real = classes == names.index(REAL)
    folds = GroupKFold(min(FOLDS, len(set(utterances))))
    settings: dict[str, Any] = {"n_estimators": TREES, "min_samples_leaf": 2, "random_state": 0}
    found = cross_val_predict(ExtraTreesClassifier(**settings), values, classes, groups=utterances, cv=folds)
    one = ExtraTreesClassifier(**settings, class_weight="balanced")
    odds = cross_val_predict(one, values, real, groups=utterances, cv=folds, method="predict_proba")[:, 1]
    return float(f1_score(classes, found, average="macro")), float(roc_auc_score(real, odds))


def row(name: str, policy: AudioPolicy | None, outputs: Sequence[Output]) -> list[str]:
    """One line of the table."""
    values = []
    for output in outputs:
        clip = finished(output, policy)
        wave = (clip.pcm / 32768).astype(np.float32)
        features = measure(wave, clip.flac, len(clip.pcm), audio.RATE, clip.gain)
        values.append([*features, float(clip.pcm[0])])
    table, families = np.array(values), [output.family for output in outputs]
    utterances = [output.utterance for output in outputs]
    cells = []
    singles = [[len(NAMES)], *([NAMES.index(one)] for one in SINGLE)]
    for wanted in [*singles, *(columns_of(group) for group in GROUPED)]:
        f1, area = told(table[:, wanted], families, utterances)
        cells.append(f"{f1:.2f} / {area:.2f}")
    return [name, *cells]


def levels(outputs: Iterable[Output]) -> Iterator[list[str]]:
    """What the codecs do to level and mean, and how often a peak keeps a clip from its source's level, by family."""
    by_family: dict[str, list[tuple[float, float, bool]]] = {}
    for output in outputs:
        clip = finished(output, DEFAULT)
        offset = float(output.wave.mean(dtype=np.float64)) * 32768
        change = 20 * float(np.log10(1 / clip.level_gain))
        by_family.setdefault(output.family, []).append((change, offset, clip.gain < output.gain))
    for family, found in by_family.items():
        changes, offsets, limited = zip(*found, strict=True)
        yield [
            family,
            f"{np.median(changes):+.1f} ({min(changes):+.1f} to {max(changes):+.1f})",
            f"{np.median(offsets):+.1f} ({min(offsets):+.1f} to {max(offsets):+.1f})",
            f"{sum(limited)} of {len(limited)}",
        ]


def document(
    rows: Sequence[Sequence[str]], of_levels: Sequence[Sequence[str]], clips: int, limit: float, recipe: str
) -> str:
    """The whole Markdown file."""
    classes = len(of_levels)
    text = f"""# The audio chain

Written by `python -m benchmarks.audio_chain`; commit {_commit()}, {machine()}.
{clips} clips of speech, the first {limit:g} s of each, real and through {classes - 1} codecs of the recipe `{recipe}`.

Macro F1 over {classes} classes (chance {1 / classes:.2f}) / area under the curve of real against fake (chance 0.50)
of a probe (extremely randomized trees, {TREES}) that predicts utterances that it has not learned from. It sees the
first value of the clip, or a feature or group of features as `audit` measures them (its edges begin where a clip is
heard, and are relative to its level). A line that begins with "and" has what those before it have.

"""
    header = ("chain", "first value", *SINGLE, *(f"all of {group}" for group in GROUPED))
    return f"""{text}{markdown_table(header, rows)}
What the codecs do to level (dB) and mean (16-bit steps), median, least and most; and how many of their clips the
default chain has to scale down since a peak is over full scale, so that they stay below their source's level.

{markdown_table(("class", "level", "mean", "scaled down"), of_levels)}"""


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TABLE.parent)  # noqa: S603
    return done.stdout.strip() or "unknown"


def codecs_of(name: str, variants: Sequence[str]) -> list[ResolvedCodec]:
    """The variants of a recipe that are wanted, else the first of each family.

    Raises:
        CodecError, BuilderError: the recipe or its weights cannot be had; one line.
    """
    resolved = load_recipe(name)
    first: dict[int, str] = {}
    for codec in (v for v in resolved.variants() if v != REAL and not resolved.catalogue.is_alm(v)):
        first.setdefault(resolved.catalogue.label(codec), codec)
    wanted = variants or list(first.values())
    return [made for made in resolve_variants(resolved, wanted).values() if isinstance(made, ResolvedCodec)]


def passed(codecs: Sequence[ResolvedCodec], clips: Sequence[Speech]) -> dict[float, list[Output]]:
    """Real clips and the codecs' outputs, by seconds of context."""
    contexts = sorted({policy.context_seconds if policy else 0.0 for policy in STEPS.values()})
    outputs: dict[float, list[Output]] = {seconds: [] for seconds in contexts}
    references = [Reference.of(clip.at_16k, clip.seed, DEFAULT) for clip in clips]
    with progress("codecs", len(codecs), "codecs") as advance:
        for codec in [None, *codecs]:
            adapter = codec and load_codec(codec.entry(), codec.checkpoint, "cpu", codec.dtype, codec.options)
            for number, (clip, reference) in enumerate(zip(clips, references, strict=True)):
                for seconds in contexts:
                    wave = restored(adapter, clip, seconds) if adapter else clip.at_16k
                    family = codec.spec.family if codec else REAL
                    outputs[seconds].append(Output(family, number, wave, reference, clip.gain))
            advance(1 if codec else 0)
    return outputs


def main(
    speech: Annotated[list[Path], typer.Option(help="Folder of recordings. Repeatable.")],
    recipe: Annotated[str, typer.Option(help="Its codecs make the clips.")] = "mini",
    variant: Annotated[
        list[str] | None, typer.Option(help="Not the first of each family, but this. Repeatable.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="How much of each clip.")] = 9.0,
    out: Annotated[Path, typer.Option(help="The table.")] = TABLE,
) -> None:
    """Measure the steps of the audio chain and write the table."""
    settle_numerics()
    torch.set_num_threads(1)
    paths = [path for folder in speech if folder.is_dir() for path in audio.find_audio(folder)]
    try:
        if len(paths) < 2:
            raise BuilderError(f"{', '.join(map(str, speech))}: {len(paths)} audio files; two or more are needed")
        clips = [read(path, seconds) for path in paths]
        outputs = passed(codecs_of(recipe, variant or []), clips)
    except (BuilderError, CodecError) as error:
        say(f"error: {error}")
        raise typer.Exit(2) from None
    rows = []
    with progress("measuring", len(STEPS), "chains") as advance:
        for name, policy in STEPS.items():
            rows.append(row(name, policy, outputs[policy.context_seconds if policy else 0.0]))
            advance(1)
    of_levels = list(levels(outputs[DEFAULT.context_seconds]))
    out.write_text(document(rows, of_levels, len(clips), seconds, recipe), encoding="utf-8")
    say(f"written: {out}")


if __name__ == "__main__":
    typer.run(main)
