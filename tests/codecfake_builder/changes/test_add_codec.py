"""``add-codec``: every way in, with a real artefact of each; codecs that misbehave are not added."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
import yaml

from codecfake_builder.changes.build import build
from codecfake_builder.changes.remove_codec import remove_codec
from codecfake_builder.cli.app import main
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.verify import verify
from codecfake_builder.recipe.load import load_recipe
from tests.conftest import REPOSITORY
from tests.kit import speaking_codecs
from tests.kit.datasets_for_tests import files, small_recipe
from tests.kit.marks import slow_unless
from tests.kit.synthetic import write_wave

MINI_WEIGHTS = REPOSITORY / "recipes" / "mini" / "weights"
EVERY_WAY: dict[str, Callable[[Path], list[str]]] = {
    "torchscript": speaking_codecs.torchscript,
    "exported": speaking_codecs.exported,
    "onnx": speaking_codecs.onnx,
    "python": speaking_codecs.python,
    "transformers": lambda folder: ["--transformers", str(MINI_WEIGHTS / "encodec_24khz_6kbps")],
}
SLOW_WAYS = {"command": speaking_codecs.command, "worker": speaking_codecs.worker}
"""A process for each clip, and an environment that is made first."""


@pytest.fixture(scope="module")
def recipe(vctk: Path, aishell3: Path, tiny: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe file with ``real`` and DAC, and comments."""
    folder = tmp_path_factory.mktemp("add")
    document = small_recipe(vctk, aishell3, ["real", "dac_16khz"], {"dac_16khz": tiny["dac_16khz"]})
    path = folder / "recipe.yaml"
    path.write_text("# my recipe\n" + yaml.safe_dump(document.recipe.model_dump(mode="json"), sort_keys=False))
    return path


