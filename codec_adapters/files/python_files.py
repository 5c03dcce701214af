"""Python files that a user names: imported once, under names that nothing else has."""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType


def import_file(path: Path, identity: str) -> ModuleType:
    """The module of a Python file; one that fails to import leaves nothing behind.

    Args:
        identity: the same text, the same module: it is imported once.

    Raises:
        ImportError: no Python file; and whatever the file itself raises.
    """
    name = f"codecfake_file_{sha256(identity.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ImportError("no such Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
