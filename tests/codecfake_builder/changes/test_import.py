"""Imports: labels as the clips say themselves, lengths their own, nothing guessed, nothing lost without a word."""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import soundfile

import codec_adapters
from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.changes.build import build
from codecfake_builder.changes.import_clips import clips_recipe, demo_recipe, release_recipe
from codecfake_builder.corpora.imported import ImportedConfig
from codecfake_builder.corpora.index import CorpusIndex, index_corpus
from codecfake_builder.corpora.st_codecfake import find
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import CorpusError, PlanError, RecipeError
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.recipe.load import parse_recipe
from tests.conftest import REPOSITORY
from tests.kit.datasets_for_tests import files
from tests.kit.datasets_for_tests import rows as clips
from tests.kit.synthetic import write_wave

ONE = ["execution.workers=1"]


def rejected(dataset: Path) -> dict[str, str]:
    return {row["path"]: row["reason"] for row in pq.read_table(dataset / "rejected.parquet").to_pylist()}


def index(**config: Any) -> CorpusIndex:
    return index_corpus("c", ImportedConfig.model_validate({"kind": "imported", **config}), builtin_catalogue())


def test_official_outputs_import_with_their_labels_and_lengths(shared: Path, tmp_path: Path) -> None:
    root = shared / "speech" / "official_codec_outputs"
    recipe = clips_recipe(root, split="test", overrides=ONE)
    plan = make_plan(recipe)
    same = [note for note in map(str, plan.notes) if "identical audio" in note]
    assert len(same) == 1
    assert "zh_en_general_16k_nq32ds320, funcodec_funcodec_zh_en_general_16k_nq32ds640: 3 clips" in same[0]
    build(recipe, tmp_path / "d")
    rows = clips(tmp_path / "d")
    assert len(rows) == 45
    assert Counter(row["codec"] for row in rows) == {
        "funcodec": 18,
        "academicodec": 9,
        "dac": 9,
        "audiodec": 3,
        "encodec": 3,
        "speechtokenizer": 3,
    }
    labels = {row["codec"]: row["label"] for row in rows}
    assert labels == {"funcodec": 3, "academicodec": 9, "dac": 11, "audiodec": 10, "encodec": 4, "speechtokenizer": 2}
    sources = {path.parent.name.replace("-", "_") + path.stem: path for path in root.rglob("*.flac")}
    for row in rows:
        info = soundfile.info(sources[row["variant"] + row["utterance_id"]])
        samples = soundfile.info(io.BytesIO(row["audio"]["bytes"])).frames
        assert samples == -(-info.frames * 16000 // info.samplerate) == round(row["duration"] * 16000)
        assert (row["origin"], row["is_fake"], row["is_fake_transmission"]) == ("imported", True, False)
        assert (row["bitrate_bps"] is None) == (row["variant"] not in codec_adapters.names())
    assert not verify(tmp_path / "d").problems
    assert "identical audio" in (tmp_path / "d" / "provenance.json").read_text()


def test_named_folders_have_the_figures_of_their_variants(tmp_path: Path) -> None:
    write_wave(tmp_path / "six" / "a" / "x.wav", 0.5, 24000, 1)
    write_wave(tmp_path / "dac_16khz" / "x.wav", 0.5, 16000, 2)
    write_wave(tmp_path / "real" / "x.wav", 0.5, 16000, 3)
    recipe = clips_recipe(tmp_path, folders=["six=encodec_24khz_6kbps"], language="en", split="s", overrides=ONE)
    build(recipe, tmp_path / "out")
    rows = {row["variant"]: row for row in clips(tmp_path / "out")}
    assert {name: row["label"] for name, row in rows.items()} == {"encodec_24khz_6kbps": 4, "dac_16khz": 11, "real": 0}
    assert rows["encodec_24khz_6kbps"]["utterance_id"] == "a-x"
    assert (rows["encodec_24khz_6kbps"]["bitrate_bps"], rows["dac_16khz"]["codebooks"]) == (6000, 12)
    assert (rows["real"]["is_fake"], rows["real"]["origin"], rows["real"]["language"]) == (False, "recorded", "en")


@pytest.mark.parametrize("folder", ["realtime", "real-esrgan", "dacapo", "unknown codec"])
def test_folders_that_name_no_codec_are_not_guessed(tmp_path: Path, folder: str) -> None:
    write_wave(tmp_path / folder / "x.wav", 0.5, 16000, 1)
    with pytest.raises(CorpusError, match=f"clips in {folder} is not known"):
        index(root=tmp_path)


def table(folder: Path, rows: Iterable[dict[str, str]]) -> Path:
    rows = list(rows)
    path = folder / "clips.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, sorted({key for row in rows for key in row}))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_table_says_codec_model_and_prompt(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav", 0.5, 24000, 1)
    write_wave(tmp_path / "b.wav", 0.6, 24000, 2)
    listed = table(
        tmp_path,
        [
            {"path": "a.wav", "codec": "mimi", "alm": "some_api", "prompt_id": "q1", "text": "hello", "speaker": "s"},
            {"path": "b.wav", "label": "4", "sha256": "0" * 64},
            {"path": "c.wav", "variant": "dac_16khz"},
        ],
    )
    recipe = clips_recipe(tmp_path, table=listed, split="alm", overrides=ONE)
    notes = make_plan(recipe).notes
    assert any("1 of 1 listed files have another sha256" in str(note) for note in notes)
    build(recipe, tmp_path / "out")
    first, second = sorted(clips(tmp_path / "out"), key=lambda row: row["utterance_id"])
    assert (first["codec"], first["label"], first["alm"], first["prompt_id"]) == ("mimi", 1, "some_api", "q1")
    assert (first["text"], first["speaker"], first["variant"]) == ("hello", "s", "mimi_unspecified")
    assert (first["quantizer"], first["bitrate_bps"]) == ("multi", None)
    assert (second["codec"], second["label"], second["alm"]) == ("encodec", 4, None)
    assert rejected(tmp_path / "out") == {"c.wav": "missing"}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"path": "a.wav"}, "line 2: no value for variant, codec or label"),
        (
            {"path": "a.wav", "codec": "mimmi"},
            "line 2: codec: 'mimmi' is neither a codec family nor a variant; did you",
        ),
        ({"path": "a.wav", "label": "99"}, "line 2: label: '99' is no class"),
        ({"path": "a.wav", "codec": "mimi", "label": "4"}, "mimi and encodec contradict each other"),
        ({"path": "../a.wav", "codec": "mimi"}, "leads out of the corpus root"),
        ({"path": "", "codec": "mimi"}, "line 2: no value for path"),
        (
            {"path": "a.wav", "codec": "real", "alm": "moshi"},
            "line 2: alm: real speech was spoken by no language model",
        ),
    ],
)
def test_rows_that_cannot_be(tmp_path: Path, row: dict[str, str], words: str) -> None:
    write_wave(tmp_path / "a.wav", 0.5, 16000, 1)
    with pytest.raises(CorpusError) as caught:
        index(root=tmp_path, table=str(table(tmp_path, [row])))
    assert words in str(caught.value)