@pytest.fixture(scope="module")
def built(recipe: Path) -> Path:
    """The recipe's dataset; not to be changed."""
    build(load_recipe(str(recipe)), recipe.parent / "built")
    return recipe.parent / "built"


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(built, tmp_path / "dataset"))


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def add(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process; exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["add-codec", *arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def inodes(dataset: Path) -> dict[str, int]:
    """Shards by name, and which file each is."""
    shards = (dataset / "data").rglob("*.parquet")
    return {path.relative_to(dataset).as_posix(): path.stat().st_ino for path in shards}


def check_extension(add: Run, dataset: Path, name: str, arguments: list[str]) -> str:
    before = inodes(dataset)
    code, printed, errors = add(name, *arguments, "--into", str(dataset), "--split", "eval_id", "--quick")
    assert code == 0, printed + errors
    made = {shard for shard, inode in inodes(dataset).items() if before.get(shard) != inode}
    assert made
    assert all(shard.startswith(f"data/eval_id/{name}-") for shard in made)
    assert f"{len(made)} shards made, {len(before)} kept" in printed
    assert verify(dataset).problems == []
    rows = [row for shard in made for row in pq.read_table(dataset / shard, columns=["label", "codec"]).to_pylist()]
    assert {(row["label"], row["codec"]) for row in rows} == {(12, name)}
    return printed


@pytest.mark.parametrize("way", slow_unless(lambda way: way == "torchscript", EVERY_WAY))
def test_every_way_into_a_finished_dataset(way: str, add: Run, dataset: Path, tmp_path: Path) -> None:
    if way == "onnx":
        pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    printed = check_extension(add, dataset, f"new_{way}", EVERY_WAY[way](tmp_path))
    assert "measured" in printed
    names = datasets.load_dataset(str(dataset), split="eval_id", cache_dir=str(tmp_path / "hf")).features["label"].names
    assert names[12:] == [f"new_{way}"]


@pytest.mark.slow
@pytest.mark.parametrize("way", SLOW_WAYS)
def test_ways_that_run_elsewhere(way: str, add: Run, dataset: Path, tmp_path: Path) -> None:
    if way == "worker":
        pytest.importorskip("uv", reason="the extra isolated is not installed")
    check_extension(add, dataset, f"new_{way}", SLOW_WAYS[way](tmp_path))


def test_what_is_measured_and_what_is_written(add: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed, _ = add("mulaw", *speaking_codecs.torchscript(tmp_path), "--quick", "--weights-licence", "CC0-1.0")
    assert code == 0
    document = yaml.safe_load((tmp_path / "codecs" / "mulaw" / "codec.yaml").read_text())
    codec = document["codec"]
    assert (codec["hop"], codec["codebooks"], codec["bitrate"], codec["delay_samples"]) == (4, 4, 128000, 0)
    assert (codec["tail_local"], codec["taxonomy"]["quantizer"], codec["label"]) == (True, "multi", 12)
    assert codec["weights_licence"] == "CC0-1.0"
    assert "largest code of the bundled speech" in printed
    assert [path.name for path in sorted((tmp_path / "codecs").iterdir())] == ["mulaw"]


def test_a_delay_is_measured_and_taken_out(add: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed, _ = add("late", *speaking_codecs.python(tmp_path, "Late"), "--quick")
    assert code == 0, printed
    assert yaml.safe_load((tmp_path / "codecs" / "late" / "codec.yaml").read_text())["codec"]["delay_samples"] == 3


VOCODER = """
import torch

def vocoder(wav):
    \"\"\"Keeps magnitudes only, and comes 40 ms late.\"\"\"
    window = torch.hann_window(400)
    magnitudes = torch.stft(wav, 400, 100, window=window, return_complex=True).abs()
    phases = 6.2832 * torch.rand(magnitudes.shape[1:], generator=torch.Generator().manual_seed(1))
    made = torch.istft(torch.polar(magnitudes, phases.expand_as(magnitudes)), 400, 100, window=window)
    return torch.nn.functional.pad(made, (640, wav.shape[1] - made.shape[1]))[:, : wav.shape[1]]
"""


@pytest.mark.slow
def test_a_delay_that_is_only_estimated_is_called_so(add: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(VOCODER)
    facts = ["--sample-rate", "16000", "--hop", "1", "--codebooks", "1", "--bitrate", "4000", "--quantizer", "multi"]
    code, printed, errors = add("p25", "--python", "mine.py:vocoder", *facts, "--quick")
    assert code == 0, printed + errors
    text = (tmp_path / "codecs" / "p25" / "codec.yaml").read_text()
    assert abs(yaml.safe_load(text)["codec"]["delay_samples"] - 640) <= 160
    assert re.search(r"delay_samples: \d+ # estimated, \+-10 ms\n", text)
    assert re.search(r"delay_samples +\d+ +estimated, \+-10 ms\n", printed)


@pytest.mark.slow
def test_no_delay_is_written_without_a_word(add: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed, _ = add("noise", *speaking_codecs.python(tmp_path, "Noise"), "--quick", "--force")
    assert code == 0, printed
    assert re.search(r"delay_samples +0 +assumed without evidence\n", printed)
    assert "give --delay-samples" in printed
    assert "# assumed without evidence\n" in (tmp_path / "codecs" / "noise" / "codec.yaml").read_text()


@pytest.mark.slow
def test_on_a_terminal_what_cannot_be_known_is_asked_for(
    add: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def eight_bits(wav):\n    return (wav * 127).round() / 127\n")
    answers: dict[str, list[object]] = {
        "sample_rate": [16000],
        "hop": [1],
        "codebooks": [1],
        "bitrate": [128000.0],
        "quantizer": ["no", "scalar"],
    }
    asked: list[str] = []

    def prompt(text: str, **how: object) -> object:
        asked.append(text.partition(":")[0])
        return answers[asked[-1]].pop(0)

    monkeypatch.setattr("typer.prompt", prompt)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    code, printed, _ = add("asked", "--python", "mine.py:eight_bits", "--quick")
    assert code == 0, printed
    assert asked == ["sample_rate", "hop", "codebooks", "bitrate", "quantizer", "quantizer"]
    codec = yaml.safe_load((tmp_path / "codecs" / "asked" / "codec.yaml").read_text())["codec"]
    assert (codec["sample_rate"], codec["taxonomy"]["quantizer"]) == (16000, "scalar")


@pytest.mark.parametrize(
    ("name", "given", "lines"),
    [
        ("Noise", [], ["silence", "STOI"]),
        ("Late", ["--delay-samples", "2"], ["delay"]),
        ("Codec", ["--codebooks", "2"], ["spec", "codes"]),
    ],
)
def test_what_fails_is_not_added(
    name: str, given: list[str], lines: list[str], add: Run, dataset: Path, tmp_path: Path
) -> None:
    before = files(dataset)
    arguments = ["bad", *speaking_codecs.python(tmp_path, name), *given, "--into", str(dataset), "--split", "eval_id"]
    code, printed, _ = add(*arguments, "--quick")
    assert code == 1
    *_, last = printed.strip().splitlines()
    assert last.startswith("FAILED: ")
    assert last.endswith("bad is not added (--force adds it all the same)")
    assert last.removeprefix("FAILED: ").partition(";")[0].split(", ") == lines
    assert files(dataset) == before
    assert not (dataset / ".build" / "codecs").exists()


@pytest.mark.slow
def test_force_adds_it_all_the_same(add: Run, dataset: Path, tmp_path: Path) -> None:
    given = [*speaking_codecs.python(tmp_path, "Late"), "--delay-samples", "2", "--force", "--quick"]
    code, printed, _ = add("forced", *given, "--into", str(dataset), "--split", "eval_id")
    assert code == 0
    assert "added though delay failed" in printed
    assert verify(dataset).problems == []


@pytest.mark.slow
def test_a_recipe_file_takes_it_in_and_keeps_its_comments(add: Run, recipe: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    shutil.copy(recipe, mine)
    arguments = ["taken", *speaking_codecs.python(tmp_path), "--recipe", str(mine), "--split", "dev", "--quick"]
    code, printed, _ = add(*arguments)
    assert code == 0, printed
    text = mine.read_text()
    assert text.startswith("# my recipe\n")
    document = yaml.safe_load(text)
    assert document["plugins"] == ["codecs/taken/codec.yaml"]
    assert document["splits"]["dev"]["variants"] == ["real", "dac_16khz", "taken"]
    assert build(load_recipe(str(mine)), tmp_path / "out").shards_made
    code, _, errors = add(*arguments)
    assert code == 2
    assert "taken: a codec of this name is there already" in errors.splitlines()[-1]


@pytest.mark.slow
def test_clips_that_exist_already(add: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(2):
        write_wave(clips / f"clip{number}.wav", 1.0, 16000, number)
    code, printed, errors = add("secretcodec", "--imported", str(clips), "--into", str(dataset))
    assert code == 0, printed + errors
    rows = pq.read_table(dataset / "metadata" / "ood_secretcodec.parquet").to_pylist()
    assert {(row["label"], row["codec"], row["origin"]) for row in rows} == {(12, "secretcodec", "imported")}
    assert verify(dataset).problems == []
    document = yaml.safe_load((dataset / layout.RECIPE).read_text())
    assert document["classes"] == {"secretcodec": 12}
    code, printed, errors = add("after", *speaking_codecs.python(tmp_path), "--into", str(dataset), "--split", "dev")
    assert code == 0, printed + errors
    assert next((dataset / "data" / "dev").glob("after-*")).is_file()
    remove_codec(dataset, "after")
    assert verify(dataset).problems == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x"], "give exactly one of --transformers, --onnx"),
        (["x", "--python", "a:b", "--torchscript", "c.pt"], "found --torchscript and --python"),
        (["x y", "--python", "a:b"], "x y: a codec's name has letters"),
        (["dac_16khz", "--python", "a:b"], "dac_16khz: a codec of this name is there already"),
        (["x", "--torchscript", "none.pt"], "none.pt: no such file"),
        (["x", "second.onnx", "--torchscript", "none.pt"], "only --onnx and --exported take a second file"),
        (["x", "--transformers", "nothing/here/at/all"], "neither a folder nor a hub repository"),
        (["x", "--python", "mine.py"], "expected module:Class, or file.py:Class"),
        (["x", "--python", "mine.py:Codec"], "give --sample-rate (rate that the codec works at, Hz)"),
        (["x", "--python", "mine.py:Absent", "--sample-rate", "16000"], "Absent"),
        (["x", "--python", "mine.py:Codec", "--sample-rate", "16000", "--into", "nowhere"], "no finished dataset"),
        (["x", "--python", "mine.py:Codec", "--sample-rate", "1"], "--sample-rate: "),
        (
            ["vocoded", "--python", "mine.py:Codec", "--sample-rate", "16000"],
            "codec family vocoded: load_dataset has a",
        ),
        (["x", "--python", "mine.py:Codec", "--family", "encodec", "--label", "7"], "--label 7: encodec gets label 4"),
        (["x", "--python", "mine.py:Codec", "--recipe", "mini"], "mini: no such recipe file; of a packaged recipe"),
        (["x", "--imported", "."], "give --recipe FILE or --into DIR"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], words: str, add: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(speaking_codecs.PYTHON)
    code, printed, errors = add(*arguments)
    assert code == 2, printed
    assert words in errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert not (tmp_path / "codecs").exists()


def test_a_split_that_is_not_there(add: Run, dataset: Path, tmp_path: Path) -> None:
    given = [*speaking_codecs.python(tmp_path), "--into", str(dataset)]
    code, _, errors = add("x", *given, "--split", "eval_idd")
    assert (code, "did you mean eval_id?" in errors) == (2, True)
    code, _, errors = add("x", *given, "--label", "14", "--split", "dev")
    assert (code, "--label 14: x gets label 12 here" in errors) == (2, True)
    code, _, errors = add("x", *given)  # no eval_ood in this recipe
    assert (code, "--split: say which splits get the codec" in errors) == (2, True)


@pytest.mark.slow
def test_killed_at_any_moment(dataset: Path, built: Path, tmp_path: Path) -> None:
    """SIGKILL while a codec is measured, its shards are made, or the dataset changes: the old one or the new one."""
    arguments = speaking_codecs.python(tmp_path)
    command = [sys.executable, "-m", "codecfake_builder", "add-codec", "late_comer", *arguments, "--quick"]
    command += ["--into", str(dataset), "--split", "eval_id"]
    old, moment = files(built), 2.0
    while True:
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        started = time.monotonic()
        while process.poll() is None and time.monotonic() - started < moment:
            time.sleep(0.005)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert verify(dataset).problems == []
        if files(dataset) != old:
            break
        moment *= 1.5
    final = subprocess.run(command, capture_output=True, text=True)
    there = "a codec of this name is there already" in final.stderr  # the last kill came after the change
    assert final.returncode == 0 or there, final.stderr
    assert verify(dataset).problems == []
    assert any((dataset / "data" / "eval_id").glob("late_comer-*.parquet"))


@pytest.mark.slow
def test_a_skeleton_in_a_checkout(tmp_path: Path) -> None:
    """The files of a new family: the tree loads, knows the variant, and says what is left to write."""
    checkout = tmp_path / "checkout"
    for part in ("codec_adapters", "manifests", "codecfake_builder", "recipes"):
        shutil.copytree(REPOSITORY / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__", "*.flac"))
    (checkout / "tests" / "codec_adapters" / "families").mkdir(parents=True)
    shutil.copy(REPOSITORY / "pyproject.toml", checkout)
    command = [sys.executable, "-m", "codecfake_builder", "add-codec", "newcodec_16khz", "--builtin"]
    command += ["--family", "newcodec", "--repo", "somebody/newcodec", "--sample-rate", "16000", "--hop", "320"]
    command += ["--codebooks", "8", "--bitrate", "4000", "--quantizer", "multi"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(arguments, cwd=checkout, env=environment, capture_output=True, text=True)

    made = run(*command)
    assert made.returncode == 0, made.stderr
    written = [line.split()[1] for line in made.stdout.splitlines() if line.startswith("written")]
    assert len(written) == 3
    sources = [path for path in written if path.endswith(".py")]
    for check in (["check"], ["format", "--check"]):
        linted = run(sys.executable, "-m", "ruff", *check, "--config", "pyproject.toml", *sources)
        assert linted.returncode == 0, linted.stdout
    listed = run(sys.executable, "-m", "codecfake_builder", "codecs")
    (line,) = [line for line in listed.stdout.splitlines() if line.startswith("newcodec_16khz")]
    assert line.split()[1:8] == ["12", "newcodec", "16000", "50", "8", "4000", "multi"]
    code = "import codec_adapters; codec_adapters.load('newcodec_16khz', '.')"
    (checkout / "config.json").write_text("{}")
    loading = run(sys.executable, "-c", code)
    assert "newcodec: load the network here" in loading.stderr
    again = run(*command)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "is built in; add a variant to codec_adapters/families/variants/newcodec.yaml" in again.stderr
