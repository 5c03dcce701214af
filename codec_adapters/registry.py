"""Every variant that can be loaded: built-in, from installed packages, or registered at run time."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from codec_adapters.catalog import builtin
from codec_adapters.errors import CheckpointError, OptionError, UnknownVariantError
from codec_adapters.files import weights
from codec_adapters.spec import CodecSpec, OptionValue

if TYPE_CHECKING:
    import torch

    from codec_adapters.base import Adapter, Setup

    AdapterFactory = Callable[[Setup], Adapter]

ENTRY_POINT_GROUP = "codec_adapters"
"""Installed packages add variants here. The entry point names a callable without arguments that calls
:func:`register` for each variant (and :func:`codec_adapters.alm.register` for each audio language model)."""

_registered: dict[str, tuple[CodecSpec, AdapterFactory]] = {}


def register(spec: CodecSpec, factory: AdapterFactory) -> None:
    """Make a variant known under ``spec.name``.

    Args:
        spec: the variant; its name must not be a built-in one's.
        factory: makes the adapter from a :class:`codec_adapters.base.Setup`; usually the adapter class itself.

    Raises:
        ValueError: the name belongs to a built-in variant, or could not stand in a file name.
    """
    if spec.name in builtin():
        raise ValueError(f"{spec.name}: a built-in variant has this name; choose another")
    refuse_odd_name(spec.name)
    _registered[spec.name] = (spec, factory)


def unregister(name: str) -> None:
    """Forget a variant that :func:`register` made known; one that is not is no matter."""
    _registered.pop(name, None)


def refuse_odd_name(name: str) -> None:
    """Raise :class:`ValueError` for a name that could not stand in a file name."""
    if not re.fullmatch(r"[A-Za-z0-9_.]+", name):
        raise ValueError(f"{name!r}: a variant's name has letters, digits, dots and underscores only")


@cache
def load_entry_points() -> None:
    """Let installed packages register their variants, once; a package that fails costs a warning."""
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            point.load()()
        except Exception as error:  # noqa: BLE001 - somebody else's code: it must not take the built-in variants down with it
            warnings.warn(f"codec plugin {point.name} ({point.value}) failed to register: {error}", stacklevel=2)


def known() -> frozenset[str]:
    """The variants known so far: without looking for installed packages, so that those can ask while registering."""
    return frozenset({*builtin(), *_registered})


def names() -> list[str]:
    """Every known variant name, built-in ones first in label order. Imports no codec."""
    load_entry_points()
    return [*builtin(), *sorted(_registered)]


def registered() -> dict[str, CodecSpec]:
    """The specs of the variants that are not built in, by name, without looking for installed packages."""
    return {name: spec for name, (spec, _) in _registered.items()}


def is_builtin(name: str) -> bool:
    """Whether variant ``name`` is one of this package's own."""
    return name in builtin()


def spec(name: str) -> CodecSpec:
    """The spec of variant ``name``.

    Raises:
        UnknownVariantError: no such variant; the message names the nearest one.
    """
    if name in builtin():
        return builtin()[name].spec
    load_entry_points()
    if name in _registered:
        return _registered[name][0]
    raise unknown("codec variant", name, names(), "codec_adapters.names()")


def unknown(kind: str, name: str, known: Iterable[str], where: str) -> UnknownVariantError:
    """The error for a ``name`` that is not ``known``, with the nearest one, or ``where`` all of them are listed."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"{where} lists them all"
    return UnknownVariantError(f"unknown {kind} {name!r}; {hint}")


class Loadable(Protocol):
    """What the spec of anything loadable has: a codec variant's, or an audio language model's."""

    @property
    def name(self) -> str: ...
    @property
    def checkpoint(self) -> str: ...
    @property
    def options(self) -> Mapping[str, OptionValue]: ...


def load(
    name: str,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    options: Mapping[str, OptionValue] | None = None,
) -> Adapter:
    """Load a variant, ready to run.

    Args:
        name: a variant name, see :func:`names`.
        checkpoint: local folder in the codec's official file layout; ``None`` uses the pinned official weights,
            fetched into the user's cache on first use.
        device: a torch device, e.g. ``cpu`` or ``cuda:1``.
        dtype: ``float32``, ``bfloat16`` or ``float16`` for the networks; quantizer searches stay in float32.
        options: overrides of the variant's own inference options (``spec(name).options``).

    Raises:
        UnknownVariantError, OptionError, CheckpointError: one line each, naming what and where.
    """
    from codec_adapters.base import Setup

    variant = spec(name)
    merged = merged_options(variant, options)
    target, precision = checked_target(name, device, dtype)
    folder = checkpoint_folder(variant, checkpoint)
    return _factory(name)(Setup(variant, merged, folder, target, precision))


def checked_target(name: str, device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    """The device and precision that ``name`` is to run on.

    Raises:
        OptionError: the device is not there, or the dtype is none that codecs run in.
    """
    import torch

    if dtype not in ("float32", "bfloat16", "float16"):
        raise OptionError(f"{name}: dtype {dtype!r} is not one of float32, bfloat16, float16")
    try:
        target = torch.device(device)
        torch.empty(0, device=target)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"{name}: device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    return target, getattr(torch, dtype)


def merged_options(variant: Loadable, options: Mapping[str, OptionValue] | None) -> dict[str, OptionValue]:
    """The variant's options with ``options`` laid over the defaults; kinds must match (an int may stand for a float).

    Raises:
        OptionError: an unknown option or a value of another kind.
    """
    merged = dict(variant.options)
    for key, value in (options or {}).items():
        if key not in merged:
            known = ", ".join(merged) or "none"
            raise OptionError(f"{variant.name}: unknown option {key!r}; its options: {known}")
        kind = type(merged[key])
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise OptionError(f"{variant.name}: option {key!r} must be {kind.__name__}, got {value!r}")
        merged[key] = value
    return merged


def checkpoint_folder(variant: Loadable, checkpoint: str | Path | None) -> Path | None:
    """The folder to load from: the given one, else the official one; ``None`` for a variant without weights.

    Raises:
        CheckpointError: the folder is not there, or the official weights cannot be had.
    """
    if checkpoint is None:
        return weights.fetch(variant.checkpoint) if variant.checkpoint else None
    folder = Path(checkpoint)
    if not folder.is_dir():
        raise CheckpointError(f"{variant.name}: checkpoint folder {folder} does not exist or is no folder")
    return folder


def _factory(name: str) -> AdapterFactory:
    if name in _registered:
        return _registered[name][1]
    module_name, class_name = builtin()[name].adapter.split(":")
    factory: AdapterFactory = getattr(import_module(module_name), class_name)
    return factory
