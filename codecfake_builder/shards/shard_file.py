"""Write the Parquet file of a shard: one row per clip."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from codec_adapters.classes import REAL
from codec_adapters.spec import CodecSpec
from codecfake_builder import audio
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.dataset.schema import schema
from codecfake_builder.files import replacing
from codecfake_builder.finished_clip import FinishedClip
from codecfake_builder.origin import origin_columns
from codecfake_builder.shards.alm_runner import Spoken
from codecfake_builder.shards.shard import Shard, Utterance

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

ROWS_PER_GROUP = 100
"""Rows per Parquet row group: a random row of a stream costs one group (facts: 100-250 is the good range)."""


def clip_row(
    shard: Shard, utterance: Utterance, made: FinishedClip | Spoken, codec: Adapter | CodecSpec | None
) -> dict[str, Any]:
    """Return one row of the dataset (see ``schema.COLUMNS``).

    Args:
        utterance: the source, or the prompt of an ALM.
        codec: what made the waveform: the codec that was loaded, else what is known of it; ``None`` for real speech and
            clips that exist already.
    """
    spoken = made if isinstance(made, Spoken) else None
    clip = made.clip if isinstance(made, Spoken) else made
    identity = f"{shard.variant}-{utterance.corpus}-{utterance.utterance_id}"
    own, alm = shard.imported or _class_of(codec), shard.variant if spoken else utterance.alm
    return {
        "id": identity,
        "audio": {"bytes": clip.flac, "path": re.sub(r"[^\w.-]", "_", identity) + ".flac"},
        "variant": shard.variant,
        "language": utterance.language,
        "speaker": utterance.speaker,
        "corpus": utterance.corpus,
        "utterance_id": utterance.utterance_id,
        "text": spoken.text if spoken else utterance.text,
        "duration": len(clip.pcm) / audio.RATE,
        "source_sha256": utterance.sha256,
        "audio_sha256": hashlib.sha256(clip.pcm.astype("<i2").tobytes()).hexdigest(),
        "gain": clip.gain,
        "level_gain": clip.level_gain,
        **own.columns(),
        **origin_columns(own.codec, alm, shard.imported is not None),
        "alm": alm,
        "prompt_id": utterance.name if spoken else utterance.prompt_id,
    }


def _class_of(codec: Adapter | CodecSpec | None) -> ClipClass:
    """Return the class of clips that a codec makes, with the properties of the loaded network where one was loaded."""
    if codec is None:
        return ClipClass(REAL, 0)
    spec = codec if isinstance(codec, CodecSpec) else codec.spec
    return ClipClass(
        codec=spec.family,
        label=spec.label,
        bitrate_bps=codec.bitrate,
        frame_rate_hz=codec.frame_rate,
        codebooks=codec.codebooks,
        native_sample_rate=codec.sample_rate,
        **asdict(spec.taxonomy),
    )


def write_shard(path: Path, rows: list[dict[str, Any]]) -> tuple[str, int]:
    """Write a shard whole; return its sha256 and its size in bytes.

    A shard without clips has no file, since ``datasets`` cannot read one without rows: no hash, 0 bytes.
    """
    if not rows:
        path.unlink(missing_ok=True)
        return "", 0
    table = pa.Table.from_pylist(rows, schema=schema(None))
    with replacing(path) as temporary:
        pq.write_table(
            table,
            temporary,
            row_group_size=ROWS_PER_GROUP,
            compression={name: "NONE" if name.startswith("audio.") else "SNAPPY" for name in _leaves(table.schema)},
            use_dictionary=[name for name in _leaves(table.schema) if not name.startswith("audio.")],
            write_page_index=True,
        )
        with temporary.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = temporary.stat().st_size
    return digest, size


def _leaves(arrow: pa.Schema) -> list[str]:
    """Return the Parquet column paths of a schema whose only nested column is the audio."""
    leaves = []
    for column in arrow:
        if pa.types.is_struct(column.type):
            leaves += [f"{column.name}.{inner.name}" for inner in column.type]
        else:
            leaves.append(column.name)
    return leaves
