"""The suite: every check by name, run one after the other; none takes the others down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from codec_adapters.files.documents import nearest
from codecfake_builder.conformance import contract
from codecfake_builder.conformance import spec_checks as figures
from codecfake_builder.conformance.offline import network_refused
from codecfake_builder.conformance.subject import THOROUGH, Failed, NotJudged, Settings, Subject
from codecfake_builder.progress import progress
from codecfake_builder.tables import format_table

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

Verdict = Literal["pass", "fail", "skipped"]
NO_NETWORK = "no network"

CHECKS: dict[str, Callable[[Subject], str]] = {
    "loads offline": contract.loads_offline,
    "output": contract.output,
    "deterministic": contract.deterministic,
    "seeds": contract.seeds,
    "batch invariance": contract.batch_invariance,
    "thread safety": contract.thread_safety,
    "any length": contract.any_length,
    "length rule": contract.length_rule,
    "silence": figures.silence,
    "full scale": figures.full_scale,
    "nonsense refused": contract.nonsense_refused,
    "spec": figures.spec,
    "codes": figures.codes,
    "delay": figures.delay,
    "tail_local": figures.tail_local,
    "STOI": figures.stoi,
    "PESQ": figures.pesq,
    "gain": figures.gain,
    "real-time factor": figures.speed,
    "peak memory": figures.memory,
    "no leak": figures.leak,
}
"""Name -> check. :data:`NO_NETWORK` comes after them: it judges what all of them made the codec do."""


@dataclass(frozen=True)
class CheckResult:
    """What one check found."""

    name: str
    verdict: Verdict
    figure: str
    """What was measured, or why not, in words; one line."""


def run_suite(
    adapter: Adapter,
    settings: Settings = THOROUGH,
    load: Callable[[], Adapter] | None = None,
    own_weights: bool = True,
    checks: Sequence[str] = tuple(CHECKS),
) -> list[CheckResult]:
    """Judge a codec. An exception in a check is that check's failure; an interrupt is one.

    The process should compute as the engine's do (:func:`codecfake_builder.devices.settle_numerics`).

    Args:
        adapter: the codec, loaded.
        settings: how thoroughly; :data:`codecfake_builder.conformance.subject.QUICK` is the short form.
        load: loads it again from what is there already; without it, loading offline is not judged.
        own_weights: whether it runs with the weights and options that its spec speaks of; otherwise codebooks and bit
            rate of the spec are not held against it.
        checks: names out of :data:`CHECKS`.

    Raises:
        ValueError: an unknown name among ``checks``.
    """
    for name in checks:
        if name not in CHECKS:
            raise ValueError(f"unknown check {name!r}; {nearest(name, CHECKS)}")
    subject = Subject(adapter, settings, load, own_weights)
    results = []
    with (
        progress(f"conformance of {adapter.spec.name}", len(checks), "checks") as advance,
        network_refused() as attempts,
    ):
        for name in checks:
            results.append(_judged(name, subject, attempts))
            advance(1)
    return [*results, _network(attempts)]


def _judged(name: str, subject: Subject, attempts: list[str]) -> CheckResult:
    before = len(attempts)
    try:
        result = CheckResult(name, "pass", CHECKS[name](subject))
    except Failed as found:
        result = CheckResult(name, "fail", str(found))
    except NotJudged as reason:
        result = CheckResult(name, "skipped", str(reason))
    except Exception as error:  # noqa: BLE001 - a codec may raise anything; it fails this check and no other
        result = CheckResult(name, "fail", contract.one_line(error))
    if name == "loads offline":
        del attempts[before:]  # judged by that check; what follows is about running
    elif result.verdict == "fail" and len(attempts) > before:
        return CheckResult(name, "skipped", f"asked for {attempts[-1]} and met no network, see {NO_NETWORK}")
    return result


def _network(attempts: list[str]) -> CheckResult:
    if attempts:
        targets = ", ".join(dict.fromkeys(attempts))
        return CheckResult(NO_NETWORK, "fail", f"asked for {targets} at run time, {len(attempts)} times in all")
    return CheckResult(NO_NETWORK, "pass", "no connection was tried by this process; those it starts are not seen")


def failed(results: Sequence[CheckResult]) -> list[CheckResult]:
    """Those that failed."""
    return [result for result in results if result.verdict == "fail"]


def results_table(results: Sequence[CheckResult]) -> str:
    """The results as a table for people."""
    return format_table(["check", "verdict", "measured"], [[r.name, r.verdict, r.figure] for r in results])
