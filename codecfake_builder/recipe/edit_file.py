"""Edit a recipe file in place, and keep its comments, order, quotes and aliases where possible."""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from codec_adapters.errors import DocumentError
from codec_adapters.files.documents import parsed_mapping, parsed_yaml, read_text
from codecfake_builder.errors import RecipeError
from codecfake_builder.files import write_text
from codecfake_builder.recipe.edit import Document
from codecfake_builder.recipe.load import EXPECTED


class _Representer(RoundTripRepresenter):
    """Write an absent value as ``null``; ruamel.yaml would leave it empty."""

    def represent_null(self, data: None) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_null)


def edited_text(text: str, where: str, edit: Callable[[Document], Document]) -> str:
    """Return a recipe file's text after an edit, with its comments, order, quotes and aliases kept where possible.

    The file is data: YAML tags make no objects.

    Args:
        where: the file, for messages.
        edit: :func:`with_codec` or :func:`without_codec`, with all but the document.

    Raises:
        RecipeError: the file is no recipe, or of a form that cannot be kept; or what ``edit`` raises.
    """
    writer = YAML()
    writer.Representer = _Representer
    writer.preserve_quotes = True
    writer.width = 1_000_000  # no line is broken anew
    stream = io.StringIO()
    try:
        before = parsed_mapping(text, where, EXPECTED)
        writer.indent(**_indents(text))
        writer.dump(edit(writer.load(text)), stream)
        after = parsed_yaml(stream.getvalue(), where)
    except DocumentError as error:
        raise RecipeError(str(error)) from error
    except (YAMLError, RecursionError) as error:
        raise RecipeError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise RecipeError(f"{where}: is no recipe that can be edited; plan says what is wrong with it") from error
    if after != edit(before):  # YAML 1.1 and 1.2 read some words differently; what is written must mean the same
        raise RecipeError(f"{where}: cannot be edited without changing what else is in it; edit it by hand")
    return stream.getvalue()


def write_edited(path: Path, edit: Callable[[Document], Document]) -> None:
    """Edit a recipe file in one step; see :func:`edited_text`. Who edits it meanwhile waits for the result.

    Raises:
        RecipeError: the file cannot be read, or see there.
    """
    with _locked(path):
        write_text(path.resolve(), edited_text(read_recipe_text(path), str(path), edit))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a recipe file; whoever waited for one that was replaced meanwhile locks the new one."""
    while True:
        try:
            stream = path.open("rb")
        except OSError as error:
            raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                yield
                return


def read_recipe_text(path: Path) -> str:
    """Return the text of a recipe file.

    Raises:
        RecipeError: it cannot be read.
    """
    try:
        return read_text(path)
    except DocumentError as error:
        raise RecipeError(str(error)) from error


def _indents(text: str) -> dict[str, int]:
    """Measure how the file indents, as ruamel.yaml's settings, at its first nested mapping and first nested list."""
    found = list(_indentations(yaml.compose(text, Loader=yaml.SafeLoader)))
    mapping = next((columns for kind, columns in found if kind is yaml.MappingNode), 2)
    offset = next((columns for kind, columns in found if kind is yaml.SequenceNode), 2)
    return {"mapping": mapping, "sequence": offset + 2, "offset": offset}


def _indentations(node: yaml.Node | None, seen: frozenset[int] = frozenset()) -> Iterator[tuple[type[yaml.Node], int]]:
    """Yield how far each block below a key is indented relative to that key, with the block's kind."""
    if not isinstance(node, yaml.MappingNode) or node.flow_style or id(node) in seen:
        return
    for key, value in node.value:
        if (
            isinstance(value, yaml.CollectionNode)
            and not value.flow_style
            and value.start_mark.line > key.start_mark.line
        ):
            yield type(value), value.start_mark.column - key.start_mark.column
        yield from _indentations(value, seen | {id(node)})
