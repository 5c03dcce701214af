"""How much of the label is in the pauses alone, and how much in the speech alone.

Detectors that are trained on re-synthesis lean on the parts without speech (arXiv 2506.07294). The same classifier
learns from both, of the same clips.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from codecfake_builder.audit.findings import Finding, Status
from codecfake_builder.audit.probes import LEAST_UTTERANCES, Result, Trial, run
from codecfake_builder.signals.speech_parts import NAMES

PARTS = ("pauses", "speech")


def nonspeech_finding(trials: Iterable[Trial], pauses: Any, speech: Any) -> Finding:
    """Return the note on what the pauses alone and the speech alone tell of the class.

    Args:
        trials: what to learn from and predict.
        pauses: ``[clips, features]``, see :func:`codecfake_builder.signals.speech_parts.split_speech`; NaN where a clip
            has none.
        speech: the same of the speech.
    """
    trials = list(trials)
    there = np.isfinite(pauses).all(axis=1) & np.isfinite(speech).all(axis=1)
    kept = [small for trial in trials if (small := _of(trial, there)) is not None]
    if not kept:
        reason = f"too few clips have at least 0.1 s of pauses and of speech: {int(there.sum())} of {len(there)}"
        return Finding("non-speech", "all", Status.SKIPPED, reason)
    columns = range(len(NAMES))
    found = {
        part: [run(trial, values, columns, NAMES) for trial in kept]
        for part, values in zip(PARTS, (pauses, speech), strict=True)
    }
    share = sum(len(trial.predict) for trial in kept) / sum(len(trial.predict) for trial in trials)
    words = [f"{part} alone: {_words(results)}" for part, results in found.items()]
    chance = np.mean([result.f1.chance for result in found["pauses"]])
    summary = f"{'; '.join(words)} (chance {chance:.2f}/0.50); {share:.0%} of the clips have both"
    values = {part: [_numbers(result) for result in results] for part, results in found.items()}
    return Finding("non-speech", "all", Status.NOTE, summary, {**values, "share_with_both": round(share, 4)})


def _of(trial: Trial, there: Any) -> Trial | None:
    """Return the trial with the clips that have both parts; ``None`` where too few utterances or classes remain."""
    learn, predict = trial.learn[there[trial.learn]], trial.predict[there[trial.predict]]
    utterances = len(np.unique(trial.blocks[np.concatenate([learn, predict])]))
    classes = [set(trial.numbers[rows]) for rows in (learn, predict)]
    if utterances < LEAST_UTTERANCES or classes[0] != classes[1] or len(classes[0]) < len(trial.classes):
        return None
    return replace(trial, learn=learn, predict=predict)


def _words(results: list[Result]) -> str:
    f1 = np.mean([result.f1.value for result in results])
    aucs = [result.auc.value for result in results if result.auc is not None]
    return f"macro F1 {f1:.2f}" + (f", AUC real against fake {np.mean(aucs):.2f}" if aucs else "")


def _numbers(result: Result) -> dict[str, Any]:
    numbers = {"trial": result.trial, "clips": result.clips, "macro_f1": round(result.f1.value, 4)}
    numbers["chance"] = round(result.f1.chance, 4)
    return {**numbers, **({"auc_real": round(result.auc.value, 4)} if result.auc is not None else {})}
