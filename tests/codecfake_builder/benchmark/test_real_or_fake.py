"""Real against fake by both views: numbers computed by hand, from a dataset and from released label files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codecfake_builder.benchmark.scoring.inputs import match_to_dataset, match_to_labels
from codecfake_builder.benchmark.scoring.real_or_fake import fake_by
from codecfake_builder.benchmark.scoring.render import as_text
from codecfake_builder.benchmark.scoring.results import Results, read_results
from codecfake_builder.benchmark.scoring.score import score
from codecfake_builder.cli.app import main
from codecfake_builder.dataset.schema import class_names, schema
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.origin import View

CLIPS = {
    # split, codec, alm: how real each clip is
    ("train", "real", None): [],
    ("eval_id", "real", None): [4.0, 3.0, 2.0],
    ("eval_id", "encodec", None): [3.5, 1.0, 0.0],
    ("alm", "mimi", "moshi"): [3.8, 3.2, 1.5, -1.0],
}
# By synthesis, eval_id: of 3 x 3 pairs 7 are in order; the ROC crosses at a false positive of 3.
# alm, against the real clips of eval_id: 8 of 12 pairs; at 2 of 4. All fakes: 15 of 21 pairs; at 3 of 7.
# By transmission the clips of eval_id are bona fide; alm: 13 of 24 pairs; at 2 of 4 and 3 of 6.
SYNTHESIS = {"eval_id": (100 / 3, 700 / 9), "alm": (50.0, 800 / 12), "all": (300 / 7, 1500 / 21)}
TRANSMISSION = {"alm": (50.0, 1300 / 24), "all": (50.0, 1300 / 24)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "metadata").mkdir()
    form = schema(tuple(class_names()), audio=False)
    rows: dict[str, list[dict[str, object]]] = {}
    for (split, codec, alm), scores in CLIPS.items():
        names = ["real", "encodec", "mimi"] if split == "train" else [codec] * len(scores)
        for number, name in enumerate(names):
            row = dict.fromkeys(form.names) | {"id": f"{split}-{name}-{number}", "codec": name, "alm": alm}
            row |= {"label": class_names().index(name), "variant": name, "corpus": "c", "speaker": f"s{number % 2}"}
            rows.setdefault(split, []).append(row)
    for split, listed in rows.items():
        pq.write_table(pa.Table.from_pylist(listed, schema=form), folder / "metadata" / f"{split}.parquet")
    return folder


def predictions(folder: Path, logits: bool) -> Path:
    table = pd.DataFrame(
        [
            {"id": f"{split}-{codec}-{number}", "predicted": codec, "real": value}
            for (split, codec, _), scores in CLIPS.items()
            for number, value in enumerate(scores)
        ]
    )
    if logits:
        table = table.rename(columns={"real": "logit_real"}).assign(logit_encodec=0.0, logit_mimi=0.0)
    else:
        table = table.rename(columns={"real": "score_real"})
    table.to_csv(folder / "p.csv", index=False)
    return folder / "p.csv"


def found(results: Results) -> dict[str, tuple[float, float]]:
    eer, auc = results.table("real_fake_eer"), results.table("real_fake_auc")
    assert eer is not None
    assert auc is not None
    cells = zip(eer.rows["m"], auc.rows["m"], strict=True)
    return dict(zip(eer.columns, ((one.value, other.value) for one, other in cells), strict=True))


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize(("view", "expected"), [(View.SYNTHESIS, SYNTHESIS), (View.TRANSMISSION, TRANSMISSION)])
def test_numbers_by_hand(
    dataset: Path, tmp_path: Path, view: View, expected: dict[str, tuple[float, float]], logits: bool
) -> None:
    results = score(match_to_dataset([predictions(tmp_path, logits)], dataset), "m", 20, view=view)
    values = found(results)
    assert set(values) == set(expected)
    for column, pair in expected.items():
        assert values[column] == pytest.approx(pair)
    assert results.view == view
    assert logits or not results.thresholds  # it is no detector of unknown classes
    assert f"real or fake, view {view}" in as_text(results)
    (tmp_path / "results.json").write_text(results.to_json())
    assert read_results(tmp_path / "results.json") == results


def test_other_tables_do_not_hang_on_the_view(dataset: Path, tmp_path: Path) -> None:
    matched = match_to_dataset([predictions(tmp_path, logits=True)], dataset)
    one, other = (score(matched, "m", 0, view=view) for view in View)
    for table in one.tables:
        assert table.key.startswith("real_fake") or table == other.table(table.key)


def test_results_of_before_followed_the_first_view(dataset: Path, tmp_path: Path) -> None:
    results = score(match_to_dataset([predictions(tmp_path, logits=True)], dataset), "m", 0)
    document = json.loads(results.to_json())
    del document["view"]
    (tmp_path / "results.json").write_text(json.dumps(document))
    assert read_results(tmp_path / "results.json").view == "synthesis"


def test_without_scores_a_note_says_what_is_missing(dataset: Path, tmp_path: Path) -> None:
    table = pd.read_csv(predictions(tmp_path, logits=False)).drop(columns="score_real")
    table.to_csv(tmp_path / "p.csv", index=False)
    results = score(match_to_dataset([tmp_path / "p.csv"], dataset), "m", 0, view=View.TRANSMISSION)
    assert results.table("real_fake_eer") is None
    assert any(note.startswith("real or fake (view transmission): ") and "logits" in note for note in results.notes)


def test_only_one_kind_is_a_note_too(dataset: Path, tmp_path: Path) -> None:
    table = pd.read_csv(predictions(tmp_path, logits=True))
    table[table["id"].str.startswith("eval_id")].to_csv(tmp_path / "p.csv", index=False)
    results = score(match_to_dataset([tmp_path / "p.csv"], dataset), "m", 0, view=View.TRANSMISSION)
    assert results.table("real_fake_eer") is None
    assert any("no bona fide and fake clips" in note for note in results.notes)


def test_one_clip_without_a_score_is_named(dataset: Path, tmp_path: Path) -> None:
    table = pd.read_csv(predictions(tmp_path, logits=False))
    table.loc[2, "score_real"] = float("nan")
    table.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(BenchmarkError, match="1 clips have no finite score_real, first eval_id-real-2"):
        match_to_dataset([tmp_path / "p.csv"], dataset)


def test_sets_of_files_are_joined(tmp_path: Path) -> None:
    (tmp_path / "id.csv").write_text("id,predicted,score_real\np225_001,real,2\nencodec_p225_001,encodec,1\n")
    (tmp_path / "alm.csv").write_text("id,predicted,score_real\na,mimi,3\n")
    files = {"eval_id": tmp_path / "id.csv", "alm/moshi": tmp_path / "alm.csv"}
    matched = match_to_labels(files, {"alm/moshi": "mimi"})
    assert found(score(matched, "m", 0)) == {"eval_id": (0, 100), "alm": (100, 0), "all": (pytest.approx(50), 50)}
    assert found(score(matched, "m", 0, view=View.TRANSMISSION)) == {"alm": (100, 0), "all": (100, 0)}


def test_released_sets_say_it_by_label_and_split(tmp_path: Path) -> None:
    (tmp_path / "id.txt").write_text("p225_001.wav 0 0.9\nencodec_p225_001.wav 4 0.9\n")
    (tmp_path / "alm.txt").write_text("a.wav 1 0.9\n")
    (tmp_path / "voc.txt").write_text("v.wav 0 0.5\nr.wav 0 0.5\n")
    (tmp_path / "voc_labels.txt").write_text("v.wav fake 7\nr.wav real 0\n")
    files = {"eval_id": "id.txt", "alm/moshi": "alm.txt", "ood_vocoder": "voc.txt"}
    labels = {"alm/moshi": "mimi", "ood_vocoder": str(tmp_path / "voc_labels.txt")}
    matched = match_to_labels({name: tmp_path / file for name, file in files.items()}, labels)
    both = {
        clip: (bool(one), bool(other))
        for clip, one, other in zip(
            matched.truth["id"], fake_by(matched, View.SYNTHESIS), fake_by(matched, View.TRANSMISSION), strict=True
        )
    }
    assert both == {
        "p225_001": (False, False),
        "encodec_p225_001": (True, False),
        "a": (True, True),
        "v": (True, True),
        "r": (False, False),
    }


def test_the_command_takes_a_view(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["benchmark", "score", str(predictions(tmp_path, logits=True)), "--dataset", str(dataset)]
    for arguments, view in [([], "synthesis"), (["--view", "transmission"], "transmission")]:
        with pytest.raises(SystemExit) as ended:
            main([*command, "--bootstrap", "0", *arguments, "--format", "json"])
        assert not ended.value.code
        document = json.loads(capsys.readouterr().out)
        assert document["view"] == view
        assert any(f"view {view}" in table["title"] for table in document["tables"])
    with pytest.raises(SystemExit) as ended:
        main([*command, "--view", "transmitted"])
    assert ended.value.code == 2
    talk = capsys.readouterr().err
    assert "transmission" in talk
    assert "Traceback" not in talk
