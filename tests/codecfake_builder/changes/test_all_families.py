"""All eleven codec families in one build, through the loading code that official weights take."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import codec_adapters
from codec_adapters.classes import LABELS
from codecfake_builder.dataset.verify import verify
from tests.kit.datasets_for_tests import built, rows, small_recipe

GOLDENS = {
    "speechtokenizer_hubert_avg": "speechtokenizer/a_elu",
    "funcodec_zh_en_nq32ds640": "funcodec/encodec_ds640",
    "funcodec_libritts_gr1nq32ds320": "funcodec/freqcodec_gr1",
    "facodec_v2": "facodec/v2_a",
    "wavtokenizer_small_75tps": "wavtokenizer/a_small_320",
    "academicodec_hifi_16k_320d": "academicodec/hificodec_16k_a",
    "academicodec_encodec_24k_240d": "soundstream_academicodec/encodec_24k_240d_b",
    "audiodec_libritts_v1": "audiodec/libritts_v1_a",
}
"""Variant -> case whose checkpoint, in the official file layout, stands in for the official weights."""


@pytest.mark.slow
def test_every_class_is_built(shared: Path, vctk: Path, aishell3: Path, tiny: dict[str, Path], tmp_path: Path) -> None:
    weights = {variant: shared / "goldens" / case / "checkpoint" for variant, case in GOLDENS.items()}
    weights |= {name: folder for name, folder in tiny.items() if name != "encodec_48khz_6kbps"}
    weights["lyra_v2_6kbps"] = shared / "weights" / "lyra_v2"
    recipe = small_recipe(vctk, aishell3, ["real", *weights], weights)
    result = built(recipe, tmp_path / "d")
    rejected = pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist()
    assert rejected == []
    found = rows(tmp_path / "d")
    assert {row["label"] for row in found} == set(LABELS.values())
    assert len(found) == 20 * (1 + len(weights))
    assert verify(tmp_path / "d").problems == []
    assert set(result.contents.families) == set(LABELS) - {"real"}
    for variant in weights:
        row = next(row for row in found if row["variant"] == variant)
        assert row["codec"] == codec_adapters.spec(variant).family
