"""Read files of predictions: Parquet, CSV, or the released text format.

A table of predictions has a row per clip with ``id`` (or ``file``) and any of: ``predicted`` (class name or id),
``score`` and ``score_NAME`` (of the user's own detectors; larger = more in-distribution), ``score_real`` (larger = more
like real speech), ``logit_CLASS`` per known class. Parquet files that ``evaluate`` wrote hold ``logits`` and
``embedding`` as fixed-size lists.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from codec_adapters.classes import LABELS, REAL
from codec_adapters.files.documents import nearest
from codecfake_builder.benchmark.detectors.outputs import FloatArray, IntArray
from codecfake_builder.benchmark.scoring.truth import stem
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.text_files import read_lines, read_text

LOGIT = "logit_"
"""Beginning of the names of columns with logits."""
SCORE = "score"
"""Name, or beginning of the name, of columns with detector scores."""
REAL_SCORE = "score_real"
"""Name of the column with the scores of a detector of real speech, which is none of the open set."""


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a file of predictions; ids are reduced to the file name without folder and audio suffix.

    Raises:
        BenchmarkError: there is no such file, its format is unknown, a column is missing, or an id is there twice.
    """
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such file of predictions")
    readers = {".parquet": _read_parquet, ".csv": _read_csv, ".txt": _read_text}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BenchmarkError(f"{path}: unknown format; predictions are {', '.join(readers)}")
    table = reader(path)
    if "id" in table and "file" in table:
        raise BenchmarkError(f"{path}: has a column id and a column file; leave one of them out")
    table = table.rename(columns={"file": "id"})
    if "id" not in table:
        raise BenchmarkError(
            f"{path}: has no column id (or file); found {', '.join(map(str, table.columns)) or 'none'}"
        )
    for column in sorted({"logits", "embedding"} & set(table.columns)):
        values = list(table[column])
        numbers = all(isinstance(value, np.ndarray) and value.dtype.kind in "fiu" for value in values)
        if not numbers or len({len(value) for value in values}) > 1:
            raise BenchmarkError(f"{path}: column {column} holds no lists of numbers of one length (Parquet has such)")
    if not len(table):
        raise BenchmarkError(f"{path}: holds no predictions, only a header")
    table["id"] = [stem(str(name)) for name in table["id"]]
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise BenchmarkError(f"{path}: {len(twice)} clips are there twice, first {twice.iloc[0]}")
    return table


LAYER = (b"output_weight", b"output_bias")
"""Keys in the metadata of a file of outputs: the model's last layer, float32."""


def layer_metadata(weight: FloatArray, bias: FloatArray) -> dict[bytes, bytes]:
    """Return the metadata that keeps a model's last layer beside its outputs.

    Args:
        weight: ``[dimensions, classes]``.
        bias: ``[classes]``.
    """
    return dict(zip(LAYER, (part.astype("<f4").tobytes() for part in (weight, bias)), strict=True))


def stored_layer(path: Path) -> tuple[FloatArray, FloatArray] | None:
    """Return the last layer of the model whose outputs a file holds; ``None`` where it has none.

    Raises:
        BenchmarkError: it does not fit the outputs.
    """
    if path.suffix.lower() != ".parquet":
        return None
    try:
        kept = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return None  # reading the file says so
    if LAYER[0] not in kept or LAYER[1] not in kept:
        return None
    bias = np.frombuffer(kept[LAYER[1]], dtype="<f4")
    weight = np.frombuffer(kept[LAYER[0]], dtype="<f4")
    if not len(bias) or len(weight) % len(bias) or not (np.isfinite(bias).all() and np.isfinite(weight).all()):
        raise BenchmarkError(f"{path}: the model's last layer in it is damaged; run benchmark evaluate again")
    return weight.reshape(-1, len(bias)).astype(np.float64), bias.astype(np.float64)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise BenchmarkError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from error
    columns = {}
    for name in table.column_names:
        values = table[name].combine_chunks()
        if pa.types.is_fixed_size_list(values.type):
            wide = np.asarray(values.flatten()).reshape(len(values), values.type.list_size)
            columns[name] = list(wide)
        else:
            columns[name] = values.to_pandas()
    return pd.DataFrame(columns)


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        text = io.StringIO(read_text(path, error=BenchmarkError))
        return pd.read_csv(text, dtype={"id": str, "file": str, "predicted": str})
    except ValueError as error:
        raise BenchmarkError(f"{path}: cannot be read as CSV ({str(error).splitlines()[0]})") from error


