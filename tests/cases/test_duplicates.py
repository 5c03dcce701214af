"""The same recording under several names is found when planning, used once and listed; two labels are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import soundfile

from codecfake_builder.changes.build import build
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import PlanError
from codecfake_builder.plan.plan import Plan
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.recipe.load import parse_recipe
from codecfake_builder.rejections import RejectionReason
from tests.kit.malformed import change_json, renew_checksums, root_of
from tests.kit.synthetic import write_wave


def planned(roots: list[Path], tmp_path: Path, duplicates: str = "once", fakes: Path | None = None) -> Plan:
    speech = [f"c{number}" for number in range(len(roots))]
    corpora = {name: {"kind": "folder", "root": str(root)} for name, root in zip(speech, roots, strict=True)}
    splits = {"train": {"variants": ["real"], "corpora": speech, "share": 1.0}}
    if fakes is not None:
        corpora["fakes"] = {"kind": "imported", "root": str(fakes), "codec": "mimi"}
        splits["test"] = {"variants": ["imported"], "corpora": ["fakes"], "share": 1.0}
    document = {
        "name": "t", "title": "t", "corpora": corpora, "splits": splits, "assignment": {"duplicates": duplicates}
    }  # fmt: skip
    return make_plan(parse_recipe(document, "t", tmp_path))


def test_the_case_of_copies_in_another_folder(cases: Path, tmp_path: Path) -> None:
    plan = planned([cases / "duplicates"], tmp_path)
    assert plan.utterances.num_rows == 2
    left = plan.left_out.to_pylist()
    assert [row["reason"] for row in left] == [RejectionReason.DUPLICATE_AUDIO] * 2
    assert all("is the same audio" in row["detail"] for row in left)
    assert any("2 utterances are the same audio as another one" in str(note) for note in plan.notes)


def test_other_names_forms_and_corpora_and_a_recipe_that_keeps_them(tmp_path: Path) -> None:
    first, second = tmp_path / "a/s1", tmp_path / "b/s2"
    for folder in (first, second):
        folder.mkdir(parents=True)
    write_wave(first / "one.wav", 2.0, 16000, 1)
    samples, rate = soundfile.read(first / "one.wav", dtype="int16")
    soundfile.write(second / "other.flac", samples, rate)
    write_wave(second / "two.wav", 2.0, 16000, 2)
    roots = [tmp_path / "a", tmp_path / "b"]
    assert planned(roots, tmp_path).utterances["path"].to_pylist() == ["s1/one.wav", "s2/two.wav"]
    assert planned(roots[::-1], tmp_path).left_out["path"].to_pylist() == ["s1/one.wav"]  # the recipe's order
    assert planned(roots, tmp_path, "keep").utterances.num_rows == 3


def test_one_recording_under_two_labels_is_refused(tmp_path: Path) -> None:
    for place in ("a/s1/one.wav", "f/fake.wav"):
        (tmp_path / place).parent.mkdir(parents=True)
        write_wave(tmp_path / place, 2.0, 16000, 1)
    with pytest.raises(
        PlanError, match=r"c0/s1/one.wav \(real\) and fakes/fake.wav \(mimi\) are the same audio"
    ) as error:
        planned([tmp_path / "a"], tmp_path, fakes=tmp_path / "f")
    assert "\n" not in str(error.value)


def test_a_dataset_with_copies_in_two_splits_is_no_sound_one(tmp_path: Path) -> None:
    root = tmp_path / "a"
    for name in ("s1/one.wav", "s2/two.wav"):
        (root / name).parent.mkdir(parents=True)
        write_wave(root / name, 2.0, 16000, 1)
    share = {"variants": ["real"], "share": 0.5}
    document: dict[str, Any] = {
        "name": "t",
        "title": "t",
        "corpora": {"c0": {"kind": "folder", "root": str(root)}},
        "splits": {"train": share, "test": share},
        "assignment": {"duplicates": "keep"},
        "execution": {"workers": 1, "device": "cpu"},
    }
    build(parse_recipe(document, "t", tmp_path), tmp_path / "d")
    assert verify(tmp_path / "d").problems == []
    root_hash = root_of(tmp_path / "d")

    def once(provenance: Any) -> Any:
        provenance["recipe"]["assignment"]["duplicates"] = "once"
        return provenance

    change_json(tmp_path / "d" / "provenance.json", once)
    renew_checksums(tmp_path / "d", root_hash)
    problems = verify(tmp_path / "d").problems
    assert len(problems) == 1
    assert "1 clips of real are the same audio as in" in problems[0]
