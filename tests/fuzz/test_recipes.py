"""Recipes and codec files of any content: read, or refused in lines that say where; never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codec_adapters.errors import CodecfakeError
from codec_adapters.external.codec_file import BACKENDS, CodecFile, codec_file_entry
from codecfake_builder.recipe.load import apply_override, load_recipe, packaged_recipes
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.resources import resource_folder
from tests.kit.external_codecs import facts

pytestmark = pytest.mark.slow
MANY = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["~", "..", "/", "a/../../b", "x\0y", "!!python/name:os.system", "1" * 30, "*", "\x1b[2J", "\ud800"]
    )
)
VALUES = st.recursive(
    SCALARS | st.dates() | st.datetimes() | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.integers() | st.booleans(), inner, max_size=3)
    ),
    max_leaves=6,
)
CODEC = {
    "name": "theirs",
    "onnx": {"round_trip": {"file": "model.onnx", "size": 1, "sha256": "0" * 64}},
    "codec": facts(family="theirs").model_dump(mode="json", exclude_unset=True),
}
RECIPES = [
    yaml.safe_load((resource_folder("recipes") / f"{name}.yaml").read_text(encoding="utf-8"))
    for name in packaged_recipes()
]
KEYS = sorted(set(Recipe.model_fields) | set(CodecFile.model_fields) | {"kind", "root", "variants", "share", "file"})


def places(document: Any) -> list[tuple[Any, Any]]:
    """Return every place of a document: what holds it, and its key or index."""
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        items = list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder))
        for key, value in items:
            found.append((holder, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    return found


@st.composite
def changed(draw: st.DrawFn, documents: list[dict[str, Any]]) -> dict[str, Any]:
    """A valid document with one to four of its values replaced, taken out, or added to."""
    document: dict[str, Any] = yaml.safe_load(yaml.safe_dump(draw(st.sampled_from(documents))))
    for _ in range(draw(st.integers(1, 4))):
        spots = places(document)
        if not spots:
            break
        holder, key = spots[draw(st.integers(0, len(spots) - 1))]
        kind = draw(st.sampled_from(["value", "value", "value", "gone", "more"]))
        if kind == "gone":
            del holder[key]
        elif kind == "more" and isinstance(holder, dict):
            holder[draw(st.sampled_from(KEYS) | st.text(max_size=5))] = draw(VALUES)
        else:
            holder[key] = draw(VALUES)
    return document


def written(document: Any, path: Path) -> Path:
    path.write_bytes(yaml.dump(document, allow_unicode=True).encode("utf-8", "surrogatepass"))
    return path


def refused_well(error: CodecfakeError) -> None:
    for line in str(error).split("\n"):
        assert line.strip()
        assert len(line) < 2000
        assert "Traceback" not in line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents")


@MANY
@given(document=changed(RECIPES))
def test_recipes_of_any_content(document: Any, folder: Path) -> None:
    try:
        load_recipe(str(written(document, folder / "r.yaml")))
    except CodecfakeError as error:
        refused_well(error)


@MANY
@given(document=changed([CODEC]))
def test_codec_files_of_any_content(document: Any, folder: Path) -> None:
    try:
        codec_file_entry(written(document, folder / "c.yaml"))
    except CodecfakeError as error:
        refused_well(error)


@MANY
@given(
    backend=st.sampled_from(sorted(BACKENDS)), section=VALUES | st.dictionaries(st.text(max_size=8), VALUES, max_size=4)
)
def test_sections_of_any_content(backend: str, section: Any, folder: Path) -> None:
    document = {key: value for key, value in CODEC.items() if key != "onnx"} | {backend: section}
    try:
        codec_file_entry(written(document, folder / "s.yaml"))
    except CodecfakeError as error:
        refused_well(error)


@MANY
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_files_of_any_bytes(data: bytes, folder: Path) -> None:
    path = folder / "any.yaml"
    path.write_bytes(data)
    for read in (lambda: load_recipe(str(path)), lambda: codec_file_entry(path)):
        try:
            read()
        except CodecfakeError as error:
            refused_well(error)


@MANY
@given(
    key=st.lists(st.sampled_from([*KEYS, "mini", "train", "", "0", "\0"]), min_size=1, max_size=4).map(".".join),
    value=st.text(max_size=20) | st.sampled_from(["!!python/object:os.system {}", "[" * 300, "9" * 5000, "2020-13-01"]),
)
def test_overrides_of_any_content(key: str, value: str) -> None:
    document: dict[str, Any] = {"corpora": {"vctk": {"kind": "vctk"}}, "name": "x"}
    try:
        apply_override(document, f"{key}={value}")
    except CodecfakeError as error:
        refused_well(error)


def test_nothing_was_left_behind(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} <= {"r.yaml", "c.yaml", "s.yaml", "any.yaml"}
