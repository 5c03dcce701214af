"""Codec files: what they refuse, what counts in a key, and datasets made with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import codec_adapters
from codec_adapters.builtin import builtin_catalogue
from codec_adapters.catalogue import Catalogue
from codec_adapters.errors import DocumentError
from codec_adapters.external.codec_file import codec_file_entry, codec_file_text, read_codec_file
from codec_adapters.external.plugins import anchored, with_plugins
from codec_adapters.files.pinned import PinnedFile
from codec_adapters.loading import load_codec
from codecfake_builder.changes.build import build
from codecfake_builder.cli.app import main
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.load import load_recipe
from codecfake_builder.recipe.resolve import Resolved
from tests.conftest import REPOSITORY
from tests.kit import external_codecs
from tests.kit.datasets_for_tests import changed, rows
from tests.kit.external_codecs import COMMAND, codec_file, facts, python_file

DOCUMENT = (REPOSITORY / "docs" / "codec_files.md").read_text(encoding="utf-8")
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"```yaml codec\n(.*?)```", DOCUMENT, re.DOTALL)]


def recipe(folder: Path, corpus: Path, plugins: list[str], variants: list[str], **execution: Any) -> Resolved:
    """A recipe file in ``folder`` that sends VCTK through the codecs of codec files."""
    document = {
        "name": "r",
        "title": "R",
        "corpora": {"vctk": {"kind": "vctk", "root": str(corpus)}},
        "splits": {"train": {"draw": 3, "variants": ["real", *variants]}},
        "plugins": plugins,
        "execution": {"workers": 1, "device": "cpu", **execution},
    }
    (folder / "r.yaml").write_text(yaml.safe_dump(document))
    return load_recipe(str(folder / "r.yaml"), trust=True)


def plugged(plugins: list[str], folder: Path) -> Catalogue:
    """The catalogue with plugins that a recipe in ``folder`` names."""
    return with_plugins(builtin_catalogue(), [anchored(plugin, folder) for plugin in plugins])


def three_codecs(folder: Path) -> list[str]:
    """A script, an exported pair and a command, as plugins of a recipe in ``folder``'s parent."""
    folder.mkdir()
    codec_file(folder, "scripted", external_codecs.torchscript(folder), facts(family="scripted", label=12))
    codec_file(folder, "exported", external_codecs.exported(folder), facts(family="exported", label=13))
    codec_file(folder, "copied", COMMAND, facts(8000, family="copied", label=14, hop=1, codebooks=1, bitrate=256000))
    return [f"codecs/{name}.yaml" for name in ("scripted", "exported", "copied")]


@pytest.mark.slow
def test_a_dataset_of_external_codecs(vctk: Path, tmp_path: Path) -> None:
    plugins = three_codecs(tmp_path / "codecs")
    made = recipe(tmp_path, vctk, plugins, ["scripted", "exported", "copied"], workers=2)
    result = build(made, tmp_path / "d")
    assert result.shards_made == 4
    assert not verify(tmp_path / "d").problems
    clips = rows(tmp_path / "d")
    assert {(row["variant"], row["codec"], row["label"]) for row in clips} == {
        ("real", "real", 0),
        ("scripted", "scripted", 12),
        ("exported", "exported", 13),
        ("copied", "copied", 14),
    }
    by_variant = {
        name: {row["utterance_id"]: row["audio"]["bytes"] for row in clips if row["variant"] == name}
        for name in ("scripted", "exported", "real")
    }
    assert by_variant["scripted"] == by_variant["exported"]  # the same network, by two ways
    assert by_variant["scripted"] != by_variant["real"]
    provenance = yaml.safe_load((tmp_path / "d" / "provenance.json").read_text())
    assert str(tmp_path) not in (tmp_path / "d" / "provenance.json").read_text()
    assert set(provenance["variants"]["exported"]["checkpoint_sha256"]) == {"codec file", "encoder.pt2", "decoder.pt2"}


def test_a_further_codec_or_a_changed_one_computes_its_own_clips_only(vctk: Path, tmp_path: Path) -> None:
    first = codec_file(tmp_path, "one", COMMAND, facts(family="one", label=12))
    build(recipe(tmp_path, vctk, ["one.yaml"], ["one"]), tmp_path / "d")
    half = python_file(tmp_path, "def codec(wav):\n    return wav * 0.5\n")
    codec_file(tmp_path, "two", half, facts(family="one", label=12))
    again = build(recipe(tmp_path, vctk, ["one.yaml", "two.yaml"], ["one", "two"]), tmp_path / "d")
    assert (again.shards_made, again.shards_kept) == (1, 2)
    first.write_text("# a comment\n" + first.read_text())
    quarter = python_file(tmp_path, "def codec(wav):\n    return wav * 0.25\n")
    codec_file(tmp_path, "two", quarter, facts(family="one", label=12))
    again = build(recipe(tmp_path, vctk, ["one.yaml", "two.yaml"], ["one", "two"]), tmp_path / "d")
    assert (again.shards_made, again.shards_kept) == (1, 2)
    assert not verify(tmp_path / "d").problems


