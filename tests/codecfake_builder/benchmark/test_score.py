"""``benchmark score``: the publication's tables from its released results, anybody's predictions, and wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codecfake_builder.benchmark.scoring.bootstrap import SpeakerBootstrap
from codecfake_builder.benchmark.scoring.inputs import match_to_dataset, match_to_labels, released_files
from codecfake_builder.benchmark.scoring.matched import match_predictions
from codecfake_builder.benchmark.scoring.publication import published_tables, released_sets
from codecfake_builder.benchmark.scoring.render import FORMATS, as_latex, as_markdown
from codecfake_builder.benchmark.scoring.results import read_results
from codecfake_builder.benchmark.scoring.score import score
from codecfake_builder.benchmark.scoring.truth import file_name_truth, speaker_of, stem
from codecfake_builder.cli.app import main
from codecfake_builder.dataset.schema import class_names, schema
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.resources import resource_folder

KNOWN = class_names()[:7]


def released_results(shared: Path, model: str, folder: Path) -> Path:
    """Result files with the released counts of predictions, in the released layout."""
    facts = json.loads((shared / "facts" / "ncst" / "tables.json").read_text())
    ids = (resource_folder("manifests") / "stcodecfake_eval_utterances.txt").read_text().split()
    lines = []
    for true, row in enumerate(facts["table3"]["rows"][model]["confusion_rows_true_cols_pred"]):
        prefix = f"{KNOWN[true]}_" if true else ""
        lines += [f"{prefix}{name}.wav {got} 0.9" for name, got in zip(ids, np.repeat(range(7), row), strict=True)]
    counts = facts["table4"]["rows"][model]["predicted_class_counts_0_to_6"]
    counts |= facts["table6"]["rows"][model]["predicted_class_counts_0_to_6"]
    texts = {"eval_id": lines} | {
        name: [f"x_{clip}.wav {got} 0.9" for clip, got in enumerate(np.repeat(range(7), own))]
        for name, own in counts.items()
    }
    for name, entry in released_sets().items():
        path = folder / entry.files[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(texts[name]) + "\n", encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("model", ["Mel-LCNN", "AASIST", "W2V2-AASIST"])
def test_released_results_give_the_recomputed_tables(shared: Path, model: str, tmp_path: Path) -> None:
    facts = json.loads((shared / "facts" / "ncst" / "tables.json").read_text())
    files = released_files(released_results(shared, model, tmp_path))
    assert len(files) == 17
    results = score(match_to_labels(files, {}), model, bootstrap_samples=0)
    found = {}
    for table in results.tables:
        found[table.key] = dict(zip(table.columns, (cell.value for cell in table.rows[model]), strict=True))
    expected = {
        "id": dict(zip([*KNOWN, "average"], facts["table3"]["rows"][model]["recomputed"], strict=True)),
        "robustness": dict(
            zip(
                [*facts["table4"]["columns"][:-1], "average"], facts["table4"]["rows"][model]["recomputed"], strict=True
            )
        ),
        "alm": {
            "average" if name == "AVG" else name: value
            for name, value in facts["table6"]["rows"][model]["recomputed"].items()
        },
    }
    for key, values in expected.items():
        assert {name: round(value, 4) for name, value in found[key].items()} == values
    assert any("Table 5" in note for note in results.notes)


def test_printed_tables_are_the_recorded_ones(shared: Path) -> None:
    facts = json.loads((shared / "facts" / "ncst" / "tables.json").read_text())
    printed = published_tables()
    for key, table in {"id": "table3", "robustness": "table4"}.items():
        assert {name: tuple(row["printed"]) for name, row in facts[table]["rows"].items()} == printed[key].rows
    for name, row in facts["table6"]["rows"].items():
        assert printed["alm"].rows[name] == tuple(row["printed"][column] for column in facts["table6"]["columns"])
    rows = facts["table5"]["rows"] | {"average": facts["table5"]["AVG_row"]}
    for metric in ("AUC", "FPR95", "EER"):
        for name, row in rows.items():
            values = tuple(row["printed"][condition][metric] for condition in facts["table5"]["conditions"])
            assert printed[f"ood_{metric.lower()}"].rows[name] == values
    slips = [note for table in printed.values() for note in table.notes]
    assert any("C3-3 and C3-4 hold the same audio" in note for note in slips)
    assert any("headings are permuted" in note for note in slips)
    recorded = [text.partition("printed ")[2] for text in facts["mismatches"] if text.startswith("Table 5")]
    assert all(any(text in note for note in slips) for text in recorded)


def make_dataset(folder: Path, utterances: int = 12) -> Path:
    """The metadata of a small dataset with all splits of the tables; three speakers."""
    splits = {
        "train": KNOWN,
        "dev": KNOWN,
        "eval_id": KNOWN,
        "eval_ood": ["wavtokenizer", "dac", "soundstream"],
        "id_config": ["encodec", "funcodec"],
        "id_source": ["mimi"],
        "ood_source": ["wavtokenizer"],
        "unseen_real": ["real"],
        "alm": ["mimi"],
    }
    (folder / "metadata").mkdir(parents=True)
    form = schema(tuple(class_names()), audio=False)
    for split, codecs in splits.items():
        rows = []
        for codec in codecs:
            for item in range(utterances):
                row = dict.fromkeys(form.names)
                row |= {
                    "id": f"{split}-{codec}-{item}",
                    "label": class_names().index(codec),
                    "codec": codec,
                    "variant": f"{codec}_x" if split == "id_config" else codec,
                    "corpus": "vctk",
                    "speaker": f"p{item % 3}",
                    "alm": "moshi" if split == "alm" else None,
                }
                rows.append(row)
        pq.write_table(pa.Table.from_pylist(rows, schema=form), folder / "metadata" / f"{split}.parquet")
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"))


def truth_of(dataset: Path) -> pd.DataFrame:
    parts = [
        pq.read_table(path, columns=["id", "label"]).to_pandas().assign(split=path.stem)
        for path in sorted((dataset / "metadata").glob("*.parquet"))
    ]
    return pd.concat(parts, ignore_index=True)


def good_outputs(dataset: Path, seed: int = 0) -> pd.DataFrame:
    """Logits and embeddings of a good model: known classes apart, unknown ones somewhere else."""
    generator = np.random.default_rng(seed)
    truth = truth_of(dataset)
    embeddings = 6 * np.eye(12)[truth["label"]] + generator.standard_normal((len(truth), 12))
    logits = embeddings[:, :7]
    return truth[["id"]].assign(logits=list(logits), embedding=list(embeddings))


def write_outputs(table: pd.DataFrame, path: Path) -> Path:
    columns = {"id": pa.array(table["id"])}
    for name in ("logits", "embedding"):
        wide = np.stack(table[name].to_list()).astype(np.float32)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(wide.ravel()), wide.shape[1])
    pq.write_table(pa.table(columns), path)
    return path


def test_outputs_give_all_tables_with_all_detectors(dataset: Path, tmp_path: Path) -> None:
    path = write_outputs(good_outputs(dataset), tmp_path / "o.parquet")
    results = score(match_to_dataset([path], dataset), "ours", bootstrap_samples=50)
    tables = {table.key: table for table in results.tables}
    open_set = ["ood_auc", "ood_fpr95", "ood_eer", "ood_eer_standard"]
    assert list(tables) == ["id", "robustness", "alm", *open_set, "real_fake_eer", "real_fake_auc"]
    assert tables["id"].columns == (*KNOWN, "average")
    assert tables["robustness"].columns == ("vctk", "encodec_x", "funcodec_x", "mimi", "average")
    assert tables["ood_auc"].columns == ("single codec 7", "multi codec 8-11", "different source", "average")
    assert set(tables["ood_auc"].rows) == set(results.thresholds)
    assert len(results.thresholds) == 10
    for row in tables["ood_auc"].rows.values():
        for cell in row:
            assert cell.low is not None
            assert cell.high is not None
            assert cell.low <= cell.value <= cell.high
    for detector in ("Energy", "kNN", "Mahalanobis++"):
        assert min(cell.value for cell in tables["ood_auc"].rows[detector]) > 95
    assert np.sum(results.confusion["eval_id"]) == 84
    again = score(match_to_dataset([path], dataset), "ours", bootstrap_samples=50)
    assert again.to_json() == results.to_json()
    (tmp_path / "results.json").write_text(results.to_json(), encoding="utf-8")
    assert read_results(tmp_path / "results.json") == results


def test_training_outputs_in_a_file_of_their_own(dataset: Path, tmp_path: Path) -> None:
    table = good_outputs(dataset)
    is_train = table["id"].str.startswith("train-")
    whole = write_outputs(table, tmp_path / "all.parquet")
    rest = write_outputs(table[~is_train], tmp_path / "rest.parquet")
    fit = write_outputs(table[is_train], tmp_path / "fit.parquet")
    one, two = match_to_dataset([whole], dataset), match_to_dataset([rest], dataset, fit)
    rows = one.rows("eval_ood")
    for name, scores in two.scores.items():
        np.testing.assert_allclose(scores[two.rows("eval_ood")], one.scores[name][rows])
    assert set(match_to_dataset([rest], dataset).scores) == {"MSP", "MaxLogit", "Energy"}
    leaky = write_outputs(table[is_train | table["id"].str.startswith("eval_id-")], tmp_path / "leaky.parquet")
    with pytest.raises(BenchmarkError, match="would be fitted on 84 clips that are not in split train, first eval_id"):
        match_to_dataset([rest], dataset, leaky)


def test_csv_with_names_and_a_score_of_ones_own(dataset: Path, tmp_path: Path) -> None:
    truth = truth_of(dataset)
    known = truth["label"] < 7
    table = pd.DataFrame({"file": truth["id"] + ".flac", "predicted": [KNOWN[x % 7] for x in truth["label"]]})
    table["score"] = np.where(known, 1.0, 0.0)
    table.to_csv(tmp_path / "p.csv", index=False)
    results = score(match_to_dataset([tmp_path / "p.csv"], dataset), "perfect", bootstrap_samples=20)
    tables = {table.key: table for table in results.tables}
    assert [cell.value for cell in tables["id"].rows["perfect"]] == [100.0] * 8
    assert [cell.value for cell in tables["ood_eer"].rows["score"]] == [0.0] * 4


def test_every_form_shows_printed_numbers_as_printed(dataset: Path, tmp_path: Path) -> None:
    path = write_outputs(good_outputs(dataset), tmp_path / "o.parquet")
    results = score(match_to_dataset([path], dataset), "a_b|c", bootstrap_samples=0)
    for name, (_, form) in FORMATS.items():
        text = form(results)
        assert name == "json" or "as printed in arXiv 2501.06514" in text
        assert name == "json" or "headings are permuted" in text
    assert "a\\_b|c" in as_latex(results)
    assert "| a_b\\|c |" in as_markdown(results)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t[t["id"] != "eval_id-mimi-3"], "no prediction for 1 of the 84 clips of eval_id"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "1 clips are there twice"),
        (lambda t: t.assign(id=t["id"].replace("dev-real-0", "dev-real-99")), "1 clips are not in the truth, first"),
        (lambda t: t.assign(predicted=["mini"] + ["real"] * (len(t) - 1)), "label, first .*: mini; did you mean mimi"),
        (lambda t: t.assign(predicted=["dac"] + ["real"] * (len(t) - 1)), "label, first .*: dac; known: real, mimi"),
        (lambda t: t.assign(predicted=11), "unknown label"),
        (lambda t: t.drop(columns="id"), "has no column id"),
        (lambda t: t.drop(columns="predicted"), "neither a column predicted nor logits"),
        (lambda t: t.assign(logit_real=1.0, logit_mimi=2.0), "has logits of real, mimi; expected real, mimi, speech"),
        (lambda t: t.assign(score="x"), "clips have no finite score"),
    ],
)  # fmt: skip
def test_wrong_predictions_are_refused(dataset: Path, change: Any, words: str, tmp_path: Path) -> None:
    table = change(truth_of(dataset)[["id"]].assign(predicted="real"))
    table.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(BenchmarkError, match=words) as raised:
        match_to_dataset([tmp_path / "p.csv"], dataset)
    assert "\n" not in str(raised.value)


def test_logits_of_another_class_count_are_refused(dataset: Path, tmp_path: Path) -> None:
    table = good_outputs(dataset)
    table["logits"] = [row[:5] for row in table["logits"]]
    with pytest.raises(BenchmarkError, match="has logits of 5 classes, expected 7: real, mimi"):
        match_to_dataset([write_outputs(table, tmp_path / "o.parquet")], dataset)


def test_label_files_and_sets_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a.wav 3 0.9\nb.wav 0 0.5\n")
    (tmp_path / "l.txt").write_text("b.wav fake 3\na.wav fake 3\n")
    matched = match_to_labels({"id_config/mine": tmp_path / "p.txt"}, {"id_config/mine": str(tmp_path / "l.txt")})
    table = score(matched, "m", bootstrap_samples=0).table("robustness")
    assert table is not None
    assert table.columns == ("mine", "average")
    assert table.rows["m"][0].value == 50.0
    matched = match_to_labels({"id_config/mine": tmp_path / "p.txt"}, {"id_config/mine": "real"})
    assert score(matched, "m", bootstrap_samples=0).confusion["id_config"][0][0] == 1
    for labels, words in [
        ({"C3-9": "3"}, "no predictions of that set"),
        ({"id_config/mine": "99"}, "unknown label; known: 0 to 11"),
        ({"id_config/mine": str(tmp_path / "none.txt")}, "none.txt: cannot be read as a label file"),
    ]:
        with pytest.raises(BenchmarkError, match=words):
            match_to_labels({"id_config/mine": tmp_path / "p.txt"}, labels)
    (tmp_path / "l.txt").write_text("a.wav fake\n")
    with pytest.raises(BenchmarkError, match="line 1: expected file name, tag and class id"):
        match_to_labels({"C3-1": tmp_path / "p.txt"}, {"C3-1": str(tmp_path / "l.txt")})
    with pytest.raises(BenchmarkError, match=r"C3_1: unknown set; did you mean C3-1\?"):
        match_to_labels({"C3_1": tmp_path / "p.txt"}, {})


def test_names_of_released_files_say_class_and_speaker() -> None:
    names = ["p225_001", "encodec_p225_001", "SSB00050001", "snac_SSB00050001"]
    truth = file_name_truth(names, None, "eval_id", None)
    assert truth["label"].tolist() == [0, 4, 0, 6]
    assert truth["speaker"].tolist() == ["vctk/p225", "vctk/p225", "aishell3/SSB0005", "aishell3/SSB0005"]
    assert speaker_of("moshi_R-ZH_3_14_d501") == "ncssd/R-ZH_d501"
    assert speaker_of("LA_E_1") == "file/LA_E_1"
    with pytest.raises(BenchmarkError, match="gen_1: its name says no class"):
        file_name_truth(["gen_1"], None, "eval_id", None)


def test_ids_are_file_names_without_folder_and_audio_suffix() -> None:
    names = ["a/b/x.wav", "x.OPUS", "x.aiff", "x", "v1.5", ".wav"]
    assert [stem(name) for name in names] == ["x", "x", "x", "x", "v1.5", ""]


def test_bootstrap_draws_speakers_within_their_corpus() -> None:
    speakers = pd.Series(["a/1"] * 10 + ["a/2"] * 10 + ["b/1"] * 5 + ["b/2"] * 5)
    drawn = SpeakerBootstrap(speakers, 200, seed=1)
    sums = drawn.weighted_counts(np.arange(30), (np.arange(30) >= 20).astype(int), 2)
    assert set(np.unique(sums[:, 0])) == {20.0}
    assert set(np.unique(sums[:, 1])) == {10.0}
    hits = drawn.weighted_counts(np.arange(20), (np.arange(20) < 10).astype(int), 2)[:, 1]
    assert set(np.unique(hits)) == {0.0, 10.0, 20.0}
    alone = SpeakerBootstrap(pd.Series(["a/1"] * 4), 10, seed=1)
    assert np.isnan(alone.weighted_counts(np.arange(4), np.zeros(4, int), 1)).all()


def cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command, in this process."""
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", *arguments])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_the_command(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_outputs(good_outputs(dataset), tmp_path / "o.parquet")
    arguments = ["score", str(path), "--dataset", str(dataset), "--bootstrap", "20", "--out", str(tmp_path / "r")]
    code, printed, talk = cli(capsys, *arguments)
    assert code == 0, talk
    assert "model: classes of the evaluation set, F1 (%)" in printed
    written = sorted(file.suffix for file in (tmp_path / "r").iterdir())
    assert written == [".json", ".md", ".tex", ".txt"]
    for wrong, words in [
        (["x.csv", "--dataset", str(dataset)], "x.csv: no such file of predictions"),
        ([str(path), "--dataset", str(tmp_path)], "no dataset folder"),
        ([str(path)], "expected SET=FILE"),
        ([str(path), "--format", "latx"], "did you mean latex?"),
        ([str(path), "--dataset", str(dataset), "--labels", "a=b"], "the dataset says the labels"),
    ]:
        code, printed, talk = cli(capsys, "score", *wrong)
        assert code == 2
        assert printed == ""
        assert talk.startswith("error: ")
        assert len(talk.strip().splitlines()) == 1
        assert words in talk


def test_fakes_that_no_codec_made_are_of_no_known_class() -> None:
    """Their label is -1, which counts from the end where a list is asked: here of a class that the model knows."""
    truth = pd.DataFrame({"id": ["a", "b"], "split": "ood_vocoder", "label": [-1, 2], "group": "x", "speaker": "c/s"})
    predictions = pd.DataFrame({"id": ["a", "b"], "predicted": ["mimi", "mimi"]})
    matched = match_predictions(truth, predictions, ["real", "encodec", "mimi"], [0, 2], "p.csv")
    assert matched.columns_of(truth["label"].to_numpy()).tolist() == [-1, 1]
    assert matched.class_name(-1) == "vocoder"