def test_mistakes_in_what_is_given(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="codec: 'mimmi' is neither"):
        clips_recipe(tmp_path, codec="mimmi", split="s", overrides=[])
    with pytest.raises(RecipeError, match="expected NAME=CODEC"):
        clips_recipe(tmp_path, folders=["x"], split="s", overrides=[])


def test_one_variant_cannot_be_two_classes(tmp_path: Path) -> None:
    write_wave(tmp_path / "a" / "encodec_x" / "x.wav", 0.5, 16000, 1)
    write_wave(tmp_path / "b" / "x.wav", 0.5, 16000, 2)
    write_wave(tmp_path / "c" / "y.wav", 0.5, 16000, 3)
    recipe = clips_recipe(tmp_path / "a", split="s", overrides=[])
    other = {"kind": "imported", "root": str(tmp_path / "c"), "codec": "mimi"}
    document = recipe.recipe.model_dump(mode="json")
    document["corpora"]["other"] = other
    assert len(make_plan(parse_recipe(document, "test", Path())).imported) == 2
    document["corpora"]["new"] = {"kind": "imported", "root": str(tmp_path / "b"), "codec": "dac_16khz"}
    document["splits"]["s"]["variants"] = ["imported", "dac_16khz"]
    with pytest.raises(PlanError, match="hold no speech for dac_16khz"):
        make_plan(parse_recipe(document, "test", Path()))


