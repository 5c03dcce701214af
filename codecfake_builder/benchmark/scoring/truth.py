"""What the clips really are: from a dataset folder, or from label files and the names of released files.

A truth is a table with a row per clip: ``id``, ``split``, ``label`` (class id), ``group`` (the column its clips are
counted in), ``speaker`` (``corpus/speaker``, the unit of the bootstrap).
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import datasets
import pandas as pd
import pyarrow.parquet as pq

from codec_adapters.classes import LABELS, REAL
from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.benchmark.outputs import TRAIN
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.schema import class_names
from codecfake_builder.errors import BenchmarkError, DatasetError

COLUMNS = ["id", "split", "label", "group", "speaker"]
GROUPED_BY = {"unseen_real": "corpus", "id_config": "variant", "id_source": "variant", "alm": "alm"}
"""The column of the dataset whose values are the columns of a split's table; elsewhere it is the codec."""
_VCTK = re.compile(r"(p\d{3}|s5)_\d{3}$")
_AISHELL3 = re.compile(r"(SSB\d{4})\d{4}$")
_NCSSD = re.compile(r"(R-(?:EN|ZH))_.*_(d\d+)$")


def dataset_classes(dataset: Path) -> list[str]:
    """Class names of a dataset folder, by id.

    Raises:
        DatasetError: the folder is no finished dataset.
    """
    return list(_features(dataset)["label"].names)


def dataset_splits(dataset: Path) -> list[str]:
    """Splits of a dataset folder, by name.

    Raises:
        DatasetError: the folder is no finished dataset.
    """
    splits = [path.stem for path in layout.metadata_files(dataset)]
    if not splits:
        raise DatasetError(
            f"{dataset}: no dataset folder; expected {layout.metadata('<split>')}, as the builder writes it"
        )
    return splits


def _features(dataset: Path) -> datasets.Features:
    path = dataset / layout.metadata(dataset_splits(dataset)[0])
    try:
        features = datasets.Features.from_arrow_schema(pq.read_schema(path))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
    if not isinstance(features.get("label"), datasets.ClassLabel):
        raise DatasetError(f"{path}: has no label column with class names, as the builder writes it")
    return features


def dataset_truth(dataset: Path, splits: list[str] | None = None) -> pd.DataFrame:
    """The truth of a dataset folder, all splits or some.

    Raises:
        DatasetError: the folder is no finished dataset.
    """
    columns = ["id", "label", "codec", "variant", "corpus", "speaker", "alm"]
    tables = []
    for split in splits or dataset_splits(dataset):
        path = dataset / layout.metadata(split)
        try:
            table = pq.read_table(path, columns=columns).to_pandas()
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
        table["split"] = split
        table["group"] = table[GROUPED_BY.get(split, "codec")]
        table["speaker"] = table["corpus"] + "/" + table["speaker"]
        tables.append(table[COLUMNS])
    return pd.concat(tables, ignore_index=True)


def closed_set(dataset: Path) -> list[int]:
    """The classes a model of this dataset knows: those of its training split, by id.

    Raises:
        DatasetError: it has no training split.
    """
    if TRAIN not in dataset_splits(dataset):
        raise DatasetError(f"{dataset}: has no split {TRAIN}, which says what classes a model knows")
    return sorted(int(label) for label in dataset_truth(dataset, [TRAIN])["label"].unique())


def label_file_truth(path: Path, split: str, group: str | None) -> pd.DataFrame:
    """The truth of a label file in the released form: file name, tag (ignored), class id, separated by blanks.

    Raises:
        BenchmarkError: naming the first line that is something else, or a class that does not exist.
    """
    known = range(len(LABELS))
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: cannot be read as a label file ({error})") from error
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 3 or not parts[2].isdigit():
            raise BenchmarkError(f"{path}: line {number}: expected file name, tag and class id, found {line!r:.80}")
        if int(parts[2]) not in known:
            raise BenchmarkError(f"{path}: line {number}: unknown label {parts[2]}; known: 0 to {known[-1]}")
        rows.append((stem(parts[0]), int(parts[2])))
    return _released_truth([name for name, _ in rows], [label for _, label in rows], split, group)


def named_truth(names: list[str], label: int | None, split: str, group: str | None) -> pd.DataFrame:
    """The truth of released files: all of one class, or as their names say (``encodec_p225_001``, ``p225_001``).

    Raises:
        BenchmarkError: a name that says no class.
    """
    labels = [_label_of(name) if label is None else label for name in names]
    return _released_truth(names, labels, split, group)


def _released_truth(names: list[str], labels: list[int], split: str, group: str | None) -> pd.DataFrame:
    groups = [group or class_names()[label] for label in labels]
    speakers = [speaker_of(name) for name in names]
    columns = {"id": names, "split": split, "label": labels, "group": groups, "speaker": speakers}
    return pd.DataFrame(columns, columns=COLUMNS)


def _label_of(name: str) -> int:
    codec, _, rest = name.partition("_")
    if rest and codec in LABELS:
        return LABELS[codec]
    if _VCTK.fullmatch(name) or _AISHELL3.fullmatch(name) or _NCSSD.fullmatch(name):
        return LABELS[REAL]
    raise BenchmarkError(f"{name}: its name says no class; give a label file (--labels SET=FILE)")


def speaker_of(name: str) -> str:
    """``corpus/speaker`` of a released file name; NCSSD's names say the dialogue only; elsewhere the file itself."""
    if match := _VCTK.search(name):
        return f"vctk/{match[1]}"
    if match := _AISHELL3.search(name):
        return f"aishell3/{match[1]}"
    if match := _NCSSD.search(name):
        return f"ncssd/{match[1]}_{match[2]}"
    return f"file/{name}"


def stem(name: str) -> str:
    """A file name without folder and audio suffix."""
    file = PurePosixPath(name.rpartition("/")[2])
    return file.stem if file.suffix.lower() in AUDIO_SUFFIXES else file.name
