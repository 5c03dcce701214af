"""Parse YAML that somebody hands over: as data, of bounded size, and with every key once.

The pure Python loader reads it, since libyaml's own crashes on deep nesting. Beyond what is safe of it already (tags
make no objects), a key that stands twice is refused, since one of the two values would be lost without a word, and so
is a document that a few lines of aliases blow up to billions of values.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MOST_CHARACTERS = 1 << 22
"""Of a document; longer lists belong into files of their own."""
MOST_VALUES = 200_000
"""Of a document, with each value counted as often as aliases repeat it."""
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which says where a value is wrong."""

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:  # 2020-13-01, or a number of 5,000 digits
            shown = node.value if isinstance(node.value, str) else "a value"
            raise yaml.constructor.ConstructorError(
                None, None, f"{shown:.40} cannot be read ({error})", node.start_mark
            ) from error


class _KeysOnceLoader(_Loader):
    """A loader that refuses keys that stand twice."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value if isinstance(node, MappingNode) else ():
            if isinstance(key, ScalarNode) and key.tag != _MERGE:
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def load(text: str, keys_once: bool = True) -> Any:
    """Parse a document.

    Args:
        keys_once: refuse keys that stand twice; upstream codecs' own configs are read as their authors' programs do.

    Raises:
        yaml.YAMLError: it is no YAML, or too large, or refused (see the module); the message says where.
        RecursionError: it is nested too deeply.
    """
    if len(text) > MOST_CHARACTERS:
        raise yaml.YAMLError(f"it has {len(text)} characters, at most {MOST_CHARACTERS} are read")
    loader = (_KeysOnceLoader if keys_once else _Loader)(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        if _values(root, {}) > MOST_VALUES:
            raise yaml.YAMLError(f"its aliases make more than {MOST_VALUES} values of it")
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _values(node: Node, known: dict[int, int]) -> int:
    """Count the values of a node, each as often as aliases repeat it; a node within itself counts as too many."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MOST_VALUES + 1  # until it is counted: whoever asks meanwhile is inside it
    if isinstance(node, MappingNode):
        parts = [part for pair in node.value for part in pair]
    else:
        parts = node.value if isinstance(node, SequenceNode) else []
    count = 1
    for part in parts:
        count += _values(part, known)
        if count > MOST_VALUES:
            break
    known[id(node)] = count
    return count
