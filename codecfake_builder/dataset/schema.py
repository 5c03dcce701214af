"""Define the columns of a dataset, once: shards, card, Croissant and exports are generated from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import datasets
import pyarrow as pa

from codec_adapters.classes import LABELS
from codecfake_builder.audio import RATE
from codecfake_builder.errors import DatasetError, RecipeError
from codecfake_builder.files import sha256_text
from codecfake_builder.origin import ORIGIN_MEANINGS, VIEW_MEANINGS, View

COLUMNS: dict[str, tuple[str, str]] = {
    "id": ("string", "unique within the dataset: variant, corpus, utterance"),
    "audio": ("audio", "FLAC, 16 bit, mono, 16 kHz"),
    "label": ("label", "class of the codec family; 0 is real, -1 a fake that no codec made"),
    "is_fake": ("bool", f"view synthesis, {VIEW_MEANINGS[View.SYNTHESIS]}"),
    "origin": ("string", "; ".join(f"{origin}: {meaning}" for origin, meaning in ORIGIN_MEANINGS.items())),
    "is_fake_transmission": ("bool", f"view transmission, {VIEW_MEANINGS[View.TRANSMISSION]}"),
    "codec": ("string", "codec family; real; or vocoder for fakes that no codec made"),
    "variant": ("string", "concrete setting of the codec, the audio language model, or real"),
    "language": ("string", "language of the utterance, or of the prompt"),
    "speaker": ("string", "speaker of the utterance, or of the prompt; unique within the corpus"),
    "corpus": ("string", "corpus of the source utterance, or of the prompt"),
    "utterance_id": ("string", "source utterance, or prompt; unique within the corpus"),
    "text": ("string", "transcript, where the corpus has one; of a language model's clip only what the model wrote"),
    "duration": (
        "float64",
        "seconds, after trimming; equal for all clips made from an utterance; a language model's and an imported "
        "clip's own",
    ),
    "source_sha256": ("string", "sha256 of the source file"),
    "audio_sha256": ("string", "sha256 of the clip's samples (16-bit little-endian PCM)"),
    "gain": ("float64", "factor that brought peaks over full scale down to it, of source times clip; 1 elsewhere"),
    "level_gain": ("float64", "factor that gave a re-synthesized clip the level of its source; 1 elsewhere"),
    "bitrate_bps": ("float64", "bits per second of the codec"),
    "frame_rate_hz": ("float64", "frames per second of the codec's finest codebook"),
    "codebooks": ("int32", "codebooks in use"),
    "native_sample_rate": ("int32", "rate the codec works at, Hz"),
    "quantizer": ("string", "taxonomy: multi, single or scalar"),
    "auxiliary": ("string", "taxonomy: none, semantic or disentangled"),
    "decoder_domain": ("string", "taxonomy: time or frequency"),
    "alm": ("string", "audio language model that made the clip, if one did"),
    "prompt_id": ("string", "prompt the audio language model was given: corpus/utterance_id"),
}
"""Columns in order: kind, and what they hold."""
_LATEST = {"origin", "level_gain"}
"""Columns that datasets of earlier versions lack."""
COLUMNS_SHA256 = sha256_text(json.dumps([(name, kind) for name, (kind, _) in COLUMNS.items()]))
"""Says which columns a shard has; a part of its content key, so that shards of other columns are made again."""


def class_names(extra: dict[str, int] | None = None, retired: Mapping[int, str] | None = None) -> list[str]:
    """Return the class names in the order of their labels.

    Args:
        extra: labels of families of plugins (ids from 12 on, without gaps).
        retired: names of classes whose codecs were removed; they keep their ids, so that those after them do too.

    Raises:
        RecipeError: a gap, or a label that is taken or retired.
    """
    labels = {**LABELS, **(extra or {})}
    for label, name in (retired or {}).items():
        clash = next((family for family, taken in labels.items() if (family == name) != (taken == label)), None)
        if clash is not None:
            raise RecipeError(
                f"retired_labels.{label}: {name} had this label, and {clash} with {labels[clash]} clashes with it; a "
                "new family gets the next free label, an old one its own"
            )
        labels[name] = label
    names = sorted(labels, key=labels.__getitem__)
    if [labels[name] for name in names] != list(range(len(names))):
        added = ", ".join(f"{name} {label}" for name, label in labels.items() if name not in LABELS)
        raise RecipeError(f"plugins: labels of new families must run on from {len(LABELS)} without gaps; got {added}")
    return names


def features(classes: tuple[str, ...] | None, audio: bool = True) -> datasets.Features:
    """Return a dataset's features, with or without the audio column; without ``classes``, labels are plain numbers."""
    label = datasets.Value("int64") if classes is None else datasets.ClassLabel(names=list(classes))
    kinds = {"audio": datasets.Audio(sampling_rate=RATE), "label": label}
    return datasets.Features(
        {
            name: kinds.get(kind) or datasets.Value(kind)
            for name, (kind, _) in COLUMNS.items()
            if audio or name != "audio"
        }
    )


@cache
def schema(classes: tuple[str, ...] | None, audio: bool = True) -> pa.Schema:
    """Return the Arrow schema of a file of rows, with the feature description that ``datasets`` reads.

    A shard has the schema without ``classes``, so that its bytes do not depend on which other codecs a dataset has.
    Whoever opens a shard alone sees the labels as numbers (``codec`` names the class); ``load_dataset`` on the folder
    of the dataset takes the names from the card. ``metadata/<split>.parquet`` has them in its own schema.
    """
    arrow: pa.Schema = features(classes, audio).arrow_schema
    return arrow


def refuse_earlier_columns(names: Iterable[str], where: object) -> None:
    """Refuse a dataset of an earlier version of the builder, which lacks columns that this one has.

    Args:
        names: of the columns that there are.
        where: name of the dataset or file for the message.

    Raises:
        DatasetError: one of the latest columns is not among them, but ``is_fake`` is.
    """
    present = set(names)
    if "is_fake" in present and not present >= _LATEST:
        lacking = ", ".join(name for name in COLUMNS if name not in present and name != "audio")
        raise DatasetError(f"{where}: was built by an earlier version, without {lacking}; build the dataset again")


def yaml_features(classes: tuple[str, ...], audio: bool = True) -> list[dict[str, Any]]:
    """Return the features as the YAML head of a dataset card spells them."""
    spelled: list[dict[str, Any]] = []
    for name, (kind, _) in COLUMNS.items():
        if kind == "label":
            names = {str(number): label for number, label in enumerate(classes)}
            spelled.append({"name": name, "dtype": {"class_label": {"names": names}}})
        elif kind == "audio":
            if audio:
                spelled.append({"name": name, "dtype": {"audio": {"sampling_rate": RATE}}})
        else:
            spelled.append({"name": name, "dtype": kind})
    return spelled
