"""ASVspoof 2019 LA, In-the-Wild, NCSSD and Hugging Face datasets: real speech stays real, fakes never become it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
import soundfile

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.changes.build import build
from codecfake_builder.corpora import (
    Asvspoof2019LaConfig,
    CorpusConfig,
    HuggingFaceConfig,
    InTheWildConfig,
    NcssdConfig,
)
from codecfake_builder.corpora.index import index_corpus
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import CorpusError, PlanError, RecipeError
from codecfake_builder.plan.plan import Plan
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.recipe.load import load_recipe, parse_recipe
from codecfake_builder.recipe.resolve import Resolved
from tests.kit import synthetic
from tests.kit.datasets_for_tests import rows as clips


@pytest.fixture(scope="module")
def asvspoof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.make_asvspoof2019la(tmp_path_factory.mktemp("asvspoof"))


@pytest.fixture(scope="module")
def in_the_wild(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.make_in_the_wild(tmp_path_factory.mktemp("itw"))


@pytest.fixture(scope="module")
def ncssd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.make_ncssd(tmp_path_factory.mktemp("ncssd"))


def rows(config: CorpusConfig) -> dict[str, dict[str, Any]]:
    return {row["utterance_id"]: row for row in index_corpus("corpus", config, builtin_catalogue()).table.to_pylist()}


def test_asvspoof_keeps_both_kinds_apart_and_counts_what_does_not_fit(asvspoof: Path) -> None:
    found = rows(Asvspoof2019LaConfig(kind="asvspoof2019la", root=asvspoof))
    real, fake = found["LA_E_1000000"], found["LA_E_1000004"]
    assert (real["speaker"], real["language"], real["codec"], real["reason"]) == ("LA_0000", "en", None, None)
    assert (fake["codec"], fake["variant"], fake["reason"]) == ("vocoder", "asvspoof2019_A07", None)
    assert found["LA_E_9999999"]["reason"] == "missing"
    assert "cm.eval.trl.txt names it" in found["LA_E_9999999"]["detail"]
    assert found["LA_E_8888888"]["reason"] == "not_listed"
    assert len(found) == 9


@pytest.mark.parametrize(("select", "usable"), [("bonafide", 3), ("spoof", 4), ("all", 7)])
def test_what_is_selected_of_asvspoof(asvspoof: Path, select: Any, usable: int) -> None:
    index = index_corpus(
        "c", Asvspoof2019LaConfig(kind="asvspoof2019la", root=asvspoof / "LA", select=select), builtin_catalogue()
    )
    assert index.usable.num_rows == usable
    made = [codec for codec in index.usable["codec"].to_pylist() if codec]
    assert len(made) == {"bonafide": 0, "spoof": 4, "all": 4}[select]


def test_in_the_wild(in_the_wild: Path) -> None:
    found = rows(InTheWildConfig(kind="in_the_wild", root=in_the_wild))
    assert (found["0"]["speaker"], found["0"]["codec"]) == ("Some Body 0", None)
    assert (found["5"]["codec"], found["5"]["variant"]) == ("vocoder", "in_the_wild_fake")
    assert (found["777"]["reason"], found["888"]["reason"]) == ("missing", "not_listed")


@pytest.mark.parametrize(
    ("line", "words"),
    [("../x.wav,a,spoof", "is no file name"), ("0.wav,a,fake", "neither bona-fide nor spoof"), (",a,spoof", "no file")],
)
def test_lines_of_in_the_wild_that_cannot_be(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "meta.csv").write_text(f"file,speaker,label\n{line}\n")
    with pytest.raises(CorpusError, match=rf"meta\.csv: line 2: .*{words}"):
        rows(InTheWildConfig(kind="in_the_wild", root=tmp_path))


@pytest.mark.parametrize(
    ("line", "words"),
    [("LA_1 LA_E_1 - - maybe", "bonafide|spoof"), ("LA_1 ../x - - bonafide", "LA_1 ../x"), ("LA_1 x spoof", "line 1")],
)
def test_protocol_lines_that_cannot_be(tmp_path: Path, line: str, words: str) -> None:
    root = synthetic.make_asvspoof2019la(tmp_path)
    next(root.rglob("*.trl.txt")).write_text(line + "\n")
    with pytest.raises(CorpusError) as caught:
        rows(Asvspoof2019LaConfig(kind="asvspoof2019la", root=root))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_restricts_a_corpus_and_names_what_is_absent(ncssd: Path, tmp_path: Path) -> None:
    there = sorted(path.stem for path in ncssd.rglob("*.wav"))
    (tmp_path / "wanted.txt").write_text("\n".join([there[0], "R-EN_9_9_d9"]))
    found = rows(NcssdConfig(kind="ncssd", root=ncssd, ids=str(tmp_path / "wanted.txt")))
    assert {name: row["reason"] for name, row in found.items()} == {there[0]: None, "R-EN_9_9_d9": "missing"}
    assert "wanted.txt names it" in found["R-EN_9_9_d9"]["detail"]
    with pytest.raises(RecipeError, match="neither a file nor a packaged list"):
        rows(NcssdConfig(kind="ncssd", root=ncssd, ids="nccsd"))


def open_set_recipe(asvspoof: Path, in_the_wild: Path, ncssd: Path, *changes: str) -> Resolved:
    overrides = [
        f"corpora.asvspoof2019la.root={asvspoof}",
        f"corpora.in_the_wild.root={in_the_wild}",
        f"corpora.ncssd.root={ncssd}",
        "corpora.vctk=null",
        "corpora.aishell3=null",
        "execution.workers=1",
    ]
    gone = ("train", "dev", "eval_id", "eval_ood", "id_config", "ood_config", "alm", "alm_tts")
    return load_recipe("stcodecfake", [*overrides, *(f"splits.{name}=null" for name in gone), *changes])


def test_the_published_open_sets_build_with_the_right_labels(
    asvspoof: Path, in_the_wild: Path, ncssd: Path, tmp_path: Path
) -> None:
    recipe = open_set_recipe(asvspoof, in_the_wild, ncssd, "splits.id_source=null", "splits.ood_source=null")
    build(recipe, tmp_path / "d")
    real, fake = clips(tmp_path / "d", "unseen_real/*.parquet"), clips(tmp_path / "d", "ood_vocoder/*.parquet")
    assert {row["corpus"]: 0 for row in real} == dict.fromkeys(("asvspoof2019la", "in_the_wild", "ncssd"), 0)
    assert len(real) == 3 + 3 + 4
    assert {(row["label"], row["is_fake"], row["codec"], row["origin"]) for row in real} == {
        (0, False, "real", "recorded")
    }
    assert len(fake) == 4 + 3
    assert {(row["label"], row["is_fake"], row["codec"], row["origin"]) for row in fake} == {
        (-1, True, "vocoder", "vocoded")
    }
    assert {row["variant"] for row in fake} == {"asvspoof2019_A07", "asvspoof2019_A08", "in_the_wild_fake"}
    assert not verify(tmp_path / "d").problems
    reasons = {row["utterance_id"]: row["reason"] for row in rejected(tmp_path / "d")}
    assert reasons["LA_E_9999999"] == reasons["777"] == "missing"
    assert reasons["LA_E_8888888"] == reasons["888"] == "not_listed"
    assert "label is -1" in " ".join((tmp_path / "d" / "README.md").read_text().split())
    again = build(recipe, tmp_path / "d")
    assert again.shards_made == 0


def rejected(dataset: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    listed: list[dict[str, Any]] = pq.read_table(dataset / "rejected.parquet").to_pylist()
    return listed


def test_a_dataset_with_fakes_of_no_class_opens(asvspoof: Path, in_the_wild: Path, ncssd: Path, tmp_path: Path) -> None:
    recipe = open_set_recipe(
        asvspoof, in_the_wild, ncssd, "splits.id_source=null", "splits.ood_source=null", "splits.unseen_real=null"
    )
    build(recipe, tmp_path / "d")
    opened = datasets.load_dataset(str(tmp_path / "d"), split="ood_vocoder", cache_dir=str(tmp_path / "cache"))
    assert set(opened["label"]) == {-1}
    vocoder = datasets.load_dataset(str(tmp_path / "d"), "vocoder", cache_dir=str(tmp_path / "cache"))
    assert vocoder["ood_vocoder"].num_rows == 7


def plan_of(corpus: CorpusConfig, variants: Sequence[str], **split: Any) -> Plan:
    document = {
        "name": "r",
        "title": "R",
        "corpora": {"c": corpus.model_dump(mode="json")},
        "splits": {"s": {"variants": list(variants), **(split or {"share": 1})}},
    }
    return make_plan(parse_recipe(document, "test", Path()))


def test_fakes_pass_through_no_codec_and_stand_for_no_real_speech(asvspoof: Path) -> None:
    config = Asvspoof2019LaConfig(kind="asvspoof2019la", root=asvspoof)
    both = plan_of(config, ["real", "dac_16khz", "imported"]).splits[0]
    assert (len(both.rows), both.variants) == (3, ("real", "dac_16khz"))
    assert {variant: len(own) for variant, own in both.imported.items()} == {
        "asvspoof2019_A07": 2,
        "asvspoof2019_A08": 2,
    }
    assert plan_of(config, ["real"]).splits[0].imported == {}
    with pytest.raises(PlanError, match="no utterance is left"):
        plan_of(config.model_copy(update={"select": "spoof"}), ["real"])
    with pytest.raises(PlanError, match="no utterance is left"):
        plan_of(config.model_copy(update={"select": "bonafide"}), ["imported"])


def test_finished_clips_and_kept_apart_speakers(asvspoof: Path) -> None:
    config = Asvspoof2019LaConfig(kind="asvspoof2019la", root=asvspoof)
    document = {
        "name": "r",
        "title": "R",
        "corpora": {"c": config.model_dump(mode="json")},
        "splits": {"a": {"share": 1, "variants": ["imported"]}, "b": {"share": 1, "variants": ["real"]}},
        "assignment": {"method": "speaker_disjoint"},
    }
    with pytest.raises(PlanError, match=r"splits of finished clips and splits of speech \(a, b\) cannot share c"):
        make_plan(parse_recipe(document, "test", Path()))
    with pytest.raises(RecipeError, match=r"splits\.x\.draw: numbers per corpus cannot be kept speaker-disjoint"):
        load_recipe("lyra", ["splits.x={variants: [real], draw: {vctk: 3}}"])
    with pytest.raises(RecipeError, match=r"splits\.x\.draw\.vctkk: the recipe has no corpus 'vctkk'; did you mean"):
        load_recipe("stcodecfake", ["splits.x={variants: [real], draw: {vctkk: 3}}"])
    with pytest.raises(RecipeError, match="draw names the corpora with their numbers already"):
        load_recipe("stcodecfake", ["splits.x={variants: [real], draw: {vctk: 3}, corpora: [vctk]}"])
    with pytest.raises(RecipeError, match=r"splits\.id_source\.corpora: 'unseen_real' takes nothing from vctk"):
        load_recipe("stcodecfake", ["splits.id_source.corpora=[vctk]"])


def test_numbers_to_draw_per_corpus_that_are_not_there(asvspoof: Path) -> None:
    config = Asvspoof2019LaConfig(kind="asvspoof2019la", root=asvspoof)
    with pytest.raises(PlanError, match=r"asks for 5 utterances, 3 are left in c; lower splits\.s\.draw\.c"):
        plan_of(config, ["real"], draw={"c": 5})
    skipped = plan_of(config, ["real"], draw={"c": 5}, missing="skip")
    assert len(skipped.splits[0].rows) == 3
    assert "3 of 5 utterances to draw are in c" in " ".join(map(str, skipped.notes))


def test_absent_optional_corpora_leave_the_rest_of_a_split(asvspoof: Path, in_the_wild: Path, ncssd: Path) -> None:
    recipe = open_set_recipe(asvspoof, in_the_wild, ncssd, "corpora.ncssd.root=null")
    plan = make_plan(recipe)
    assert {split.name: len(split.rows) for split in plan.splits} == {"unseen_real": 6, "ood_vocoder": 0}
    assert "unseen_real: without the utterances of ncssd" in " ".join(map(str, plan.notes))
    assert "left out, since no root is given for ncssd: id_source, ood_source" in " ".join(map(str, plan.notes))


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    folder = tmp_path_factory.mktemp("hf-source")
    paths = [
        synthetic.write_wave(folder / f"clip{n}.{s}", 0.5 + 0.1 * n, 22050, n) for n, s in enumerate(("wav", "flac"))
    ]
    audio = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
    columns = {"sound": audio, "who": ["a", "b"], "said": ["eins", "zwei"], "key": ["u-0", "../u-1"]}
    return datasets.Dataset.from_dict(columns).cast_column("sound", datasets.Audio(decode=False))


def hf_rows(folder: Path, **changes: Any) -> dict[str, dict[str, Any]]:
    columns = {"audio": "sound", "utterance_id": "key", "speaker": "who", "text": "said"}
    document = {"kind": "hf", "root": str(folder), "columns": columns, "language": "de", **changes}
    return rows(HuggingFaceConfig.model_validate(document))


def test_hugging_face_datasets_on_disk_and_as_parquet(hugging_face: datasets.Dataset, tmp_path: Path) -> None:
    hugging_face.save_to_disk(str(tmp_path / "saved"))
    datasets.DatasetDict({"train": hugging_face}).save_to_disk(str(tmp_path / "dict"))
    (tmp_path / "files" / "data").mkdir(parents=True)
    hugging_face.to_parquet(str(tmp_path / "files" / "data" / "train-00000.parquet"))
    found = [hf_rows(tmp_path / name) for name in ("saved", "dict", "files")]
    row = found[0]["u-0"]
    assert (row["speaker"], row["language"], row["text"], row["sample_rate"]) == ("a", "de", "eins", 22050)
    assert row["samples"] == 11025
    assert row["sha256"] == found[1]["u-0"]["sha256"] == found[2]["u-0"]["sha256"]
    assert found[0]["../u-1"]["path"] == "00000001.flac"
    assert not list(tmp_path.parent.rglob("u-1*"))


def test_rows_that_name_files_are_read_within_their_folder_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = synthetic.write_wave(tmp_path / "saved" / "a.wav", 0.5, 16000, 1)
    outside = synthetic.write_wave(tmp_path / "b.wav", 0.5, 16000, 2)
    audio = [{"bytes": None, "path": str(path)} for path in (inside, outside, tmp_path / "gone.wav")]
    made = datasets.Dataset.from_dict({"sound": audio}).cast_column("sound", datasets.Audio(decode=False))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: made)
    found = hf_rows(tmp_path / "saved", columns={"audio": "sound"})
    assert {name: row["reason"] for name, row in found.items()} == {"a": None, "b": "missing", "gone": "missing"}
    assert found["b"]["detail"] == "row 1 holds no audio and names a file elsewhere"


def test_a_split_of_a_hugging_face_dataset_builds(hugging_face: datasets.Dataset, tmp_path: Path) -> None:
    hugging_face.save_to_disk(str(tmp_path / "saved"))
    corpus = {"kind": "hf", "root": str(tmp_path / "saved"), "columns": {"audio": "sound"}}
    document = {
        "name": "r",
        "title": "R",
        "corpora": {"mine": corpus},
        "splits": {"train": {"share": 1, "variants": ["real"]}},
        "execution": {"workers": 1},
    }
    build(parse_recipe(document, "test", Path()), tmp_path / "d")
    built = clips(tmp_path / "d")
    assert [row["utterance_id"] for row in built] == ["clip0", "clip1"]
    assert soundfile.info(io.BytesIO(built[0]["audio"]["bytes"])).frames == 8000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"columns": {"audio": "audio"}}, "columns.audio: no column 'audio'; there are sound, who"),
        ({"split": "test"}, "split test"),
        ({"hub": "a/b"}, "not both"),
    ],
)
def test_mistakes_about_hugging_face_datasets(
    hugging_face: datasets.Dataset, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    datasets.DatasetDict({"train": hugging_face}).save_to_disk(str(tmp_path / "dict"))
    with pytest.raises((CorpusError, ValueError), match=words):
        hf_rows(tmp_path / "dict", **changes)


def test_a_dataset_of_the_hub(hugging_face: datasets.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def opened(hub: str, config: str | None, split: str, revision: str | None) -> datasets.Dataset:
        asked.append((hub, config, split, revision))
        return hugging_face

    monkeypatch.setattr(datasets, "load_dataset", opened)
    document = {"kind": "hf", "hub": "a/b", "config": "x", "revision": "v1", "columns": {"audio": "sound"}}
    assert list(rows(HuggingFaceConfig.model_validate(document))) == ["clip0", "clip1"]
    assert asked == [("a/b", "x", "train", "v1")]


def test_a_hub_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any, **__: Any) -> None:
        raise ConnectionError("no answer\nat all")

    monkeypatch.setattr(datasets, "load_dataset", refusing)
    with pytest.raises(CorpusError, match=r"nobody/nothing: cannot be opened as a dataset, split train: no answer$"):
        index_corpus("c", HuggingFaceConfig(kind="hf", hub="nobody/nothing"), builtin_catalogue())