def test_a_clip_on_which_a_codec_fails_is_lost_alone(vctk: Path, tmp_path: Path) -> None:
    """Which is one shorter than 14,000 samples; with 0.32 s of context before and after, 24,240."""
    code = (
        "def codec(wav):\n    if wav.shape[1] < 24240:\n        raise ValueError('too short for me')\n    return wav\n"
    )
    codec_file(tmp_path, "picky", python_file(tmp_path, code), facts(family="picky"))
    made = recipe(tmp_path, vctk, ["picky.yaml"], ["picky"])
    relaxed = changed(made, audio=made.recipe.audio.model_copy(update={"max_rejected_share": 1.0}))
    build(relaxed, tmp_path / "d")
    fakes = [row for row in rows(tmp_path / "d") if row["variant"] == "picky"]
    import pyarrow.parquet as pq

    lost = [row for row in pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist() if row["variant"] == "picky"]
    assert len(fakes) + len(lost) == 3
    assert lost
    assert {row["reason"] for row in lost} == {"codec_error"}
    assert all("picky: failed (ValueError: too short for me)" in row["detail"] for row in lost)


def test_files_that_are_not_what_they_were(tmp_path: Path) -> None:
    path = codec_file(tmp_path, "scripted", external_codecs.torchscript(tmp_path), facts())
    script = tmp_path / "codec.pt"
    data = script.read_bytes()
    script.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(DocumentError, match=r"scripted\.yaml: .*codec\.pt: changed since it was added \(sha256"):
        plugged([str(path)], tmp_path)
    script.write_bytes(data + b"x")
    with pytest.raises(DocumentError, match=rf"changed since it was added \({len(data) + 1} bytes, then {len(data)}\)"):
        codec_file_entry(path)
    script.unlink()
    with pytest.raises(DocumentError, match=r"codec\.pt: no such file"):
        codec_file_entry(path)


SEAL = {"sha256": "0" * 64, "size": 1}
BASE: dict[str, Any] = {
    "name": "added",
    "command": {"steps": ["cp {in} {out}"]},
    "codec": facts().model_dump(mode="json"),
}
FILE = {"file": "x.pt", **SEAL}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"torchscript": FILE}, "give exactly one of transformers, .*; found torchscript and command"),
        ({"command": None}, "found none of them"),
        ({"comand": {}}, "comand: unknown key; did you mean command"),
        ({"name": "dac_16khz"}, "name: dac_16khz: a built-in variant has this name"),
        ({"name": "a/b"}, "name: String should match pattern"),
        ({"command": {"steps": []}}, "command.steps: List should have at least 1 item"),
        (
            {"command": {"steps": ["cp {in} {output}"]}},
            "command.steps.0: '{output}': unknown placeholder {output}; kno",
        ),
        ({"command": {"steps": ["cp {in.path} {out}"]}}, "unknown placeholder {in.path}"),
        ({"command": {"steps": ["cp {in} {out}"], "shell": True}}, "command.shell: unknown key; known: steps"),
        ({"codec": {**BASE["codec"], "label": None}}, "codec.label: family added is new: give the next free label"),
        ({"codec": {**BASE["codec"], "hopp": 3}}, "codec.hopp: unknown key; did you mean hop"),
        ({"command": None, "torchscript": {**FILE, "file": "../x.pt"}}, "torchscript.file: '../x.pt': a file is named"),
        ({"command": None, "torchscript": {**FILE, "file": "/x.pt"}}, "torchscript.file: '/x.pt': a file is named"),
        ({"command": None, "torchscript": {**FILE, "sha256": "12"}}, "torchscript.sha256: String should match"),
        ({"command": None, "torchscript": {"file": "x.pt"}}, "torchscript.sha256: missing"),
        ({"command": None, "onnx": {"encoder": FILE}}, "onnx: give either round_trip, or encoder and decoder"),
        ({"command": None, "python": {"name": "x"}}, "python: give either module or file"),
        (
            {"command": None, "transformers": {"repo": "a/b", "files": {"config.json": SEAL}}},
            "needs its commit, all 40",
        ),
        (
            {"command": None, "transformers": {"repo": "a/b", "commit": "main", "files": {"config.json": SEAL}}},
            "transformers.commit: String should match",
        ),
        (
            {"command": None, "transformers": {"folder": "m", "files": {"../config.json": SEAL}}},
            "'../config.json': a file is named within its folder",
        ),
    ],
)
def test_mistakes_in_a_codec_file(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    document = {key: value for key, value in {**BASE, **changes}.items() if value is not None}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(
        DocumentError, match=rf"^{re.escape(str(tmp_path))}/c\.yaml: .*{re.escape(words.split('.*')[-1])}"
    ):
        read_codec_file(tmp_path / "c.yaml")


def test_a_codec_file_is_data(tmp_path: Path, vctk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text(f"!!python/object/apply:pathlib.Path.touch [{tmp_path}/touched]\n")
    with pytest.raises(DocumentError, match=r"c\.yaml: not valid YAML"):
        plugged(["c.yaml"], tmp_path)
    (tmp_path / "c.yaml").write_text("- a list\n")
    with pytest.raises(DocumentError, match=r"c\.yaml: expected a mapping"):
        plugged(["c.yaml"], tmp_path)
    with pytest.raises(DocumentError, match=r"absent\.yaml: cannot be read"):
        plugged(["absent.yaml"], tmp_path)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**BASE, "nonsense": 1}))
    with pytest.raises(RecipeError):
        recipe(tmp_path, vctk, ["c.yaml"], ["added"])
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(tmp_path / "r.yaml")])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "nonsense: unknown key" in said
    assert "Traceback" not in said
    assert not (tmp_path / "touched").exists()


