"""The conformance suite: runs every check on a codec, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from codec_adapters.files.documents import nearest
from codecfake_builder.conformance import (
    contract_checks,
    cost_checks,
    part_checks,
    repeat_checks,
    spec_checks,
    speech_checks,
)
from codecfake_builder.conformance.offline import network_refused
from codecfake_builder.conformance.settings import THOROUGH, Settings
from codecfake_builder.conformance.under_test import CodecUnderTest, FailVerdict, SkipVerdict
from codecfake_builder.progress import progress
from codecfake_builder.tables import format_table

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

Verdict = Literal["pass", "fail", "skipped"]
NO_NETWORK = "no network"

CHECKS: dict[str, Callable[[CodecUnderTest], str]] = {
    "loads offline": contract_checks.loads_offline,
    "output": contract_checks.output,
    "input kept": repeat_checks.input_kept,
    "deterministic": contract_checks.deterministic,
    "seeds": contract_checks.seeds,
    "batch invariance": contract_checks.batch_invariance,
    "thread safety": contract_checks.thread_safety,
    "any length": contract_checks.any_length,
    "length rule": contract_checks.length_rule,
    "silence": speech_checks.silence,
    "full scale": speech_checks.full_scale,
    "nonsense refused": contract_checks.nonsense_refused,
    "spec": spec_checks.spec,
    "codes": spec_checks.codes,
    "delay": spec_checks.delay,
    "tail_local": spec_checks.tail_local,
    "level of parts": part_checks.level,
    "speech in parts": part_checks.speech,
    "no drift": part_checks.drift,
    "no clicks": part_checks.clicks,
    "no offset": part_checks.offset,
    "STOI": speech_checks.stoi,
    "PESQ": speech_checks.pesq,
    "gain": speech_checks.gain,
    "real-time factor": cost_checks.speed,
    "peak memory": cost_checks.memory,
    "many calls": repeat_checks.many_calls,
    "no leak": cost_checks.leak,
}
"""Name -> check. :data:`NO_NETWORK` comes last: it is about connections that the codec tried during all of them."""


@dataclass(frozen=True)
class CheckResult:
    """The verdict of one check."""

    name: str
    verdict: Verdict
    measured: str
    """What was measured, or why the check was skipped, in words; one line."""


def run_suite(
    adapter: Adapter,
    settings: Settings = THOROUGH,
    load: Callable[[], Adapter] | None = None,
    own_weights: bool = True,
    checks: Sequence[str] = tuple(CHECKS),
) -> list[CheckResult]:
    """Run the checks on a codec.

    A check that raises has failed, and the others go on; an interrupt ends the suite. Call
    :func:`codecfake_builder.devices.settle_numerics` first, so that this process computes as those of a build do.

    Args:
        adapter: the loaded codec.
        settings: how thoroughly; :data:`codecfake_builder.conformance.settings.QUICK` is the short form.
        load: loads the codec again without the network; without it, the check "loads offline" is skipped.
        own_weights: whether it runs with the weights and options that its spec describes; otherwise codebooks and bit
            rate of the spec are not compared.
        checks: names out of :data:`CHECKS`.

    Returns:
        One result per check, and one for :data:`NO_NETWORK`.

    Raises:
        ValueError: an unknown name among ``checks``.

    >>> import codec_adapters
    >>> from codecfake_builder.conformance.settings import QUICK
    >>> from codecfake_builder.resources import resource_folder
    >>> weights = resource_folder("recipes") / "mini" / "weights" / "snac_24khz"
    >>> results = run_suite(codec_adapters.load("snac_24khz", weights), QUICK, checks=["output", "seeds"])
    >>> [(result.name, result.verdict) for result in results]
    [('output', 'pass'), ('seeds', 'pass'), ('no network', 'pass')]
    """
    for name in checks:
        if name not in CHECKS:
            raise ValueError(f"unknown check {name!r}; {nearest(name, CHECKS)}")
    codec = CodecUnderTest(adapter, settings, load, own_weights)
    results = []
    with (
        progress(f"conformance of {adapter.spec.name}", len(checks), "checks") as advance,
        network_refused() as attempts,
    ):
        _call_once(codec)
        for name in checks:
            results.append(_run_check(name, codec, attempts))
            advance(1)
    return [*results, _network(attempts)]


def _call_once(codec: CodecUnderTest) -> None:
    """Remember the codec's very first output, with which later ones are compared."""
    try:
        len(codec.first_output)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a codec may raise anything; the checks will tell
        return


def _run_check(name: str, codec: CodecUnderTest, attempts: list[str]) -> CheckResult:
    """Run one check; what it raises becomes its verdict.

    Args:
        attempts: connections that the codec has tried so far.
    """
    before = len(attempts)
    try:
        result = CheckResult(name, "pass", CHECKS[name](codec))
    except FailVerdict as found:
        result = CheckResult(name, "fail", str(found))
    except SkipVerdict as reason:
        result = CheckResult(name, "skipped", str(reason))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a codec may raise anything; it fails this check only
        result = CheckResult(name, "fail", contract_checks.one_line(error))
    if name == "loads offline":
        del attempts[before:]  # that check has reported them; NO_NETWORK is about running
    elif result.verdict == "fail" and len(attempts) > before:
        return CheckResult(name, "skipped", f"asked for {attempts[-1]} and met no network, see {NO_NETWORK}")
    return result


def _network(attempts: list[str]) -> CheckResult:
    """Return the verdict on the connections that the codec tried while it ran."""
    if attempts:
        targets = ", ".join(dict.fromkeys(attempts))
        return CheckResult(NO_NETWORK, "fail", f"asked for {targets} at run time, {len(attempts)} times in all")
    return CheckResult(NO_NETWORK, "pass", "no connection was tried by this process; those it starts are not seen")


def failed(results: Sequence[CheckResult]) -> list[CheckResult]:
    """Return the results of the checks that failed."""
    return [result for result in results if result.verdict == "fail"]


def results_table(results: Sequence[CheckResult]) -> str:
    """Return the results as a table for people."""
    return format_table(["check", "verdict", "measured"], [[r.name, r.verdict, r.measured] for r in results])
