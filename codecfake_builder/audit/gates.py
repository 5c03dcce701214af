"""Hold every group of gate features against chance, and say how much the signal features tell.

A fault shows in one line: a class that failed an earlier line (clips of another length end elsewhere) is left out of
those lines that it would make fail by consequence, and they say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from codec_adapters.classes import REAL
from codecfake_builder.audit.chance import FALSE_ALARMS, Score
from codecfake_builder.audit.findings import Finding, Status
from codecfake_builder.audit.measuring.features import FEATURES, NAMES, Group, columns_of
from codecfake_builder.audit.probes import Result, Trial, run

GATES = (Group.LENGTH, Group.SILENCE, Group.LEVEL, Group.QUANTIZATION, Group.EDGES, Group.FILE)
CONSEQUENCES: Mapping[Group, tuple[str, ...]] = {
    Group.LENGTH: ("length",),
    Group.SILENCE: ("length", "lag"),
    Group.LEVEL: ("level",),
    Group.QUANTIZATION: ("container", "level", "lag"),
    Group.EDGES: ("length", "lag", "silence", "quantization"),
    Group.FILE: ("container",),
}
"""Lines whose classes are left out of a group's probes, since one follows from the other."""


@dataclass(frozen=True)
class _Probed:
    group: Group
    results: list[Result]
    left_out: tuple[str, ...]


def gate_findings(trials: Iterable[Trial], values: Any, earlier: Iterable[Finding]) -> list[Finding]:
    """Return a line for each group of gate features, and one for the signal features.

    Args:
        trials: what to learn from and predict.
        values: ``[clips, features]``.
        earlier: lines that have failed already, by the classes that they are about.
    """
    trials, guilty = list(trials), _guilty(earlier)
    if not trials:
        reason = "no class has a clip of the utterances of another one, so that nothing can be compared"
        return [Finding(group, "all", Status.SKIPPED, reason) for group in GATES]
    tests = _tests(trials)
    findings = []
    # of clips of one utterance the lengths are compared one by one, see containers.py
    unpaired = not all(trial.paired for trial in trials)
    for group in GATES if unpaired else GATES[1:]:
        probed = _probe(group, trials, values, guilty)
        finding = _gate(probed, tests)
        if finding.status is Status.FAIL:
            guilty.setdefault(group.value, set()).update(finding.classes)
        findings.append(finding)
    return [*findings, _signals("signal", _probe(Group.SIGNAL, trials, values, {}))]


def generated_findings(trials: Iterable[Trial], values: Any) -> list[Finding]:
    """Return the note on speech of its own, where length, pauses and level may tell the class by right.

    Args:
        trials: of generated against recorded speech.
        values: ``[clips, features]``.
    """
    trials = list(trials)
    return [
        _signals(f"generated: {group}", probed)
        for group in (*GATES, Group.SIGNAL)
        if (probed := _probe(group, trials, values, {})).results
    ]


def _guilty(findings: Iterable[Finding]) -> dict[str, set[str]]:
    guilty: dict[str, set[str]] = {}
    for finding in findings:
        if finding.status is Status.FAIL:
            guilty.setdefault(finding.line, set()).update(finding.classes)
    return guilty


def _tests(trials: Iterable[Trial]) -> int:
    """Return how many scores are held against chance in all: each feature and each group of more, in each trial."""
    probes = sum(1 for feature in FEATURES if feature.group in GATES) + len(GATES)
    return probes * sum(1 + len(trial.classes) for trial in trials)


def _probe(group: Group, trials: Iterable[Trial], values: Any, guilty: Mapping[str, set[str]]) -> _Probed:
    """Run a probe on each feature of a group and on all of them, in every trial."""
    left_out = frozenset(name for line in CONSEQUENCES.get(group, ()) for name in guilty.get(line, ()))
    columns = columns_of(group)
    results = []
    for trial in trials:
        kept = trial.without(left_out)
        if kept is not None and len(kept.learn) and len(kept.predict):
            results += [run(kept, values, columns, NAMES), *(run(kept, values, [column], NAMES) for column in columns)]
    return _Probed(group, results, tuple(sorted(left_out)))