def test_two_files_of_one_name(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(BASE))
    with pytest.raises(DocumentError, match=r"2\.yaml and .*1\.yaml both add added; rename one of them"):
        plugged(["1.yaml", "2.yaml"], tmp_path)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    backend = external_codecs.torchscript(tmp_path)
    path = codec_file(tmp_path, "scripted", backend, facts(), {"strength": 0.5})
    found = read_codec_file(path)
    assert (found.torchscript, found.codec, found.options) == (backend, facts(), {"strength": 0.5})
    keys = [line.partition(":")[0] for line in path.read_text().splitlines() if re.match(r"\w", line)]
    assert keys == ["name", "torchscript", "codec", "options"]
    assert path.read_text().startswith("# A codec for codecfake_builder: list this file under plugins:")
    with pytest.raises(DocumentError, match=r"bad\.yaml: name: String should match"):
        codec_file_text("bad.yaml", "not a name", backend, facts())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(codec_adapters.CheckpointError, match="does not lie in the codec file's folder"):
        PinnedFile.at(tmp_path / "codec.pt", elsewhere)


@pytest.mark.slow
def test_recipes_of_external_codecs_load_without_torch(tmp_path: Path, vctk: Path) -> None:
    import subprocess
    import sys

    recipe(tmp_path, vctk, three_codecs(tmp_path / "codecs"), ["scripted"])
    path = str(tmp_path / "r.yaml")
    code = f"import sys; from codecfake_builder.recipe.load import load_recipe; load_recipe({path!r}, trust=True)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["name"]))
def test_the_examples_of_the_documentation(example: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(example))
    found = read_codec_file(tmp_path / "c.yaml")
    assert found.codec.family == example["codec"]["family"]


def test_the_documentation_shows_every_backend() -> None:
    from codec_adapters.external.codec_file import BACKENDS
    from codec_adapters.external.command_line import PLACEHOLDERS

    assert {key for example in EXAMPLES for key in example} >= set(BACKENDS)
    for backend in BACKENDS:
        assert f"\n## {backend}\n" in DOCUMENT
    for placeholder in PLACEHOLDERS:
        assert f"`{{{placeholder}}}`" in DOCUMENT


def test_codecs_travel_between_processes(tmp_path: Path) -> None:
    import pickle

    for backend in (
        external_codecs.torchscript(tmp_path),
        COMMAND,
        python_file(tmp_path, "def codec(wav): return wav\n"),
    ):
        codec = codec_file_entry(codec_file(tmp_path, "added", backend, facts()))
        again = pickle.loads(pickle.dumps(codec))
        assert again == codec
        assert load_codec(again).resynthesize(torch.zeros(1, 3200)).shape == (1, 3200)
