"""Train, evaluate, trace and report on a small dataset that the builder made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

from codec_adapters.errors import CodecfakeError
from codecfake_builder.benchmark import run_folder, training
from codecfake_builder.benchmark.clips import Clips, augment_wave, repeat_or_crop
from codecfake_builder.benchmark.config import DataConfig, RunConfig, load_config, presets
from codecfake_builder.benchmark.evaluation import EvaluationSettings, evaluate
from codecfake_builder.benchmark.models import build_model
from codecfake_builder.benchmark.models.config import AasistConfig
from codecfake_builder.benchmark.report import worst_errors, write_report
from codecfake_builder.benchmark.run_folder import load_trained, read_record, synthesized_speech, write_speech
from codecfake_builder.benchmark.scoring.inputs import match_to_dataset
from codecfake_builder.benchmark.scoring.results import Results, read_results
from codecfake_builder.benchmark.trace import Tracer, audio_files, fit_temperature, seconds_of_speech, windows_of
from codecfake_builder.benchmark.training import learning_rate, train
from codecfake_builder.cli.app import main
from codecfake_builder.errors import BenchmarkError, BuilderError
from codecfake_builder.origin import View
from codecfake_builder.recipe.load import parse_recipe
from tests.kit.datasets_for_tests import built, small_recipe

SMALL = ["model.channels=[8,8,8,8,8,8,8,8,8]", "model.hidden=16", "model.embedding=12", "model.samples=8000"]
QUICK = [*SMALL, "training.epochs=4", "training.batch_size=8", "training.learning_rate=0.003", "model.dropout=0.1"]


@pytest.fixture(scope="module")
def dataset(vctk: Path, aishell3: Path, tiny: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """real, mimi and encodec known; dac unknown, in the evaluation only."""
    weights = {name: tiny[name] for name in ("mimi_8codebooks", "encodec_24khz_6kbps", "dac_16khz")}
    recipe = small_recipe(vctk, aishell3, ["real", "mimi_8codebooks", "encodec_24khz_6kbps"], weights)
    document = recipe.recipe.model_dump(mode="json")
    document["splits"]["eval_ood"] = {"same_as": "eval_id", "variants": ["dac_16khz"]}
    out = tmp_path_factory.mktemp("bench") / "dataset"
    built(parse_recipe(document, "test", Path()), out)
    return out


def cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command, in this process."""
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", *arguments])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def quick(*more: str) -> RunConfig:
    return load_config("mel_lcnn_small", [*QUICK, *more])


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mel"
    train(dataset, quick(), folder)
    return folder


@pytest.fixture(scope="module")
def results(dataset: Path, run: Path) -> Results:
    return evaluate(run, dataset, run / "evaluation", "mel", settings=EvaluationSettings(bootstrap_samples=20))


def test_a_dataset_without_generated_speech_has_no_fakes_by_the_other_view(
    dataset: Path, run: Path, results: Results, tmp_path: Path
) -> None:
    shutil.copytree(run / "evaluation" / "outputs", tmp_path / "outputs")
    settings = EvaluationSettings(bootstrap_samples=0, view=View.TRANSMISSION)
    other = evaluate(run, dataset, tmp_path, "mel", settings=settings)
    assert (results.view, other.view) == ("synthesis", "transmission")
    assert other.table("real_fake_eer") is None
    assert "real or fake (view transmission): the predictions hold no bona fide and fake clips" in other.notes


