"""Each way in which a class may not follow its sources is found by its own line, and by no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.faithfulness import faithfulness_findings
from codecfake_builder.audit.findings import Finding, Status, failed
from codecfake_builder.audit.measuring.audio_file import decoded
from codecfake_builder.audit.measuring.comparison import COMPARISONS, compare
from codecfake_builder.audit.tree_clips import TreeClips
from tests.codecfake_builder.audit.test_comparison import low_passed, shifted, through_8_khz, vocoded
from tests.kit.audited import Audited, ClipsInMemory, louder, noisy, speech, through

Plant = Callable[[Any], Any]
LINES = ["lag", "level", "bandwidth", "outliers"]


def _kept(codec: Plant) -> Plant:
    """The codec; what it made of some clip is kept, since each test wants it again."""
    made: dict[int, Any] = {}

    def run(wave: Any) -> Any:
        key = hash(wave.tobytes())
        if key not in made:
            made[key] = codec(wave)
        return made[key]

    return run


CODECS: dict[str, Callable[[Any], Any]] = {
    "opus": _kept(through("OGG", "OPUS")),
    "vocoder": _kept(vocoded),
    "noise": _kept(noisy(-12)),
}
VARIANTS = ["real", *CODECS]


def nothing(wave: Any) -> Any:
    return wave


def dataset(planted: Mapping[str, Plant] | None = None, native_rate: float = np.nan, count: int = 12) -> ClipsInMemory:
    """Speech of two splits through some codecs, all at the level of their source; a plant changes a variant's clips."""
    clips = []
    for number, (name, wave) in enumerate(list(speech().items())[: 4 * count : 4]):
        source = wave * np.float32(0.5 / np.abs(wave).max())
        for variant in VARIANTS:
            clip = CODECS.get(variant, nothing)(source)
            clip = clip * np.float32(np.sqrt((source**2).mean() / (clip**2).mean()))
            plant = (planted or {}).get(variant, nothing)
            clips.append(Audited(plant(clip), name, "train" if number % 3 else "eval", variant))
    found = ClipsInMemory(clips)
    found.table["native_sample_rate"] = np.where(found.table["variant"] == "real", np.nan, native_rate)
    return found


def findings(clips: Clips) -> list[Finding]:
    waves = [decoded(clips.read(row))[0] for row in range(len(clips))]
    comparisons = np.full(len(clips), np.nan, dtype=COMPARISONS)
    for row, source in enumerate(clips.source):
        if source >= 0:
            comparisons[row] = compare(waves[source], waves[row])
    found = faithfulness_findings(clips, comparisons)
    assert [finding.line for finding in found] == LINES
    return found


def only(clips: Clips) -> Finding:
    """The only line that fails."""
    (found,) = failed(findings(clips))
    return found


def test_clips_that_follow_their_sources_pass() -> None:
    found = findings(dataset())
    assert {finding.status for finding in found} == {Status.PASS}
    cells = {(cell["splits"], cell["variant"]) for cell in found[0].values["cells"]}
    assert cells == {(split, variant) for split in ("train", "eval") for variant in CODECS}


@pytest.mark.slow
@pytest.mark.parametrize("variant", CODECS)
@pytest.mark.parametrize("milliseconds", [10, -10, 5])
def test_late_clips_are_found(variant: str, milliseconds: float) -> None:
    found = only(dataset({variant: lambda wave: shifted(wave, milliseconds)}))
    assert (found.line, found.classes) == ("lag", (variant,))
    cell = next(cell for cell in found.values["cells"] if cell["variant"] == variant)
    assert cell["median_ms"] == pytest.approx(milliseconds, abs=2)
    assert all(variant in example for example in found.examples)


def test_where_the_waveform_is_kept_2_ms_are_found() -> None:
    assert only(dataset({"noise": lambda wave: shifted(wave, 2)})).classes == ("noise",)


def test_a_third_of_the_clips_late_is_found() -> None:
    turns = iter(range(100))
    found = only(dataset({"vocoder": lambda wave: shifted(wave, 0 if next(turns) % 3 else 12)}))
    assert (found.line, found.classes) == ("lag", ("vocoder",))