def release(root: Path) -> Path:
    """The release's layout, with what is wrong in such trees: absolute paths, absent, unlisted, contradictory files."""
    home = root / "data2" / "codecfake" / "st-codecfake"
    seed = iter(range(7000, 8000))

    def clip(path: str, seconds: float = 0.5) -> None:
        write_wave(home / path, seconds, 16000, next(seed))

    def label(name: str, lines: list[str]) -> None:
        (home / "label").mkdir(parents=True, exist_ok=True)
        (home / "label" / name).write_text("\n".join(lines) + "\n")

    for name in ("p225_004.wav", "mimi_p225_004.wav", "snac_SSB00050002.wav", "facodec_p225_004.wav", "stray.wav"):
        clip(f"train/{name}")
    listed = ["p225_004.wav real 0", "mimi_p225_004.wav fake 1", "snac_SSB00050002.wav fake 6"]
    label("train.txt", [*listed, "facodec_p225_004.wav fake 2", "encodec_p225_004.wav fake 4"])
    for name in ("wavtokenizer_p225_004.wav", "dac_p225_004.wav", "hificodec_p225_004.wav", "odd_p225_004.wav"):
        clip(f"eval_ood/{name}")
    label("eval_ood7.txt", ["wavtokenizer_p225_004.wav fake 7"])
    clip("eval_ood/strange_p225_004.wav")
    numbers = (("dac", 8), ("hificodec", 9), ("odd", 10), ("strange", 11))
    label("eval_ood8-11.txt", [f"{name}_p225_004.wav fake {number}" for name, number in numbers])
    clip("ID_diff_config/C3-3/C3-3_p225_004.wav")
    (home / "ID_diff_config" / "C3-4").mkdir()
    shutil.copy(home / "ID_diff_config/C3-3/C3-3_p225_004.wav", home / "ID_diff_config/C3-4/C3-4_p225_004.wav")
    clip("OOD_diff_config/wavtokenizer_small40/anything_p225_004.wav")
    clip("ALM/moshi/moshi_R-EN_0_0_d1002.wav", 1.0)
    clip("ALM/mini-omni/A1-A2/miniomni_R-EN_0_0_d1002.wav", 1.1)
    clip("ALM/speechgpt-gen/response.wav", 1.2)
    clip("ALM/valle/valle_p225_004.wav", 1.3)
    return root


@pytest.fixture(scope="module")
def imported_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = release(tmp_path_factory.mktemp("release"))
    build(release_recipe(root, ONE), root / "out")
    return root / "out"


@pytest.mark.slow
def test_the_release_becomes_a_dataset(imported_release: Path) -> None:
    rows = {(row["variant"], row["utterance_id"], row["corpus"]): row for row in clips(imported_release)}
    train = {key[:2]: row["label"] for key, row in rows.items() if key[2] == "st_codecfake_train"}
    assert train == {
        ("real", "p225_004"): 0,
        ("mimi_unspecified", "p225_004"): 1,
        ("snac_unspecified", "SSB00050002"): 6,
    }
    mandarin = rows["snac_unspecified", "SSB00050002", "st_codecfake_train"]
    assert (mandarin["language"], mandarin["speaker"]) == ("zh", "SSB0005")
    splits = {path.name for path in (imported_release / "data").iterdir()}
    assert splits == {"train", "eval_ood", "id_config", "ood_config", "alm"}
    assert not verify(imported_release).problems


@pytest.mark.slow
def test_classes_8_to_11_are_told_by_names_not_by_numbers(imported_release: Path) -> None:
    labels = {row["variant"]: row["label"] for row in clips(imported_release, "eval_ood/*.parquet")}
    assert labels == {"wavtokenizer_unspecified": 7, "academicodec_unspecified": 9, "dac_unspecified": 11}