def test_outputs_and_tables(dataset: Path, run: Path, results: Results) -> None:
    assert results.classes == ("real", "mimi", "encodec")
    assert [table.key for table in results.tables] == [
        *("id", "ood_auc", "ood_fpr95", "ood_eer"),
        "ood_eer_standard",
        *("real_fake_eer", "real_fake_auc"),
    ]
    assert len(results.tables[1].rows) == len(results.thresholds) == 10
    table = pq.read_table(run / "evaluation" / "outputs" / "eval_id.parquet")
    assert table.column_names == ["id", "label", "predicted", "logits", "embedding"]
    assert table.schema.field("logits").type.list_size == 3
    assert table.schema.field("embedding").type.list_size == 12
    truth = pq.read_table(dataset / "metadata" / "eval_id.parquet")
    assert sorted(table["id"].to_pylist()) == sorted(truth["id"].to_pylist())
    assert read_results(run / "evaluation" / "results.json") == results
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3, 4]
    assert log[-1]["loss"] < log[0]["loss"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_tables_and_another_does_not(
    dataset: Path, run: Path, results: Results, tmp_path: Path
) -> None:
    train(dataset, quick(), tmp_path / "again")
    assert (tmp_path / "again" / "best.safetensors").read_bytes() == (run / "best.safetensors").read_bytes()
    again = evaluate(
        tmp_path / "again", dataset, tmp_path / "e", "mel", settings=EvaluationSettings(bootstrap_samples=20)
    )
    assert again.to_json() == results.to_json()
    train(dataset, quick("training.seed=1", "training.epochs=1"), tmp_path / "other")
    assert (tmp_path / "other" / "best.safetensors").read_bytes() != (run / "best.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("crop", ["first", "random"])
def test_a_run_that_was_stopped_ends_with_the_same_model(
    dataset: Path, tmp_path: Path, crop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before, between and after the files of an epoch are written."""
    config = quick(f"data.crop={crop}", "data.augment=false" if crop == "first" else "data.augment=true")
    train(dataset, config, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def dying(real: Any, after: bool, at: int) -> Any:
        calls = iter(range(100))

        def call(*arguments: Any) -> None:
            last = next(calls) == at
            if after or not last:
                real(*arguments)
            if last:
                raise Killed

        return call

    for name, real, after, at in [
        ("write_best", run_folder.write_best, True, 0),  # first: a later epoch need not be the best one
        ("write_last", run_folder.write_last, False, 1),
        ("write_last", run_folder.write_last, True, 0),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(training, name, dying(real, after, at))
            with pytest.raises(Killed):
                train(dataset, config, tmp_path / "stopped")
    train(dataset, config, tmp_path / "stopped")
    for file in ("best.safetensors", "log.jsonl"):
        assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.slow
def test_a_killed_process_goes_on(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [item for setting in [*QUICK, "training.epochs=8"] for item in ("--set", setting)]
    arguments = ["train", str(dataset), "--out", str(tmp_path / "r"), "--preset", "mel_lcnn_small"]
    arguments += ["--device", "cpu", *settings]
    command = [sys.executable, "-m", "codecfake_builder", "benchmark", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "r" / "last.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    code, printed, talk = cli(capsys, *arguments)
    assert code == 0, talk
    assert "goes on after epoch" in talk
    assert len((tmp_path / "r" / "log.jsonl").read_text().splitlines()) == 8
    assert "judge it" in printed


def test_early_stopping_and_schedules(dataset: Path, tmp_path: Path) -> None:
    config = quick("training.epochs=30", "training.patience=1", "training.learning_rate=0.5")
    try:
        train(dataset, config, tmp_path / "r")
    except BenchmarkError as error:
        assert "try a smaller training.learning_rate" in str(error)  # noqa: PT017 - either end is right at this rate
    else:
        assert len((tmp_path / "r" / "log.jsonl").read_text().splitlines()) < 30
    published = load_config("aasist").training
    assert [learning_rate(published, epoch) for epoch in (0, 9, 10, 20)] == [5e-4, 5e-4, 2.5e-4, 1.25e-4]
    cosine = load_config("aasist_small").training
    assert learning_rate(cosine, 0) == cosine.learning_rate
    assert learning_rate(cosine, cosine.epochs // 2) == pytest.approx(cosine.learning_rate / 2)


@pytest.mark.slow
def test_mixed_precision_workers_and_other_models(dataset: Path, shared: Path, tmp_path: Path) -> None:
    train(dataset, quick("training.precision=bfloat16", "training.epochs=1", "training.workers=1"), tmp_path / "bf16")
    small = ["model.samples=8000", "model.filters=12", "model.widths=[4,4]", "model.gat_dims=[4,4]"]
    train(dataset, load_config("aasist_small", [*small, "training.epochs=1"]), tmp_path / "aasist")
    ssl = shared / "goldens" / "ncst" / "w2v2_aasist" / "checkpoint" / "ssl"
    sizes = [f"model.ssl={ssl}", "model.samples=8000", "model.widths=[4,4]", "model.gat_dims=[4,4]"]
    config = load_config("w2v2_aasist", [*sizes, "model.projection=12", "training.epochs=2"])
    train(dataset, config, tmp_path / "w2v2")
    trained = load_trained(tmp_path / "w2v2")
    assert (tmp_path / "w2v2" / "best.safetensors").stat().st_size < (ssl / "model.safetensors").stat().st_size
    assert torch.isfinite(trained.model(torch.rand(2, 8000)).logits).all()
    other = shutil.copytree(ssl, tmp_path / "ssl")
    weights = load_file(other / "model.safetensors")
    save_file({key: value + 1 for key, value in weights.items()}, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(BenchmarkError, match="was trained on other weights of XLS-R"):
        load_trained(tmp_path / "w2v2", str(other))


def test_clips_are_read_and_cropped_as_said(dataset: Path) -> None:
    published = Clips(dataset, "train", [0, 1, 4], 64600)
    wave = published.wave(0)
    clip = published[0].wave.numpy()
    assert clip.shape == (64600,)
    np.testing.assert_array_equal(clip[: len(wave)], wave)
    np.testing.assert_array_equal(clip[len(wave) : 2 * len(wave)], wave)
    long = np.arange(100, dtype=np.float32)
    np.testing.assert_array_equal(repeat_or_crop(long, 10), long[:10])
    np.testing.assert_array_equal(repeat_or_crop(long, 10, start=90), long[90:])
    np.testing.assert_array_equal(repeat_or_crop(long[:4], 7, start=3), [3, 0, 1, 2, 3, 0, 1])
    honest = Clips(dataset, "train", [0, 1, 4], 8000, DataConfig(crop="random", augment=True), seed=3)
    first = honest[0].wave
    torch.testing.assert_close(first, honest[0].wave)
    honest.epoch = 1
    assert not torch.equal(first, honest[0].wave)
    assert sorted(set(published.labels)) == [0, 1, 2]


def test_augmentation_keeps_the_speech(dataset: Path) -> None:
    wave = Clips(dataset, "train", [0, 1, 4], 8000).wave(0)
    for seed in range(5):
        changed = augment_wave(wave, np.random.default_rng(seed))
        assert changed.dtype == np.float32
        assert abs(wave @ changed) / (np.linalg.norm(wave) * np.linalg.norm(changed)) > 0.99


def test_tracing_files(
    dataset: Path, run: Path, results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracer = Tracer(run, run / "evaluation", "Energy")
    assert tracer.threshold == results.thresholds["Energy"]
    clips = Clips(dataset, "eval_id", list(tracer.trained.classes), tracer.trained.samples)
    (tmp_path / "in").mkdir()
    for row in (0, 1):
        wave = repeat_or_crop(clips.wave(row), tracer.trained.samples)  # one window, as the evaluation has it
        soundfile.write(tmp_path / "in" / f"{row}.wav", wave, 16000, subtype="FLOAT")
    stereo = np.stack([clips.wave(0)] * 2, axis=1)
    soundfile.write(tmp_path / "in" / "a.flac", np.repeat(stereo, 2, axis=0), 32000)
    (tmp_path / "in" / "b.wav").write_bytes(b"no audio")
    traced = list(tracer.trace(audio_files([tmp_path / "in"])))
    assert [Path(result.file).name for result in traced] == ["0.wav", "1.wav", "a.flac", "b.wav"]
    assert traced[3].error.startswith("unreadable")
    assert traced[3].answer == ""
    matched = match_to_dataset([run / "evaluation"], dataset)
    row = int(np.flatnonzero((matched.truth["id"] == clips.ids[0]).to_numpy())[0])
    assert traced[0].score == pytest.approx(matched.scores["Energy"][row], rel=1e-4)
    assert (traced[0].windows, traced[0].agreement, traced[0].lowest) == (1, 1.0, traced[0].probability)
    assert traced[0].nearest == matched.classes[matched.predicted[row]]
    for result in traced[:3]:
        assert result.score is not None
        assert result.threshold is not None
        assert result.answer == (result.nearest if result.score >= result.threshold else "unknown")
        assert 0 <= (result.dev_rank or 0) <= 1
        assert 1 / 3 <= (result.probability or 0) <= 1
    code, printed, talk = cli(capsys, "trace", str(tmp_path / "in"), "--run", str(run), "--format", "json")
    assert code == 1
    assert [json.loads(line)["answer"] for line in printed.splitlines()] == [result.answer for result in traced]
    assert "1 files could not be judged" in talk
    code, printed, _ = cli(capsys, "trace", str(tmp_path / "in" / "0.wav"), "--run", str(run), "--detector", "knn")
    assert code == 0
    assert len(printed.splitlines()) == 2


def test_windows_go_over_all_speech_of_a_file() -> None:
    rate, samples = 16000, 24000
    speech = np.random.default_rng(0).standard_normal(rate * 4).astype(np.float32) * 0.1
    silence = np.zeros(rate * 10, dtype=np.float32)
    assert seconds_of_speech(silence) == 0
    assert seconds_of_speech(silence[:1]) == 0
    assert seconds_of_speech(speech) == 4
    assert seconds_of_speech(speech * 1e-7) == 0, "below -80 dB there is nothing"
    (first, *_) = windows_of(np.concatenate([silence, speech]), samples)
    assert np.array_equal(first, speech[:samples]), "silence before speech is not judged"
    early = np.concatenate([silence[:4000], speech])
    assert np.array_equal(windows_of(early, samples)[0], early[:samples]), "as the clips of the training begin"
    long = np.concatenate([speech, silence, speech])
    windows = windows_of(long, samples)
    assert len(windows) == 6
    assert all(seconds_of_speech(window) > 0.7 for window in windows)
    assert np.array_equal(windows_of(speech[:8000], samples)[0], np.resize(speech[:8000], samples))
    assert len(windows_of(np.tile(speech, 150), samples)) == 400, "ten minutes, all of them"


def test_files_without_speech_get_no_codec(
    run: Path, results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = np.random.default_rng(0).standard_normal(1600).astype(np.float32) * 0.1
    for name, wave in (("silence", np.zeros(16000)), ("one", np.full(1, 0.5)), ("short", speech)):
        soundfile.write(tmp_path / f"{name}.wav", wave, 16000)
    tracer = Tracer(run, run / "evaluation", "Energy")
    answers = {Path(result.file).stem: result for result in tracer.trace(audio_files([tmp_path]))}
    assert answers["silence"].answer == answers["one"].answer == "no speech"
    assert answers["short"].answer == "too short"
    assert answers["silence"].nearest == ""
    assert answers["silence"].probability is None
    code, printed, _ = cli(capsys, "trace", str(tmp_path / "silence.wav"), "--run", str(run))
    assert code == 0
    assert printed.splitlines()[1].startswith("no speech")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("hidden", 10**12, "model.mel_lcnn.hidden|model.hidden"),
        ("hidden", 10**6, "its config describes|does not fit"),
        ("embedding", 13, "does not fit"),
        ("hidden", -1, "hidden"),
        ("hidden", "many", "hidden"),
        ("samples", 10**12, "samples"),
        ("channels", [10**6] * 9, "its config describes|does not fit"),
    ],
)
def test_a_run_whose_settings_are_not_its_checkpoints_is_one_line(
    run: Path, tmp_path: Path, field: str, value: object, words: str
) -> None:
    shutil.copytree(run, tmp_path / "run")
    document = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    document["model"][field] = value
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(document))
    started = time.monotonic()
    with pytest.raises(CodecfakeError, match=words) as raised:
        load_trained(tmp_path / "run")
    assert len(str(raised.value).splitlines()) == 1
    assert time.monotonic() - started < 10


def test_a_run_on_synthesized_speech_says_so(tmp_path: Path) -> None:
    assert synthesized_speech(tmp_path) == []
    (tmp_path / "provenance.json").write_text(
        json.dumps({"sources": {"a": {"source": "synthesized with espeak-ng"}, "b": {"source": "https://x.org"}}})
    )
    write_speech(tmp_path, tmp_path)
    assert synthesized_speech(tmp_path) == ["a: synthesized with espeak-ng"]


def test_folders_give_their_audio_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("b.opus", "a.wav", "notes.txt"):
        (tmp_path / name).touch()
    found = list(audio_files([tmp_path / "notes.txt", tmp_path]))
    assert [path.name for path in found] == ["notes.txt", "a.wav", "b.opus"]
    said = capsys.readouterr().err
    assert said == f"note: 1 files skipped, .txt is no audio that is decoded, e.g. {tmp_path / 'notes.txt'}\n"


def test_temperature_calibrates() -> None:
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((4000, 3))
    labels = np.array([generator.choice(3, p=np.exp(row) / np.exp(row).sum()) for row in logits])
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.1)
    assert fit_temperature(5 * logits, labels) == pytest.approx(5, abs=0.5)


@pytest.mark.slow
def test_report(dataset: Path, run: Path, results: Results, tmp_path: Path) -> None:
    hostile = tmp_path / "evaluation"
    shutil.copytree(run / "evaluation", hostile)
    text = (hostile / "results.json").read_text().replace('"mel"', '"<script>alert(1)</script>$x$"')
    (hostile / "results.json").write_text(text)
    write_report([hostile], dataset, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    for words in ("Confusion matrices", "ROC and DET", "Detector scores", "Embeddings", "Worst errors", "as printed"):
        assert words in page
    assert page.count("data:image/svg+xml;base64,") >= 14
    assert "http://" not in page
    assert "https://" not in page
    errors = worst_errors(match_to_dataset([run / "evaluation"], dataset), dataset)
    assert page.count("<audio") == len(errors)
    write_report([hostile], dataset, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "r.html").read_bytes()


def test_worst_errors_come_with_their_sound(dataset: Path, run: Path, results: Results) -> None:
    matched = match_to_dataset([run / "evaluation"], dataset)
    wrong = matched.__class__(**{**vars(matched), "predicted": (matched.truth["label"].to_numpy() == 0) * 1})
    errors = worst_errors(wrong, dataset, count=3)
    assert len(errors) == 3
    for error in errors:
        assert error["true"] != error["predicted"]
        assert error["split"] != "train"
        assert error["audio"].startswith("data:audio/flac;base64,ZkxhQ")


def test_wrong_use_is_refused(dataset: Path, run: Path, results: Results, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    foreign = tmp_path / "foreign"
    (foreign / "outputs").mkdir(parents=True)
    shutil.copy(run / "evaluation" / "outputs" / "dev.parquet", foreign / "outputs" / "alm.parquet")
    cases: list[tuple[Any, str]] = [
        (lambda: train(dataset, quick("training.seed=9"), run), "holds a run with other settings"),
        (lambda: train(dataset, quick(), tmp_path), "is not empty and holds no training run"),
        (lambda: train(tmp_path, quick(), tmp_path / "r"), "no dataset folder"),
        (lambda: load_config("assist"), "did you mean aasist"),
        (lambda: quick("training.epoch=3"), "training.epoch: unknown key; did you mean epochs"),
        (lambda: quick("training.epochs=0"), "training.epochs: .*greater than 0, got 0"),
        (lambda: load_trained(tmp_path), "no training run; expected config.yaml"),
        (lambda: evaluate(run, dataset, foreign, "m"), "holds outputs of another dataset"),
        (lambda: Tracer(run, tmp_path, "Energy"), "no outputs of this checkpoint; run benchmark evaluate first"),
        (lambda: Tracer(run, run / "evaluation", "Enrgy"), "did you mean Energy"),
        (lambda: list(audio_files([tmp_path / "none.wav"])), "no such file or folder"),
        (lambda: list(audio_files([run])), "holds no audio files"),
        (lambda: write_report([tmp_path], dataset, tmp_path / "r.html"), "benchmark evaluate or score --out writes it"),
    ]
    for call, words in cases:
        with pytest.raises(BuilderError, match=words) as raised:
            call()
        assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_model_of_other_classes_is_refused(
    dataset: Path, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = shared / "goldens" / "ncst" / "aasist_l_real" / "checkpoint" / "AASIST-L.pth"
    seven = tmp_path / "m.pt"
    torch.save(build_model(AasistConfig(), 7).state_dict(), seven)
    for path, words in [(two, "has 2 outputs; a source-tracing model has 7"), (seven, "has logits of 7 classes")]:
        code, _, talk = cli(capsys, "evaluate", str(path), "--dataset", str(dataset), "--out", str(tmp_path / "e"))
        assert code == 2
        assert talk.startswith("error: ")
        assert words in talk
        assert len(talk.strip().splitlines()) == 1


def test_presets_are_the_published_settings() -> None:
    ours = ["resnet", "resnet_small"]
    assert presets() == ["aasist", "aasist_small", "mel_lcnn", "mel_lcnn_small", *ours, "w2v2_aasist"]
    for name in ("aasist", "mel_lcnn", "w2v2_aasist"):
        config = load_config(name)
        assert config.model.samples == 64600
        assert (config.data.crop, config.data.augment) == ("first", False)
        own = config.training
        assert (own.seed, own.epochs, own.batch_size, own.optimizer, own.patience) == (688, 50, 24, "adam", None)


def test_the_run_folder_says_what_was_trained_on(dataset: Path, run: Path) -> None:
    record = read_record(run)
    assert record.classes == {0: "real", 1: "mimi", 4: "encodec"}
    assert record.dataset in (dataset / "README.md").read_text()
    assert record.config == quick()
