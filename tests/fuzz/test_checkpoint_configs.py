"""Configurations of checkpoints with anything in them: a network that fits its weights, or one line."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import codec_adapters
from codec_adapters import alm
from tests.kit.on_demand import OnDemand
from tools.small_networks.alms import ALMS, small_options
from tools.small_networks.checkpoints import small_checkpoint

CONFIGS = {
    "academicodec_hifi_16k_320d": "*.json",
    "audiodec_libritts_v1": "config.yml",
    "dac_16khz": "config.json",
    "encodec_24khz_6kbps": "config.json",
    "encodec_48khz_6kbps": "config.json",
    "funcodec_libritts_gr8nq32ds320": "config.yaml",
    "funcodec_zh_en_nq32ds640": "config.yaml",
    "mimi_8codebooks": "config.json",
    "snac_24khz": "config.json",
    "snac_32khz": "config.json",
    "speechtokenizer_hubert_avg": "config.json",
    "wavtokenizer_small_75tps": "*.yaml",
}
"""Variant -> its config file, for every family that has one."""
MEMORY = 3 * 2**29
"""Bytes that a refusal may take, far more than these small networks."""
NUMBERS = (0, -1, 1, 2, 3, 7, 64, 10**6, 2**24, 2**24 + 1, 2**31, 10**9, 10**12, 2**63, 10**400, -(10**12))
ODD: tuple[Any, ...] = (
    *NUMBERS,
    0.5,
    -0.5,
    1e9,
    1e300,
    float("nan"),
    float("inf"),
    True,
    False,
    None,
    "",
    "1024",
    "x" * 1000,
    [],
    {},
    [[]],
)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    def made(name: str) -> Path:
        try:
            found = small_checkpoint(name, tmp_path_factory.mktemp(name))
        except FileNotFoundError as error:
            pytest.skip(str(error))
        return Path(shutil.copytree(found, tmp_path_factory.mktemp(name) / "copy", copy_function=shutil.copyfile))

    return OnDemand(made)


def read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def write(path: Path, document: Any) -> None:
    text = json.dumps(document) if path.suffix == ".json" else yaml.safe_dump(document)
    path.write_text(text, encoding="utf-8")


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value of a document stands."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield (*at, key)
        yield from places(value, (*at, key))


def changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return copy


def loaded(load: Callable[[], object]) -> object:
    """What was loaded, or the one line that refuses it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        found = load()
    except (codec_adapters.CheckpointError, codec_adapters.OptionError) as error:
        found = str(error)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY
    return found


def changed_by(data: st.DataObject, path: Path) -> Any:
    """The document in a file with one or two of its values changed or taken out."""
    document = read(path)
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(sorted(places(document), key=str)))
        value = data.draw(st.sampled_from((*ODD, [1] * 5000, [10**12], [2] * 40, ...)) | st.integers(-9, 99))
        document = changed(document, place, value)
        if not document:
            break
    return document


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_changed_config_is_a_network_or_one_line(checkpoints: dict[str, Path], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(CONFIGS)))
    folder = checkpoints[name]
    path = data.draw(st.sampled_from(sorted(folder.rglob(CONFIGS[name]))))
    original = path.read_bytes()
    try:
        write(path, changed_by(data, path))
        found = loaded(lambda: codec_adapters.load(name, checkpoint=folder))
    finally:
        path.write_bytes(original)
    assert not isinstance(found, str) or "\n" not in found


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_changed_config_of_a_language_model_is_a_network_or_one_line(
    tiny: dict[str, Path], tiny_alms: dict[str, Path], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(set(ALMS) - {"valle"})))
    folder = tiny_alms[name]
    files = [path for path in folder.rglob("*config.*") if "generation" not in path.name]
    path = data.draw(st.sampled_from(sorted([*files, *folder.glob("token_layout.json")])))
    original = path.read_bytes()
    codec = tiny[alm.spec(name).codec_variant]
    try:
        write(path, changed_by(data, path))
        found = loaded(lambda: alm.load(name, folder, codec, options=small_options(name)))
    finally:
        path.write_bytes(original)
    assert not isinstance(found, str) or "\n" not in found