@pytest.mark.slow
@pytest.mark.parametrize("decibels", [-3, -1, 1, 3])
def test_another_level_is_found(decibels: float) -> None:
    found = only(dataset({"opus": louder(decibels)}))
    assert (found.line, found.classes) == ("level", ("opus",))
    assert f"{decibels:+.1f} dB" in found.summary


def test_an_offset_is_no_level() -> None:
    assert not failed(findings(dataset({"opus": lambda wave: wave + np.float32(0.1)})))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("hertz", [2000, 4000, 6000])
def test_a_class_that_is_cut_off_is_found(variant: str, hertz: float) -> None:
    found = only(dataset({variant: lambda wave: low_passed(wave, hertz)}))
    assert (found.line, found.classes) == ("bandwidth", (variant,))
    cell = max(found.values["cells"], key=lambda cell: cell["share_cut_off"])
    assert cell["variant"] == variant
    assert cell["median_hz"] == pytest.approx(hertz, abs=300)
    assert all(f"-{variant}-" in example for example in found.examples)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_class_that_was_at_8_khz_is_found(variant: str) -> None:
    assert only(dataset({variant: through_8_khz})).classes == (variant,)


@pytest.mark.slow
def test_the_source_of_a_class_may_be_cut_off_before_the_codec() -> None:
    def before(wave: Any) -> Any:
        return through("OGG", "OPUS")(low_passed(wave, 4000))

    assert only(dataset({"opus": before})).classes == ("opus",)


def test_what_the_rate_of_a_codec_explains_passes() -> None:
    def telephone(wave: Any) -> Any:
        narrow = through_8_khz(wave)
        return narrow * np.float32(np.sqrt((wave**2).mean() / (narrow**2).mean()))

    narrow = dict.fromkeys(CODECS, telephone)
    assert not failed(findings(dataset(narrow, native_rate=8000)))
    assert set(only(dataset(narrow, native_rate=24000)).classes) == set(CODECS)


def test_speech_that_is_cut_off_alike_in_all_classes_passes() -> None:
    assert not failed(findings(dataset({variant: lambda wave: low_passed(wave, 4000) for variant in VARIANTS})))


def swapped(clips: ClipsInMemory, rows: list[int]) -> ClipsInMemory:
    """The same clips; some have the audio of the next."""
    audio = [clips._waves[row] for row in rows]
    for row, wave in zip(rows, [*audio[1:], audio[0]], strict=True):
        clips._waves[row] = wave
    return clips


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("count", [2, 3, 8])
def test_clips_of_another_utterance_are_found(variant: str, count: int) -> None:
    clips = dataset()
    rows = np.flatnonzero((clips.table["variant"] == variant) & (clips.table["split"] == "train"))
    wrong = rows[:count].tolist()
    found = only(swapped(clips, wrong))
    assert (found.line, found.classes) == ("outliers", (variant,))
    assert set(found.examples) <= set(clips.table["id"].iloc[wrong])
    cell = next(cell for cell in found.values["cells"] if cell["variant"] == variant and cell["splits"] == "train")
    assert cell["clips"] == count


def test_a_single_clip_of_another_utterance_is_reported() -> None:
    clips = dataset()
    clips._waves[5] = clips._waves[1]
    found = findings(clips)
    assert not failed(found)
    assert max(cell["clips"] for cell in found[3].values["cells"]) == 1


def test_where_no_clip_has_its_source_all_is_skipped() -> None:
    clips = ClipsInMemory([Audited(speech()["e01_1"], "a", "train", "opus"), Audited(speech()["e01_2"], "b", "train")])
    assert {finding.status for finding in findings(clips)} == {Status.SKIPPED}


def test_official_outputs(shared: Path) -> None:
    clips = TreeClips(shared / "speech" / "official_codec_outputs", shared / "speech" / "vctk")
    found = {finding.line: finding for finding in findings(clips)}
    assert found["lag"].classes == ("audiodec_24k_320d",)
    assert "+8.5 ms" in found["lag"].summary
    louder_ones = {name for name in clips.table["variant"] if name.startswith("academicodec")}
    assert louder_ones < set(found["level"].classes)
    assert {name.partition("_")[0] for name in set(found["level"].classes) - louder_ones} == {
        "audiodec",
        "funcodec-funcodec",
    }
    assert found["bandwidth"].status is found["outliers"].status is Status.PASS
    for line in LINES:
        assert len(found[line].examples) <= 5
        assert "\n" not in found[line].summary