@pytest.mark.slow
def test_other_settings_and_models_of_the_release(imported_release: Path) -> None:
    settings = clips(imported_release, "id_config/*.parquet") + clips(imported_release, "ood_config/*.parquet")
    assert {row["variant"]: row["label"] for row in settings} == {
        "funcodec_c3_3": 3,
        "funcodec_c3_4": 3,
        "wavtokenizer_small_40tps": 7,
    }
    notes = (imported_release / "provenance.json").read_text()
    assert "identical audio under funcodec_c3_3, funcodec_c3_4: 1 clips" in notes
    spoken = {row["alm"]: (row["label"], row["prompt_id"]) for row in clips(imported_release, "alm/*.parquet")}
    assert spoken == {
        "moshi": (1, "R-EN_0_0_d1002"),
        "mini_omni": (6, "R-EN_0_0_d1002"),
        "speechgpt_gen": (2, "response"),
        "valle": (4, "p225_004"),
    }


@pytest.mark.slow
def test_what_is_wrong_with_the_release_is_listed(imported_release: Path) -> None:
    reasons = {Path(path).name: reason for path, reason in rejected(imported_release).items()}
    assert reasons["encodec_p225_004.wav"] == "missing"
    assert reasons["stray.wav"] == "not_listed"
    assert reasons["facodec_p225_004.wav"] == reasons["odd_p225_004.wav"] == "unknown_class"
    assert reasons["strange_p225_004.wav"] == "unknown_class"
    counts = Counter(Path(path).parts[-2] for path, reason in rejected(imported_release).items() if reason == "missing")
    assert counts["C3-3"] == counts["C3-4"] == 13_227
    assert counts["moshi"] == 9_999
    assert counts["valle"] == 4_435


def test_an_import_goes_on_where_it_stopped(tmp_path: Path) -> None:
    root = release(tmp_path / "r")
    for folder in ("ID_diff_config", "ALM"):  # where most of their files are missing
        shutil.rmtree(next(root.rglob(folder)))
    whole = build(release_recipe(root, ONE), tmp_path / "out")
    before = files(tmp_path / "out")
    gone = sorted((tmp_path / "out" / "data").rglob("*.parquet"))[::2]
    for path in gone:
        path.unlink()
    again = build(release_recipe(root, ONE), tmp_path / "out")
    assert (again.shards_made, again.root) == (len(gone), whole.root)
    assert files(tmp_path / "out") == before


def test_parts_that_are_there_twice_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nothing of ST-Codecfake is there"):
        release_recipe(tmp_path, [])
    for name in ("a", "b"):
        write_wave(tmp_path / name / "train" / "x.wav", 0.5, 16000, 1)
    with pytest.raises(CorpusError, match="train is there twice"):
        find(tmp_path, "train")


@pytest.mark.parametrize("layout", ["demo page", "release"])
def test_the_demo_clips_of_speechgpt_gen(tmp_path: Path, layout: str) -> None:
    with (REPOSITORY / "manifests" / "speechgpt_gen_clips.csv").open(newline="") as stream:
        listed = list(csv.DictReader(stream))
    assert len(listed) == 18
    for number, row in enumerate(listed[:-1]):
        write_wave(tmp_path / row["other_path" if layout == "demo page" else "path"], 0.5, 16000, number)
    recipe = demo_recipe(tmp_path, ONE)
    assert any("17 of 17 listed files have another sha256" in str(note) for note in make_plan(recipe).notes)
    build(recipe, tmp_path / "out")
    rows = clips(tmp_path / "out")
    assert {(row["codec"], row["label"], row["alm"]) for row in rows} == {("speechtokenizer", 2, "speechgpt_gen")}
    assert {row["utterance_id"] for row in rows} == {Path(row["path"]).stem for row in listed[:-1]}
    assert {row["prompt_id"] for row in rows} == {row["prompt_id"] for row in listed[:-1]}
    assert list(rejected(tmp_path / "out").values()) == ["missing"]
