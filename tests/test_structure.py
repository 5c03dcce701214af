"""The rules of the house, held by reading the sources: rooms, sizes, and nothing that recipes fill."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PACKAGES = ("codec_adapters", "codecfake_builder")
LONGEST_FUNCTION = 60
"""Lines."""
MOST_PARAMETERS = 12
MOST_FILES = 16
"""In one folder, so that it is taken in at a glance; the folder of the codec families grows with them."""
MANY_FAMILIES = "codec_adapters/families"
SOURCES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions() -> Iterator[tuple[str, Function]]:
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, Function):
                yield f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}", node


def imported(path: Path) -> Iterator[str]:
    """Every module of ours that a file imports, wherever in it: at the top, in a function, for type checkers."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str | None:
    """The room that a module lies in: a folder of a package; ``None`` for modules of the package itself."""
    parts = module.split(".")
    if parts[0] not in PACKAGES or len(parts) < 2 or not (REPOSITORY / parts[0] / parts[1]).is_dir():
        return None
    return f"{parts[0]}.{parts[1]}"


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)


def test_functions_are_short() -> None:
    lengths = {name: node.end_lineno - node.lineno + 1 for name, node in functions() if node.end_lineno}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_parameter_lists_are_short() -> None:
    def count(node: Function) -> int:
        taken = node.args
        names = [argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
        return len([name for name in names if name not in ("self", "cls")])

    counts = {name: count(node) for name, node in functions()}
    assert {name: number for name, number in counts.items() if number > MOST_PARAMETERS} == {}


def test_the_median_module_is_read_in_one_sitting() -> None:
    lengths = sorted(
        len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES if path.name != "__init__.py"
    )
    assert 80 <= lengths[len(lengths) // 2] <= 120


def test_no_folder_holds_more_than_a_glance_takes_in() -> None:
    folders = {path.parent for path in SOURCES}
    crowded = {
        str(folder.relative_to(REPOSITORY)): len(files)
        for folder in folders
        if len(files := [path for path in folder.glob("*.py") if path.name != "__init__.py"]) > MOST_FILES
    }
    crowded.pop(MANY_FAMILIES, None)
    assert crowded == {}


def test_the_adapters_know_nothing_of_the_builder() -> None:
    wrong = [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in SOURCES
        if path.is_relative_to(REPOSITORY / "codec_adapters")
        for name in imported(path)
        if name.startswith("codecfake_builder")
    ]
    assert wrong == []


def test_rooms_form_no_circle() -> None:
    """Over all imports, those in functions and those for type checkers among them."""
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        own = room(module_of(path))
        if own is not None:
            others = {found for name in imported(path) if (found := room(name)) not in (None, own)}
            graph.setdefault(own, set()).update(found for found in others if found is not None)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
    assert "codecfake_builder.cli" not in set().union(*graph.values())


def test_modules_form_no_circle() -> None:
    """File by file, a package's own ``__init__`` left out, which gathers what is below it."""
    names = {module_of(path) for path in SOURCES if path.name != "__init__.py"}
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        own = module_of(path)
        if own in names:
            wanted = {part for name in imported(path) for part in (name, name.rpartition(".")[0])}
            graph[own] = (wanted & names) - {own}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_at_module_level_waits_to_be_filled(package: str) -> None:
    """No empty dictionary, list or set in a module, which calls could fill for each other."""
    allowed = {
        ("codecfake_builder/shards/codec_runner.py", "_kept"),  # the one network that a worker process loaded last
        (
            "codecfake_builder/conformance/offline.py",
            "_watching",
        ),  # an audit hook takes no argument
        ("codec_adapters/external/worker/drivers/parrot.py", "options"),  # a program of its own
    }
    found = set()
    for path in SOURCES:
        if not path.is_relative_to(REPOSITORY / package):
            continue
        for node in tree(path).body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            empty = (isinstance(value, ast.Dict) and not value.keys) or (isinstance(value, ast.List) and not value.elts)
            made = ast.unparse(value.func) if isinstance(value, ast.Call) and not value.args else None
            if empty or made in ("dict", "list", "set", "defaultdict"):
                name = ast.unparse(node).split(":")[0].split(" =")[0]
                found.add((str(path.relative_to(REPOSITORY)), name))
    assert found <= allowed
