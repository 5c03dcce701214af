"""The note on how closely the clips follow their sources."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from codecfake_builder.audit.faithfulness import fidelity_finding
from codecfake_builder.audit.faithfulness.note import PAIRS
from codecfake_builder.audit.findings import Status
from codecfake_builder.audit.measuring.comparison import COMPARISONS, INCOMPARABLE, compare
from codecfake_builder.dataset.quality import first_by_hash
from codecfake_builder.signals import fidelity
from tests.codecfake_builder.audit.test_comparison import shifted
from tests.kit.audited import Audited, ClipsInMemory, noisy, speech

VARIANTS: dict[str, Callable[[Any], Any]] = {
    "clear": noisy(-20),
    "noisy": noisy(0),
    "late": lambda wave: shifted(noisy(-20)(wave), 40),
}


def clips(count: int, damaged: int | None = None) -> tuple[ClipsInMemory, Any]:
    """Clips of some variants, of which one may be damaged; and their comparisons."""
    found: list[Audited] = []
    comparisons = []
    for number, (name, wave) in enumerate(list(speech().items())[:count]):
        found.append(Audited(wave, name))
        comparisons.append(INCOMPARABLE)
        for variant, made in VARIANTS.items():
            clip = noisy(15)(wave) if number == damaged and variant == "clear" else made(wave)
            found.append(Audited(clip, name, "train", variant))
            comparisons.append(compare(wave, clip))
    return ClipsInMemory(found), np.array(comparisons, dtype=COMPARISONS)


@pytest.mark.slow
def test_each_variant_has_its_figures_and_late_clips_are_aligned_first() -> None:
    finding = fidelity_finding(*clips(18), workers=1)
    assert (finding.line, finding.status) == ("faithfulness", Status.NOTE)
    cells = {cell["variant"]: cell for cell in finding.values["cells"]}
    assert set(cells) == set(VARIANTS)
    assert all((cell["clips"], cell["scored"], cell["far"]) == (18, PAIRS, 0) for cell in cells.values())
    assert cells["clear"]["stoi"] > 0.9 > cells["noisy"]["stoi"] > cells["noisy"]["lowest_stoi"]
    assert cells["late"]["stoi"] == pytest.approx(cells["clear"]["stoi"], abs=0.03)
    assert cells["clear"]["si_sdr_db"] == pytest.approx(20, abs=0.5)
    assert cells["noisy"]["lsd_db"] > cells["clear"]["lsd_db"] + 5
    assert "STOI" in finding.summary
    assert "(noisy)" in finding.summary


def test_damaged_clips_are_named_to_listen_to() -> None:
    finding = fidelity_finding(*clips(10, damaged=3), workers=1)
    name = list(speech())[3]
    assert finding.examples == (f"train-clear-{name}",)
    cell = next(cell for cell in finding.values["cells"] if cell["variant"] == "clear")
    assert (cell["far"], cell["listen_to"]) == (1, [f"train-clear-{name}"])


def test_whether_pesq_is_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    some = clips(3)
    monkeypatch.setattr(fidelity, "find_spec", lambda name: None)
    finding = fidelity_finding(*some, workers=1)
    assert "no PESQ: the package pesq is not installed" in finding.summary
    assert all(cell["pesq"] is None for cell in finding.values["cells"])

    package = ModuleType("pesq")
    vars(package).update(PesqError=RuntimeError, pesq=lambda rate, source, clip, mode: 2.5)
    monkeypatch.setitem(sys.modules, "pesq", package)
    monkeypatch.setattr(fidelity, "find_spec", lambda name: package)
    finding = fidelity_finding(*some, workers=1)
    assert "no PESQ" not in finding.summary
    assert all(cell["pesq"] == 2.5 for cell in finding.values["cells"])


def test_pesq_of_real_speech() -> None:
    pytest.importorskip("pesq", reason="the extra quality is not installed")
    wave = speech()["e01_1"]
    scores = [fidelity.pesq(wave, noisy(decibels)(wave)) for decibels in (-40, -20, 0)]
    assert scores == sorted(scores, reverse=True)
    assert np.isnan(fidelity.pesq(np.zeros(16000, np.float32), np.zeros(16000, np.float32)))


def test_clips_too_short_for_a_measure_are_left_out() -> None:
    wave = speech()["e01_1"][3000:7000]
    assert fidelity.stoi(wave, wave) < fidelity.UNMEASURABLE
    assert fidelity.stoi(np.zeros(16000, np.float32), np.zeros(16000, np.float32)) < fidelity.UNMEASURABLE
    short = ClipsInMemory([Audited(wave, "a"), Audited(wave, "a", "train", "codec")])
    comparisons = np.array([INCOMPARABLE, compare(wave, wave)], dtype=COMPARISONS)
    (cell,) = fidelity_finding(short, comparisons, workers=1).values["cells"]
    assert (cell["stoi"], cell["scored"]) == (None, 0)


def test_nothing_to_compare_is_said() -> None:
    alone = ClipsInMemory([Audited(speech()["e01_1"], "a")])
    assert fidelity_finding(alone, np.full(1, np.nan, dtype=COMPARISONS), 1).status is Status.SKIPPED


def test_clips_are_chosen_by_their_ids_alone() -> None:
    names = [f"clip{number}" for number in range(50)]
    some = first_by_hash(names, str, 5)
    assert some == first_by_hash(reversed(names), str, 5)
    assert set(some) == set(first_by_hash(names, str, 16)[:5])
    assert some != names[:5]
