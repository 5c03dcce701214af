"""The origin of a clip, and by which view it is fake: every case there is."""

from __future__ import annotations

import pytest

from codecfake_builder.dataset.schema import COLUMNS
from codecfake_builder.origin import ORIGIN_MEANINGS, VIEW_MEANINGS, Origin, View, clip_origin, is_fake, origin_columns

CASES = [
    # codec, alm, imported: origin, fake by synthesis, fake by transmission
    ("real", None, False, "recorded", False, False),
    ("real", None, True, "recorded", False, False),
    ("real", "moshi", True, "recorded", False, False),
    ("encodec", None, False, "resynthesized", True, False),
    ("newcodec", None, False, "resynthesized", True, False),
    ("mimi", "moshi", False, "generated", True, True),
    ("vocoder", None, False, "vocoded", True, True),
    ("vocoder", None, True, "vocoded", True, True),
    ("vocoder", "some_api", True, "vocoded", True, True),
    ("encodec", None, True, "imported", True, False),
    ("encodec", "valle", True, "imported", True, True),
]


@pytest.mark.parametrize(("codec", "alm", "imported", "origin", "synthesis", "transmission"), CASES)
def test_every_case(
    codec: str, alm: str | None, imported: bool, origin: str, synthesis: bool, transmission: bool
) -> None:
    assert clip_origin(codec, alm, imported) == origin
    assert (is_fake(View.SYNTHESIS, codec, alm), is_fake(View.TRANSMISSION, codec, alm)) == (synthesis, transmission)
    assert origin_columns(codec, alm, imported) == {
        "is_fake": synthesis,
        "origin": origin,
        "is_fake_transmission": transmission,
    }


def test_the_columns_say_what_they_hold() -> None:
    names = list(COLUMNS)
    assert names[names.index("is_fake") :][:3] == ["is_fake", "origin", "is_fake_transmission"]
    assert "provenance" not in names
    assert "view synthesis" in COLUMNS["is_fake"][1]
    assert "view transmission" in COLUMNS["is_fake_transmission"][1]
    assert set(ORIGIN_MEANINGS) == set(Origin)
    assert all(origin in COLUMNS["origin"][1] for origin in Origin)
    assert set(VIEW_MEANINGS) == set(View)
