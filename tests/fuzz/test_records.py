"""Damaged records and state files of the builder: they are made anew, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codec_adapters.errors import CodecfakeError
from codecfake_builder.changes.build import build
from codecfake_builder.changes.refusals import refuse_other_dataset
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.checksums import read_checksums
from codecfake_builder.dataset.finishing import damaged_files
from codecfake_builder.dataset.integrity.expected import parse_expected
from codecfake_builder.dataset.integrity.file_hashes import FileHashes
from codecfake_builder.dataset.quality import measure_stoi
from codecfake_builder.dataset.records import intact_record
from codecfake_builder.dataset.saved import load_plan_summary, saved_document
from codecfake_builder.recipe.load import read_recipe
from codecfake_builder.recipe.resolve import Resolved
from tests.kit.datasets_for_tests import small_recipe

pytestmark = pytest.mark.slow
SHARD = "data/train/real-00000.parquet"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A change of a file's bytes: others, a value in its document, cut, or flipped."""
    kind = draw(st.sampled_from(["bytes", "document", "value", "value", "value", "cut", "flip", "flip"]))
    content, value, numbers = (
        draw(st.binary(max_size=60)),
        draw(JSON),
        draw(st.lists(st.integers(0, 10**6), max_size=6)),
    )
    if kind == "bytes":
        return lambda old: content
    if kind == "document":
        return lambda old: json.dumps(value).encode()
    if kind == "cut":
        return lambda old: old[: sum(numbers) % (len(old) + 1)]
    if kind == "flip":
        return lambda old: flipped(old, numbers)
    return lambda old: replaced(old, numbers, value)


def flipped(old: bytes, numbers: list[int]) -> bytes:
    """Bytes with some of them replaced."""
    new = bytearray(old or b"x")
    for number in numbers:
        new[number % len(new)] = number % 251
    return bytes(new)


def replaced(old: bytes, numbers: list[int], value: Any) -> bytes:
    """A JSON document with one value in it, reached by numbers, replaced; other texts are flipped."""
    try:
        document = json.loads(old)
    except ValueError:
        return flipped(old, numbers)
    group = document
    for number in numbers[:-1]:
        keys = list(group) if isinstance(group, dict) else list(range(len(group)))
        if not keys or not isinstance(group[keys[number % len(keys)]], dict | list):
            break
        group = group[keys[number % len(keys)]]
    keys = list(group) if isinstance(group, dict) else list(range(len(group)))
    if not keys:
        return json.dumps(value).encode()
    group[keys[sum(numbers) % len(keys)]] = value
    return json.dumps(document).encode()


@pytest.fixture(scope="module")
def recipe(vctk: Path, aishell3: Path) -> Resolved:
    return small_recipe(vctk, aishell3, ["real"])


@pytest.fixture(scope="module")
def dataset(recipe: Resolved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "d"
    build(recipe, out)
    return out


def hashes_of(dataset: Path) -> object:
    hashes = FileHashes.load(dataset)
    return hashes.of(SHARD), damaged_files(dataset, hashes)


READERS: dict[str, Callable[[Path], object]] = {
    layout.record_of(SHARD): lambda dataset: intact_record(FileHashes.load(dataset), SHARD),
    layout.HASHES: hashes_of,
    layout.FINISHED: hashes_of,
    layout.CHECKSUMS: read_checksums,
    layout.RECIPE: lambda dataset: read_recipe(saved_document(dataset), "recipe"),
    layout.PLAN: load_plan_summary,
    layout.INTELLIGIBILITY: lambda dataset: measure_stoi(dataset, 1),
    layout.PROVENANCE: lambda dataset: parse_expected((dataset / layout.PROVENANCE).read_bytes()),
}


def refusal(reader: Callable[[Path], object], dataset: Path) -> str:
    """What a reader refuses the dataset with, empty where it reads it."""
    try:
        reader(dataset)
    except CodecfakeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", READERS)
def test_what_is_read_is_a_result_or_one_line(name: str, dataset: Path, recipe: Resolved) -> None:
    path = dataset / name
    sound = path.read_bytes() if path.is_file() else b'{"a b": 0.5}'
    summary = load_plan_summary(dataset)

    @settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damage())
    def read(change: Callable[[bytes], bytes]) -> None:
        path.write_bytes(change(sound))
        said = [refusal(READERS[name], dataset)]
        said.append(refusal(lambda folder: refuse_other_dataset(folder, recipe.recipe, summary), dataset))
        assert name == layout.RECIPE or not any("\n" in line for line in said)  # of a recipe a line per problem

    try:
        read()
    finally:
        path.write_bytes(sound)
