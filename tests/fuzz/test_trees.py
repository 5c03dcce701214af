"""Folder trees of any names and links: files that an index can hold, each once, or one line of an error of ours."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.corpora import (
    Aishell3Config,
    CorpusConfig,
    FolderConfig,
    ImportedConfig,
    InTheWildConfig,
    NcssdConfig,
    StCodecfakeConfig,
    VctkConfig,
)
from codecfake_builder.corpora.index import SCHEMA
from codecfake_builder.errors import BuilderError

CATALOGUE = builtin_catalogue()
PARTS = (
    *(b"wav48", b"p225", b"train", b"wav", b"SSB0005", b"ALM", b"moshi", b"mimi", b"R-EN_0_0_d10"),
    *(b"caf\xe9", b"..x", b"a\nb"),
)
NAMES = (
    *(b"p225_001.wav", b"SSB00050001.WAV", b"x.flac", b".wav", b"._x.wav"),
    *(b"\xff.wav", b"e\xcc\x81.wav", b"\x1b[2J.mp3"),
)
names = st.sampled_from(PARTS) | st.binary(min_size=1, max_size=6).filter(lambda name: not set(name) & {0, 47})
paths = st.tuples(st.lists(names, max_size=3), st.sampled_from(NAMES)).map(lambda path: b"/".join([*path[0], path[1]]))
links = st.tuples(
    st.lists(names, min_size=1, max_size=3).map(b"/".join), st.sampled_from([".", "..", "/", "wav48", "no"])
)
CONFIGS: list[CorpusConfig] = [
    FolderConfig(kind="folder"),
    FolderConfig(kind="folder", pattern="(?P<speaker>[^/]+)/(?P<utterance>[^/]+)$"),
    ImportedConfig(kind="imported", codec="mimi"),
    ImportedConfig(kind="imported"),
    VctkConfig(kind="vctk"),
    Aishell3Config(kind="aishell3"),
    NcssdConfig(kind="ncssd"),
    InTheWildConfig(kind="in_the_wild"),
    StCodecfakeConfig(kind="st_codecfake", part="alm"),
]


def make(root: Path, files: list[bytes], linked: list[tuple[bytes, str]]) -> None:
    for path, target in [*((path, None) for path in files), *linked]:
        place = root / os.fsdecode(path)
        if {".", ".."} & set(os.fsdecode(path).split("/")) or not Path(os.path.realpath(place)).is_relative_to(root):
            continue
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if target is None:
                place.touch()
            else:
                place.symlink_to(target)
        except OSError:  # a file where the other path has a folder, or through a link to nothing
            continue


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False)
@given(st.lists(paths, max_size=6), st.lists(links, max_size=2))
def test_trees_of_any_names(tmp_path: Path, files: list[bytes], linked: list[tuple[bytes, str]]) -> None:
    root = tmp_path.resolve() / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    make(root, files, linked)
    for config in CONFIGS:
        try:
            found = config.model_copy(update={"root": root}).wanted_files(CATALOGUE)
        except BuilderError as error:
            _explained(error)
            continue
        columns = [(f.utterance_id, f.path, f.speaker, f.language, f.detail) for f in found]
        kinds = ("utterance_id", "path", "speaker", "language", "detail")
        pa.Table.from_pylist([dict(zip(kinds, row, strict=True)) for row in columns], schema=SCHEMA)
        assert all(f.path.isprintable() and f.utterance_id for f in found)
        assert len({f.path for f in found if f.reason is None}) == len([f for f in found if f.reason is None])


def _explained(error: BuilderError) -> None:
    assert len(str(error).split("\n")) == 1
    str(error).encode("utf-8")
