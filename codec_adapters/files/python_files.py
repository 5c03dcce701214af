"""Import Python files that a user names, once, under module names that nothing else has."""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType


def import_file(path: Path, identity: str) -> ModuleType:
    """Import a Python file and return its module; where the import fails, no module is left in ``sys.modules``.

    Args:
        path: of the file.
        identity: text that identifies the module; a file is imported once for each identity.

    Raises:
        ImportError: no Python file; the file itself may raise anything else.
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
