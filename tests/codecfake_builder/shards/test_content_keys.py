"""A content key changes where the audio policy changes a clip, and only there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import codec_adapters
from codec_adapters import alm
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.dataset import layout
from codecfake_builder.recipe.load import parse_recipe
from codecfake_builder.recipe.variants import ResolvedAlm, ResolvedCodec
from codecfake_builder.shards.shard import Shard, Utterance
from tests.conftest import REPOSITORY
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, built, small_recipe
from tests.kit.synthetic import write_wave

FAULTY_ALMS = str(REPOSITORY / "tests" / "kit" / "faulty_alms.py")
CODEC = "a codec that looks at the whole clip"
LOCAL = "a codec whose tail is local"
KINDS = ("real", "imported", CODEC, LOCAL, "an ALM")
ALL = set(KINDS)
CODECS = {CODEC, LOCAL}
DECIDES: list[tuple[dict[str, Any], dict[str, Any], set[str]]] = [
    ({}, {"context_seconds": 0.1}, CODECS),
    ({}, {"context_seconds": 0.0}, CODECS),
    ({}, {"level": "own"}, CODECS),
    ({}, {"max_missing_seconds": 0.1}, CODECS),
    ({}, {"tail_seconds": 0.5}, {LOCAL}),
    ({}, {"fade_seconds": 0.0}, ALL),
    ({}, {"trim_db": 1.0}, ALL),
    ({"trim_db": 25.0}, {"trim_db": 20.0}, ALL),
    ({}, {"min_seconds": 0.5}, {"an ALM"}),
    ({"trim_db": 25.0}, {"min_seconds": 0.5}, ALL),
    ({}, {"max_seconds": 30.0}, {"an ALM"}),
    ({"trim_db": 25.0}, {"max_seconds": 30.0}, {"an ALM"}),
    ({}, {"max_rejected_share": 0.5}, set()),
]
"""A policy, what of it changes, and the kinds of shards whose clips that changes or rejects."""


def shard(kind: str, policy: AudioPolicy) -> Shard:
    def codec(name: str) -> ResolvedCodec:
        return ResolvedCodec(codec_adapters.spec(name), {}, Path("/w"), {"w": "1"}, None, "float32")

    made_by: dict[str, ResolvedCodec | ResolvedAlm] = {
        CODEC: codec("snac_24khz"),
        LOCAL: codec("encodec_24khz_6kbps"),
        "an ALM": ResolvedAlm(alm.spec("codec_lm_mimi"), {}, Path("/w"), {"w": "1"}, None, codec("mimi_8codebooks")),
    }
    utterance = Utterance("vctk", "p225_001", "/x/y.flac", "p225", "en", None, 48000, 48000, "a" * 64)
    imported = ClipClass("mimi", 1) if kind == "imported" else None
    return Shard("train", "x", 0, (utterance,), made_by.get(kind), policy, imported)


@pytest.mark.parametrize(("before", "change", "decides"), DECIDES, ids=lambda value: json.dumps(value, default=sorted))
def test_a_key_changes_with_what_changes_the_shards_clips(
    before: dict[str, Any], change: dict[str, Any], decides: set[str]
) -> None:
    policies = AudioPolicy(**before), AudioPolicy(**{**before, **change})
    changed = {kind for kind in KINDS if shard(kind, policies[0]).key != shard(kind, policies[1]).key}
    assert changed == decides


def test_every_field_of_the_policy_is_in_the_table() -> None:
    assert {field for _, change, _ in DECIDES for field in change} == set(AudioPolicy.model_fields)


MADE = {
    "real": "real",
    "imported": "mimi_unspecified",
    CODEC: "snac_24khz",
    LOCAL: "encodec_24khz_6kbps",
    "an ALM": "faulty_alm_none",
}
"""A variant of each kind."""


@pytest.mark.slow
def test_equal_keys_mean_equal_clips_and_each_setting_changes_those_that_it_decides(
    vctk: Path, aishell3: Path, tiny: dict[str, Path], tmp_path: Path
) -> None:
    """Each time built anew, so that nothing is kept: shards of the same key are the same bytes."""
    for number in range(3):
        write_wave(tmp_path / "clips" / "mimi" / f"{number}.wav", 1.0, 16000, number)

    def clips(number: int, **audio: Any) -> dict[str, tuple[str, list[str]]]:
        weights = {name: tiny[name] for name in (MADE[CODEC], MADE[LOCAL], "dac_16khz")}
        plugins = [FAULTY_PLUGIN, FAULTY_ALMS]
        variants = ["real", MADE[CODEC], MADE[LOCAL], MADE["an ALM"]]
        document = small_recipe(vctk, aishell3, variants, weights, plugins=plugins, audio=audio).recipe.model_dump(
            mode="json"
        )
        document["audio"]["max_rejected_share"] = 1.0
        document["corpora"]["told"] = {"kind": "imported", "root": str(tmp_path / "clips")}
        document["splits"]["told"] = {"share": 1.0, "corpora": ["told"], "variants": ["imported"]}
        out = tmp_path / str(number)
        built(parse_recipe(document, "test", Path()), out)
        found = {}
        for path in sorted((out / "data").rglob("*.parquet")):
            file = str(path.relative_to(out))
            key = json.loads((out / layout.record_of(file)).read_text())["key"]
            found[file] = key, pq.read_table(path, columns=["audio_sha256"])[0].to_pylist()
        return found

    before = clips(0)
    for number, (context, change, decides) in enumerate(DECIDES, start=1):
        if context or set(change) & {"max_rejected_share", "min_seconds", "max_seconds"}:
            continue
        after = clips(number, **change)
        for kind, variant in MADE.items():
            same = [file for file in before if f"/{variant}-" in file]
            assert same, variant
            for file in same:
                assert (before[file][0] != after[file][0]) == (kind in decides), (file, change)
                if kind not in decides:
                    assert before[file] == after[file], (file, change)
            if kind in decides and "max_missing_seconds" not in change:  # which rejects nothing here
                assert [before[file][1] for file in same] != [after[file][1] for file in same], (kind, change)