def _read_text(path: Path) -> pd.DataFrame:
    """Read lines ``file predicted score``; the score is the largest softmax probability."""
    rows = []
    for number, line in enumerate(read_lines(path, error=BenchmarkError), 1):
        parts = line.split()
        if not parts:
            continue
        try:
            name, predicted, score = parts
            rows.append((name, int(predicted), float(score)))
        except ValueError:
            raise BenchmarkError(f"{path}: line {number}: expected file, class id, score; found {line!r:.80}") from None
    return pd.DataFrame(rows, columns=["file", "predicted", "score_MSP"])


def logits_of(table: pd.DataFrame, names: list[str], where: str) -> FloatArray | None:
    """Return logits ``[clips, classes]`` in the order of the class names ``names``; ``None`` if there are none.

    Raises:
        BenchmarkError: the logits are of other classes, or of another number of classes.
    """
    if "logits" in table:
        wide = np.stack(table["logits"].to_list())
        if wide.shape[1] != len(names):
            raise BenchmarkError(
                f"{where}: has logits of {wide.shape[1]} classes, expected {len(names)}: {', '.join(names)}"
            )
        return wide
    given = [str(column).removeprefix(LOGIT) for column in table.columns if str(column).startswith(LOGIT)]
    if not given:
        return None
    if sorted(given) != sorted(names):
        raise BenchmarkError(f"{where}: has logits of {', '.join(given)}; expected {', '.join(names)}")
    return _numbers(table, [LOGIT + name for name in names], where)


def _numbers(table: pd.DataFrame, columns: list[str], where: str) -> FloatArray:
    """Return columns ``[clips, columns]`` as finite numbers, float64, or raise an error that names the first clip."""
    values = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        first = table["id"].iloc[int(wrong.argmax())]
        raise BenchmarkError(f"{where}: {int(wrong.sum())} clips have no finite {columns[0]}, first {first}")
    return values


def predicted_labels(table: pd.DataFrame, classes: list[str], known: list[int], where: str) -> IntArray:
    """Return predicted class ids ``[clips]``, from the column ``predicted`` or else from the largest logit.

    Args:
        table: predictions; ``predicted`` holds class names or ids.
        classes: names of all classes, by id.
        known: ids of the classes that the model knows; others cannot be predicted.
        where: name of the predictions in messages.

    Raises:
        BenchmarkError: there are neither predictions nor logits, or a label is unknown.
    """
    if "predicted" not in table:
        logits = logits_of(table, [classes[label] for label in known], where)
        if logits is None:
            raise BenchmarkError(f"{where}: has neither a column predicted nor logits")
        return np.asarray(known)[logits.argmax(axis=1)]
    ids = {classes[label]: label for label in known} | {str(label): label for label in known}
    given = table["predicted"].astype(str)
    wrong = ~given.isin(list(ids))
    if wrong.any():
        first = table.loc[wrong].iloc[0]
        hint = nearest(str(first["predicted"]), [classes[label] for label in known])
        what = f"{first['id']}: {first['predicted']}"
        raise BenchmarkError(f"{where}: {int(wrong.sum())} clips have an unknown label, first {what}; {hint}")
    return given.map(ids).to_numpy(dtype=np.int64)


def own_scores(table: pd.DataFrame, where: str) -> dict[str, FloatArray]:
    """Return the detector scores in the table, ``[clips]`` by the name of the detector."""
    names = [str(column) for column in table.columns if str(column) != REAL_SCORE]
    columns = [name for name in names if name == SCORE or name.startswith(f"{SCORE}_")]
    return {column.removeprefix(f"{SCORE}_"): _numbers(table, [column], where)[:, 0] for column in columns}


def real_scores(table: pd.DataFrame, known: list[int], logits: FloatArray | None, where: str) -> FloatArray | None:
    """Return how real each clip is, ``[clips]``, larger = more real; ``None`` where the table does not say.

    Args:
        table: predictions; what ``score_real`` holds goes before the log-odds of the class ``real``.
        known: ids of the classes that the model knows, in the order of the logits.
        logits: ``[clips, known classes]``, if there are any.
        where: name of the predictions in messages.
    """
    if REAL_SCORE in table:
        return _numbers(table, [REAL_SCORE], where)[:, 0]
    if logits is None or LABELS[REAL] not in known or len(known) < 2:
        return None
    column = known.index(LABELS[REAL])
    others = np.delete(logits.astype(np.float64), column, axis=1)
    odds: FloatArray = logits[:, column] - np.logaddexp.reduce(others, axis=1)
    return odds
