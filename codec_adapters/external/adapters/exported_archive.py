"""Load a ``torch.export`` archive without executing what it holds.

``torch.export.load`` of torch 2.13 unpickles tensors with ``weights_only=False``, unpickles custom objects, evaluates
shape expressions and guards as Python source, looks operators up by any dotted name below ``torch``, and writes
the names of inputs into source that it executes. Everything that reaches one of these is read first; an
archive is refused unless all of it is of the plain kind that ``torch.export.save`` writes. Pickled tensors are loaded
by torch's restricted unpickler.
"""

from __future__ import annotations

import ast
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from codec_adapters.errors import CheckpointError, first_line
from codec_adapters.files.zip_archives import packed, read_members

_FOLDERS = ("data/weights/", "data/constants/", "data/sample_inputs/", "models/", ".data/", "extra/")
_FILES = ("archive_format", "archive_version", "version", "byteorder", "data/", "")
_PLAIN_MATHS = {
    *("abs", "add", "and_", "eq", "floordiv", "ge", "getitem", "gt", "le", "lt", "mod", "mul", "ne", "neg", "not_"),
    *("or_", "pos", "pow", "sub", "truediv", "xor", "ceil", "floor", "trunc", "sqrt", "log", "log2", "exp", "prod"),
}
_TARGET = re.compile(
    r"torch\.ops\.(?:aten|prims|higher_order)\.\w+(?:\.\w+)?|torch\.(?:sym_\w+|_assert\w*)"
    r"|torch\._C\._set_grad_enabled|torch\.amp\.autocast_mode\._(?:enter|exit)_autocast|placeholder|output"
)
_TOUCHES_FILES = re.compile(r"torch\.ops\.aten\.from_file\b")
_NAME = re.compile(r"[\w.]*")
_EXPRESSION_NODES = (
    *(ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.UnaryOp, ast.BinOp, ast.Compare),
    *(ast.BoolOp, ast.Subscript, ast.Attribute, ast.operator, ast.unaryop, ast.cmpop, ast.boolop),
)
_EXPRESSION_ATTRIBUTES = {"size", "shape", "stride", "storage_offset", "dtype", "ndim", "dim", "isnan", "inf"}
_EXPRESSION_NAMES = {"L", "math", "inf", "min", "max", "abs", "int", "float", "round"}
_loading = threading.Lock()


def load_program(path: Path) -> Any:
    """Load the ``ExportedProgram`` of an archive.

    Raises:
        CheckpointError: no archive of torch.export, or one that holds more than a program of torch's own operators and
            tensors.
    """
    members = read_members(path)
    try:
        problem = next(_problems(members), None)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: no archive of torch.export ({str(error).splitlines()[0]})") from error
    if problem:
        raise CheckpointError(f"{path}: refused, since loading it could execute code: {problem}")
    with _loading:
        before = {name: os.environ.get(name) for name in _RESTRICTED}
        os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
        os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
        try:
            return torch.export.load(packed(members))
        except Exception as error:  # torch raises many kinds for what it cannot read
            reason = first_line(error)
            raise CheckpointError(f"{path}: cannot be loaded as a program of torch.export ({reason[:200]})") from error
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


_RESTRICTED = ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")


def _problems(members: Mapping[str, bytes]) -> Iterator[str]:
    """List what of an archive loading could execute, or what is of an unknown format."""
    root = next(iter(members), "").partition("/")[0]
    inner = [name.removeprefix(f"{root}/") for name in members]
    models = [name for name in inner if name.startswith("models/")]
    if models != ["models/model.json"]:
        yield f"it holds {', '.join(models) or 'no program'}, expected models/model.json"
    for name in inner:
        file = name.rpartition("/")[2]
        if not (name in _FILES or name.startswith(_FOLDERS)) or file.startswith(("custom_obj_", "opaque_obj_")):
            yield f"it holds {name}"
        if name in ("data/weights/model.pt", "data/constants/model.pt"):
            yield f"{name} is of an old format"
        if name.startswith("data/constants/") and file.endswith("_config.json"):
            config = json.loads(members[f"{root}/{name}"])["config"]
            yield from (
                f"constant {key} is no tensor"
                for key, value in config.items()
                if not str(value["path_name"]).startswith("tensor_")
            )
    yield from _in_program(json.loads(members[f"{root}/models/model.json"]), "")


def _in_program(part: Any, key: str) -> Iterator[str]:
    """List what of a program is not plain, at any depth of its JSON.

    Args:
        part: of the JSON.
        key: the name that ``part`` has in what holds it.
    """
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "metadata" and isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
                continue  # of a node: looked up, never executed
            if name.startswith("as_custom_obj") and value is not None:
                yield f"an argument is a custom object, {value}"
            if key in _NAMED_TABLES and not _NAME.fullmatch(name):
                yield f"odd name {name!r}"
            yield from _in_program(value, name)
    elif isinstance(part, list):
        for value in part:
            yield from _in_program(value, key)
    elif isinstance(part, str) and not _is_plain(part, key):
        yield f"{key} {part[:80]!r}"


_NAMED_TABLES = ("tensor_values", "sym_int_values", "sym_float_values", "sym_bool_values", "custom_obj_values")


def _is_plain(text: str, key: str) -> bool:
    """Tell whether the text under ``key`` of a program is of the plain kind."""
    if key in ("target", "as_operator"):
        kind, _, name = text.partition(".")
        plain = kind in ("_operator", "math") and name in _PLAIN_MATHS
        return (plain or bool(_TARGET.fullmatch(text))) and not _TOUCHES_FILES.match(text)
    if key in ("expr_str", "guards_code"):
        return _is_expression(text)
    if key in ("in_spec", "out_spec"):
        return _is_tree(json.loads(text) if text else None)
    return not key.endswith("name") or bool(_NAME.fullmatch(text))


def _is_tree(part: Any) -> bool:
    """Tell whether a tree specification has Python's own containers only."""
    if isinstance(part, list):
        return all(map(_is_tree, part))
    if not isinstance(part, dict):
        return True
    plain = part.get("type") in (None, "builtins.tuple", "builtins.list", "builtins.dict")
    return plain and "__enum__" not in part and all(map(_is_tree, part.values()))


def _is_expression(text: str) -> bool:
    """Tell whether ``text`` is arithmetic on sizes: sympy's constructors, or a guard on the inputs."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError):
        return False
    for node in ast.walk(tree):
        if not isinstance(node, _EXPRESSION_NODES):
            return False
        if isinstance(node, ast.Attribute) and node.attr not in _EXPRESSION_ATTRIBUTES:
            return False
        if (
            isinstance(node, ast.Name)
            and node.id not in _EXPRESSION_NAMES
            and not re.fullmatch(r"[A-Z][A-Za-z]+|[a-z]{1,2}\d+", node.id)
        ):
            return False
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.fullmatch(r"\w+", node.value):
            return False
    return True
