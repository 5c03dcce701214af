"""Plans: the published lists, drawing with a seed, speakers kept apart, and demands that cannot be met."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.corpora.utterance_lists import read_ids, read_labels
from codecfake_builder.errors import CorpusError, PlanError, RecipeError
from codecfake_builder.plan.plan import Plan, PlannedSplit
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.plan.speakers import Speaker, assign_speakers, language_targets
from codecfake_builder.plan.table import plan_table
from codecfake_builder.recipe.load import load_recipe, parse_recipe
from codecfake_builder.recipe.resolve import Resolved
from tests.kit.datasets_for_tests import changed


@pytest.fixture
def roots(vctk: Path, aishell3: Path) -> list[str]:
    return [f"corpora.vctk.root={vctk}", f"corpora.aishell3.root={aishell3}"]


def recipe_of(splits: dict[str, dict[str, object]], roots: list[str], method: str = "paper", seed: int = 1) -> Resolved:
    base = load_recipe("lyra", roots).recipe.model_dump(mode="json")
    base["splits"] = {name: {"variants": ["real"], **split} for name, split in splits.items()}
    base["assignment"] = {"method": method, "seed": seed}
    return parse_recipe(base, "test", Path())


def ids(plan: Plan, name: str) -> list[str]:
    split = next(split for split in plan.splits if split.name == name)
    return plan.utterances["utterance_id"].take(split.rows.tolist()).to_pylist()


def speakers(plan: Plan, split: PlannedSplit) -> set[str]:
    return set(plan.utterances["speaker"].take(split.rows.tolist()).to_pylist())


def test_the_published_list_is_carried_whole() -> None:
    listed = read_ids("stcodecfake_eval")
    assert len(listed) == len(set(listed)) == 13_228
    assert sum(name.startswith("SSB") for name in listed) == 8_777
    assert len(read_ids("ncssd")) == 10_000


def test_the_list_is_the_published_one(shared: Path) -> None:
    published = (shared / "facts" / "ncst" / "published_eval_utterances.txt").read_text().split()
    assert read_ids("stcodecfake_eval") == published


def test_lists_first_then_draws_from_the_rest(roots: list[str], tmp_path: Path) -> None:
    (tmp_path / "eval.txt").write_text("p225_001\nSSB00050001\n")
    splits: dict[str, dict[str, object]] = {
        "train": {"draw": 10},
        "dev": {"draw": 4},
        "eval_id": {"ids": str(tmp_path / "eval.txt")},
        "eval_ood": {"same_as": "eval_id", "variants": ["lyra_v2_6kbps"]},
    }
    plan = make_plan(recipe_of(splits, roots))
    assert ids(plan, "eval_id") == ids(plan, "eval_ood") == ["SSB00050001", "p225_001"]
    drawn = ids(plan, "train") + ids(plan, "dev")
    assert len(set(drawn)) == 14
    assert not {"p225_001", "SSB00050001"} & set(drawn)
    assert ids(make_plan(recipe_of(splits, roots)), "train") == ids(plan, "train")
    assert ids(make_plan(recipe_of(splits, roots, seed=2)), "train") != ids(plan, "train")


def test_drawing_does_not_depend_on_where_the_corpus_lies(roots: list[str], vctk: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.symlink_to(vctk)
    splits: dict[str, dict[str, object]] = {"train": {"draw": 5}}
    first = make_plan(recipe_of(splits, roots))
    second = make_plan(recipe_of(splits, [f"corpora.vctk.root={moved}", roots[1]]))
    assert ids(first, "train") == ids(second, "train")
    assert first.membership(first.splits[0].rows) == second.membership(second.splits[0].rows)


def test_released_label_files_fix_a_split(roots: list[str], tmp_path: Path) -> None:
    labels = tmp_path / "train.txt"
    labels.write_text("p226_001.wav real 0\nmimi_p226_001.wav fake 1\nSSB00050002.wav real 0\n")
    plan = make_plan(recipe_of({"train": {"labels": str(labels)}}, roots))
    assert ids(plan, "train") == ["SSB00050002", "p226_001"]
    labels.write_text("p226_001.wav genuine 0\n")
    with pytest.raises(RecipeError, match=r"train\.txt: line 1: expected '<file> real\|fake <class>'"):
        read_labels(labels)
    labels.write_text("mimi_p226_001.wav fake 1\n")
    with pytest.raises(RecipeError, match="no line says real"):
        read_labels(labels)


def test_demands_that_cannot_be_met_say_so_with_numbers(roots: list[str], tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"splits\.train: asks for 1000 utterances, 20 are left in vctk, aishell3"):
        make_plan(recipe_of({"train": {"draw": 1000}}, roots))
    (tmp_path / "eval.txt").write_text("p225_001\np999_001\n")
    listed: dict[str, dict[str, object]] = {"eval_id": {"ids": str(tmp_path / "eval.txt")}}
    with pytest.raises(PlanError, match=r"1 of its 2 listed utterances are not in .*p999_001"):
        make_plan(recipe_of(listed, roots))
    (tmp_path / "none.txt").write_text("p999_001\n")
    with pytest.raises(PlanError, match="none of its 1 listed utterances is left in vctk, aishell3"):
        make_plan(recipe_of({"eval_id": {"ids": str(tmp_path / "none.txt")}}, roots), limit=5)
    listed["eval_id"]["missing"] = "skip"
    plan = make_plan(recipe_of(listed, roots))
    assert ids(plan, "eval_id") == ["p225_001"]
    assert "1 of 2 listed" in str(plan.notes[0])


def test_a_clip_cannot_be_in_two_splits(roots: list[str]) -> None:
    with pytest.raises(PlanError, match="a clip can be in one split only"):
        make_plan(recipe_of({"a": {"draw": 3}, "b": {"same_as": "a"}}, roots))


def test_limit_scales_everything(roots: list[str]) -> None:
    splits: dict[str, dict[str, object]] = {"train": {"draw": 10_000}, "dev": {"draw": 1_000}}
    plan = make_plan(recipe_of(splits, roots), limit=10)
    assert [len(split.rows) for split in plan.splits] == [10, 1]
    shares: dict[str, dict[str, object]] = {"train": {"share": 0.5}, "dev": {"share": 0.25}}
    plan = make_plan(recipe_of(shares, roots, method="speaker_disjoint"), limit=4)
    assert max(len(split.rows) for split in plan.splits) <= 5


def test_a_trial_draws_nothing_from_an_evaluation_list(roots: list[str], tmp_path: Path) -> None:
    listed = [f"p{speaker}_{item:03d}" for speaker in (225, 226, 227) for item in range(1, 5)]
    (tmp_path / "eval.txt").write_text("\n".join(listed))
    splits: dict[str, dict[str, object]] = {"train": {"draw": 24}, "eval_id": {"ids": str(tmp_path / "eval.txt")}}
    plan = make_plan(recipe_of(splits, roots), limit=8)
    assert len(ids(plan, "eval_id")) == 4
    assert len(ids(plan, "train")) == 8
    assert not set(listed) & set(ids(plan, "train"))


def test_the_published_recipe_plans_a_trial(roots: list[str]) -> None:
    plan = make_plan(load_recipe("stcodecfake", [*roots, "splits.eval_id.missing=skip"]), limit=8)
    assert [split.name for split in plan.splits] == ["train", "dev", "eval_id", "eval_ood", "id_config", "ood_config"]
    assert "no weights are given (--set weights.valle=FOLDER): alm_tts" in str(plan.notes[0])
    absent = "no root is given for asvspoof2019la, in_the_wild, ncssd"
    assert f"{absent}: unseen_real, ood_vocoder, id_source, ood_source, alm" in str(plan.notes[1])


def test_the_published_prompts_are_carried_whole() -> None:
    prompts = read_ids("stcodecfake_valle")
    assert len(set(prompts)) == 4_436
    assert set(prompts) < set(read_ids("stcodecfake_eval"))
    assert not any(name.startswith("p315") for name in prompts)


def test_the_prompts_are_the_published_ones(shared: Path) -> None:
    published = shared / "facts" / "alm" / "prompts"
    assert read_ids("stcodecfake_valle") == (published / "vctk_valle_ids.txt").read_text().split()
    assert set(read_ids("ncssd")) == set((published / "ncssd_prompt_ids.txt").read_text().split())


def test_a_list_narrows_the_utterances_of_another_split(roots: list[str], tmp_path: Path) -> None:
    (tmp_path / "eval.txt").write_text("p225_001\np225_002\nSSB00050001\n")
    (tmp_path / "part.txt").write_text("p225_002\nSSB00050001\n")
    splits: dict[str, dict[str, object]] = {
        "train": {"draw": 6},
        "eval_id": {"ids": str(tmp_path / "eval.txt")},
        "alm": {"same_as": "eval_id", "only": str(tmp_path / "part.txt"), "variants": ["codec_lm_mimi"]},
        "alm_again": {"same_as": "alm", "variants": ["mini_omni"]},
    }
    plan = make_plan(recipe_of(splits, roots))
    assert ids(plan, "alm") == ids(plan, "alm_again") == ["SSB00050001", "p225_002"]
    assert len(ids(plan, "eval_id")) == 3
    (tmp_path / "part.txt").write_text("p225_002\np225_003\n")
    with pytest.raises(PlanError, match=r"alm: 1 of its 2 listed utterances are not in eval_id, e\.g\. p225_003"):
        make_plan(recipe_of(splits, roots))
    splits["alm"]["missing"] = "skip"
    assert ids(make_plan(recipe_of(splits, roots)), "alm") == ["p225_002"]
    (tmp_path / "part.txt").write_text("p225_003\n")
    with pytest.raises(PlanError, match=r"splits\.alm: none of the 1 utterances of its list is there"):
        make_plan(recipe_of(splits, roots))
    with pytest.raises(RecipeError, match="only narrows same_as"):
        recipe_of({"train": {"draw": 6, "only": "x"}}, roots)


def test_an_optional_split_waits_for_weights(roots: list[str], tmp_path: Path) -> None:
    splits: dict[str, dict[str, object]] = {
        "eval_id": {"draw": 6},
        "alm": {"same_as": "eval_id", "variants": ["codec_lm_mimi"], "optional": True},
        "more": {"same_as": "alm", "variants": ["mini_omni"]},
    }
    recipe = recipe_of(splits, roots)
    plan = make_plan(recipe)
    assert [split.name for split in plan.splits] == ["eval_id"]
    assert tuple(map(str, plan.notes)) == (
        "left out, since no weights are given (--set weights.codec_lm_mimi=FOLDER): alm, more",
    )
    given = make_plan(changed(recipe, weights={"codec_lm_mimi": tmp_path}))
    assert [split.name for split in given.splits] == ["eval_id", "alm", "more"]


def test_missing_roots_are_all_named() -> None:
    with pytest.raises(CorpusError, match=r"corpora\.vctk\.root=FOLDER --set corpora\.aishell3\.root=FOLDER"):
        make_plan(load_recipe("lyra"))


def test_too_short_utterances_are_left_out_for_every_class(roots: list[str]) -> None:
    plan = make_plan(load_recipe("lyra", [*roots, "audio.min_seconds=0.7"]))
    assert set(plan.left_out["reason"].to_pylist()) == {"too_short"}
    assert plan.left_out.num_rows + plan.utterances.num_rows == 20


def test_speakers_are_kept_apart_and_splits_filled(roots: list[str]) -> None:
    plan = make_plan(load_recipe("lyra", roots))
    found = [speakers(plan, split) for split in plan.splits]
    assert all(found)
    assert sum(map(len, found)) == len(set.union(*found)) == 5
    assert sum(len(split.rows) for split in plan.splits) == 20


def test_too_few_speakers(roots: list[str]) -> None:
    splits: dict[str, dict[str, object]] = {f"s{n}": {"share": 0.1} for n in range(6)}
    with pytest.raises(PlanError, match="5 speakers cannot fill 6 splits"):
        make_plan(recipe_of(splits, roots, method="speaker_disjoint"))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.sampled_from(["en", "zh", "de"]), st.integers(1, 60)), min_size=3, max_size=60),
    wanted=st.lists(st.floats(1, 500), min_size=1, max_size=3),
    equal=st.booleans(),
)
def test_any_speakers_are_assigned_once_and_fill_every_split(
    sizes: list[tuple[str, int]], wanted: list[float], equal: bool
) -> None:
    people = [Speaker("c", f"s{n}", language, size) for n, (language, size) in enumerate(sizes)]
    targets = language_targets({f"split{n}": value for n, value in enumerate(wanted)}, people, equal)
    assigned = assign_speakers(targets, people, lambda speaker: speaker.name)
    flat = [speaker for chosen in assigned.values() for speaker in chosen]
    assert sorted(flat, key=lambda s: s.name) == sorted(people, key=lambda s: s.name)
    assert all(assigned.values())
    assert sum(sum(per_split.values()) for per_split in targets.values()) == pytest.approx(sum(wanted))


@settings(max_examples=20, deadline=None)
@given(shares=st.lists(st.floats(0.1, 1), min_size=2, max_size=3))
def test_many_equal_speakers_meet_their_targets(shares: list[float]) -> None:
    """With speakers much smaller than a split, every split gets each language within one speaker of its target."""
    people = [Speaker("c", f"{lang}{n}", lang, 10) for lang in ("en", "zh") for n in range(200)]
    wanted = {f"split{n}": 4000 * share / sum(shares) for n, share in enumerate(shares)}
    targets = language_targets(wanted, people, equal=False)
    assigned = assign_speakers(targets, people, lambda speaker: speaker.name)
    for language, per_split in targets.items():
        for split, target in per_split.items():
            got = sum(s.utterances for s in assigned[split] if s.language == language)
            assert abs(got - target) <= 20


def test_equal_languages(roots: list[str]) -> None:
    base = load_recipe("lyra", [*roots, "assignment.languages=equal", "splits.eval_id=null"])
    plan = make_plan(base)
    for split in plan.splits:
        languages = plan.utterances["language"].take(split.rows.tolist()).to_pylist()
        assert languages.count("en") == languages.count("zh") > 0


def test_the_table_counts_everything(roots: list[str]) -> None:
    table = plan_table(make_plan(load_recipe("lyra", roots)), builtin_catalogue())
    assert table.splitlines()[-1].split()[:2] == ["total", "80"]