def _gate(probed: _Probed, tests: int) -> Finding:
    """Return the line of a group of gate features."""
    if not probed.results:
        some = ", ".join(probed.left_out)
        return Finding(
            probed.group, "all", Status.SKIPPED, f"no two classes are left beside {some}, which failed before"
        )
    failing = [result for result in probed.results if any(score.fails(tests) for score in result.scores)]
    worst = max(failing or probed.results, key=lambda result: max(_distance(score, tests) for score in result.scores))
    classes = _named(failing, tests)
    note = f"; without {', '.join(probed.left_out)}, by consequence of an earlier line" if probed.left_out else ""
    return Finding(
        probed.group,
        "all",
        Status.FAIL if failing else Status.PASS,
        f"{_words(worst, tests)}{note}",
        _values(probed, tests),
        classes,
    )


def _distance(score: Score, tests: int) -> float:
    return score.interval(tests)[0] - score.chance


def _named(results: Iterable[Result], tests: int) -> tuple[str, ...]:
    """Return the classes that failing probes recognize, the clearest first; where real speech is the clearest, it is
    told from a fault that all others have."""
    best: dict[str, float] = {}
    for result in results:
        for name, score in result.aucs.items():
            if score.fails(tests):
                best[name] = max(best.get(name, 0.0), _distance(score, tests))
    return tuple(sorted(best, key=lambda name: (-best[name], name)))


def _words(result: Result, tests: int) -> str:
    """Say what a probe knew, and against which chance."""
    what = result.features[0] if len(result.features) == 1 else "all features together"
    text = f"{what} ({result.trial}): macro F1 {_interval(result.f1, tests)}"
    if result.auc is not None:
        text += f"; AUC real against fake {_interval(result.auc, tests)}"
    told = {name: score for name, score in result.aucs.items() if name != REAL and score.above_chance(tests)}
    for name in sorted(told, key=lambda name: -told[name].value)[:2]:
        text += f"; {name} against all others {_interval(told[name], tests)}"
    return text


def _interval(score: Score, tests: int) -> str:
    low, high = score.interval(tests)
    return f"{score.value:.2f} [{low:.2f}, {high:.2f}], chance {score.chance:.2f}"


def _values(probed: _Probed, tests: int) -> dict[str, Any]:
    return {
        "probes": [
            {
                "trial": result.trial,
                "features": list(result.features),
                "clips": result.clips,
                "macro_f1": _numbers(result.f1, tests),
                "auc": {name: _numbers(score, tests) for name, score in result.aucs.items()},
            }
            for result in probed.results
        ],
        "left_out": list(probed.left_out),
        "false_alarms": FALSE_ALARMS,
        "tests": tests,
    }


def _numbers(score: Score, tests: int) -> dict[str, float | bool]:
    low, high = score.interval(tests)
    return {
        "value": round(score.value, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "chance": round(score.chance, 4),
        "above_chance": score.above_chance(tests),
    }


def _signals(line: str, probed: _Probed) -> Finding:
    """Return the note on features that may tell a class by right: how much each tells alone, and all together."""
    by_feature: dict[tuple[str, ...], list[Result]] = {}
    for result in probed.results:
        by_feature.setdefault(result.features, []).append(result)
    means = {
        names[0] if len(names) == 1 else "together": (
            sum(result.f1.value for result in results) / len(results),
            _mean([result.auc.value for result in results if result.auc]),
        )
        for names, results in by_feature.items()
    }
    parts = [f"{name} {f1:.2f}" + (f"/{auc:.2f}" if auc is not None else "") for name, (f1, auc) in means.items()]
    chance = _mean([result.f1.chance for result in probed.results]) or 0.0
    return Finding(
        line,
        "all",
        Status.NOTE,
        f"macro F1/AUC, chance {chance:.2f}/0.50: {', '.join(parts)}",
        _values(probed, 1),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
