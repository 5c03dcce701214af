"""Read the ground truth of clips, from a dataset folder, a label file, or the names of released files.

A ground truth is a table with a row per clip: ``id``, ``split``, ``label`` (class id), ``group`` (the column of a
split's table that the clip counts in), ``speaker`` (``corpus/speaker``, the unit of the bootstrap), ``codec`` (class
name) and ``alm`` (language model that made it, if one did), which say by what view the clip is fake.
"""

from __future__ import annotations

import re
from pathlib import Path

import datasets
import pandas as pd
import pyarrow.parquet as pq

from codec_adapters.classes import LABELS, REAL, VOCODER
from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.benchmark.detectors.outputs import TRAIN
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.metadata import refuse_earlier_version
from codecfake_builder.dataset.schema import class_names
from codecfake_builder.errors import BenchmarkError, DatasetError
from codecfake_builder.text_files import read_lines

COLUMNS = ["id", "split", "label", "group", "speaker", "codec", "alm"]
GROUPED_BY = {"unseen_real": "corpus", "id_config": "variant", "id_source": "variant", "alm": "alm"}
"""Split -> column of the dataset whose values are the columns of its table; for other splits it is ``codec``."""
ALM = "alm"
"""Split with the clips of audio language models."""
VOCODER_SPLIT = "ood_vocoder"
"""Split with the fakes that no codec made."""
_VCTK = re.compile(r"(p\d{3}|s5)_\d{3}$")
_AISHELL3 = re.compile(r"(SSB\d{4})\d{4}$")
_NCSSD = re.compile(r"(R-(?:EN|ZH))_.*_(d\d+)$")


def dataset_classes(dataset: Path) -> list[str]:
    """Return the class names of a dataset folder, by id.

    Raises:
        DatasetError: there is no finished dataset in the folder.
    """
    return list(_features(dataset)["label"].names)


def dataset_splits(dataset: Path) -> list[str]:
    """Return the names of a dataset folder's splits, sorted.

    Raises:
        DatasetError: there is no finished dataset in the folder, or one of an earlier version.
    """
    refuse_earlier_version(dataset)
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
    """Return the ground truth of a dataset folder.

    Args:
        dataset: dataset folder.
        splits: which splits; by default all.

    Raises:
        DatasetError: there is no finished dataset in the folder.
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
    """Return the ids of the classes that a model of this dataset knows: those of its training split, sorted.

    Raises:
        DatasetError: the dataset has no training split.
    """
    if TRAIN not in dataset_splits(dataset):
        raise DatasetError(f"{dataset}: has no split {TRAIN}, which says what classes a model knows")
    return sorted(int(label) for label in dataset_truth(dataset, [TRAIN])["label"].unique())


def label_file_truth(path: Path, split: str, group: str | None) -> pd.DataFrame:
    """Read a label file in the released format: lines of file name, tag (ignored) and class id, separated by blanks.

    Args:
        path: label file.
        split: split whose table the clips belong to.
        group: column of the table; ``None``: a column per class.

    Raises:
        BenchmarkError: a line has another form, or names a class that does not exist; names the first such line.
    """
    known = range(len(LABELS))
    rows = []
    if not path.is_file():
        raise BenchmarkError(f"{path}: cannot be read as a label file (no such file)")
    for number, line in enumerate(read_lines(path, error=BenchmarkError), 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 3 or not parts[2].isdigit():
            raise BenchmarkError(f"{path}: line {number}: expected file name, tag and class id, found {line!r:.80}")
        if int(parts[2]) not in known:
            raise BenchmarkError(f"{path}: line {number}: unknown label {parts[2]}; known: 0 to {known[-1]}")
        rows.append((stem(parts[0]), int(parts[2])))
    return _released_truth([name for name, _ in rows], [label for _, label in rows], split, group)


def file_name_truth(names: list[str], label: int | None, split: str, group: str | None) -> pd.DataFrame:
    """Return the ground truth of released files, whose names say their speaker and may say their class.

    Args:
        names: file names without suffix.
        label: class id of all files; ``None`` if their names say it (``encodec_p225_001``, ``p225_001`` for real).
        split: split whose table the clips belong to.
        group: column of the table; ``None``: a column per class.

    Raises:
        BenchmarkError: the class is to be read from a name that does not say it.
    """
    labels = [_label_of(name) if label is None else label for name in names]
    return _released_truth(names, labels, split, group)


def _released_truth(names: list[str], labels: list[int], split: str, group: str | None) -> pd.DataFrame:
    groups = [group or class_names()[label] for label in labels]
    speakers = [speaker_of(name) for name in names]
    codecs = [_released_class(split, label) for label in labels]
    alms = groups if split == ALM else [None] * len(names)
    columns = {"id": names, "split": split, "label": labels, "group": groups, "speaker": speakers}
    return pd.DataFrame({**columns, "codec": codecs, "alm": alms}, columns=COLUMNS)


def _released_class(split: str, label: int) -> str:
    """Return the class of a released clip; its vocoder split has labels of codecs, which mean "no known class"."""
    return VOCODER if split == VOCODER_SPLIT and label != LABELS[REAL] else class_names()[label]


def _label_of(name: str) -> int:
    codec, _, rest = name.partition("_")
    if rest and codec in LABELS:
        return LABELS[codec]
    if _VCTK.fullmatch(name) or _AISHELL3.fullmatch(name) or _NCSSD.fullmatch(name):
        return LABELS[REAL]
    raise BenchmarkError(f"{name}: its name says no class; give a label file (--labels SET=FILE)")


def speaker_of(name: str) -> str:
    """Return ``corpus/speaker`` of a released file name.

    NCSSD's names say the dialogue only, which stands for the speaker; of any other name, the file itself does.
    """
    if match := _VCTK.search(name):
        return f"vctk/{match[1]}"
    if match := _AISHELL3.search(name):
        return f"aishell3/{match[1]}"
    if match := _NCSSD.search(name):
        return f"ncssd/{match[1]}_{match[2]}"
    return f"file/{name}"


def stem(name: str) -> str:
    """Return a file name without folder and audio suffix."""
    file = name.rpartition("/")[2]
    without, dot, suffix = file.rpartition(".")
    return without if f"{dot}{suffix}".lower() in AUDIO_SUFFIXES else file
