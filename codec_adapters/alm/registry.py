"""Every ALM that can be loaded: built-in, from installed packages, or registered at run time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from codec_adapters import registry as codecs
from codec_adapters.alm.catalog import builtin
from codec_adapters.alm.spec import AlmSpec
from codec_adapters.errors import OptionError
from codec_adapters.spec import OptionValue

if TYPE_CHECKING:
    from codec_adapters.alm.base import Alm, AlmSetup

    AlmFactory = Callable[[AlmSetup], Alm]

_registered: dict[str, tuple[AlmSpec, AlmFactory]] = {}


def register(spec: AlmSpec, factory: AlmFactory) -> None:
    """Make an ALM known under ``spec.name``; installed packages do so from the entry points that add codecs.

    Args:
        spec: the ALM; its codec variant is known already, and neither a built-in ALM nor a codec has its name.
        factory: makes the ALM from a :class:`codec_adapters.alm.base.AlmSetup`; usually the class itself.

    Raises:
        ValueError: the name is taken or could not stand in a file name, or there is no such codec variant.
    """
    codecs.refuse_odd_name(spec.name)
    if spec.name in builtin() or spec.name in codecs.known():
        raise ValueError(f"{spec.name}: a built-in ALM or a codec variant has this name; choose another")
    if spec.codec_variant not in codecs.known():
        raise ValueError(f"{spec.name}: speaks through {spec.codec_variant!r}, which is no codec variant")
    _registered[spec.name] = (spec, factory)


def names() -> list[str]:
    """Every known ALM, built-in ones first. Imports no model."""
    codecs.load_entry_points()
    return [*builtin(), *sorted(_registered)]


def registered() -> dict[str, AlmSpec]:
    """The specs of the ALMs that are not built in, by name, without looking for installed packages."""
    return {name: spec for name, (spec, _) in _registered.items()}


def is_builtin(name: str) -> bool:
    """Whether ALM ``name`` is one of this package's own."""
    return name in builtin()


def spec(name: str) -> AlmSpec:
    """The spec of ALM ``name``.

    Raises:
        UnknownVariantError: no such ALM; the message names the nearest one.
    """
    if name in builtin():
        return builtin()[name].spec
    codecs.load_entry_points()
    if name in _registered:
        return _registered[name][0]
    raise codecs.unknown("audio language model", name, names(), "codec_adapters.alm.names()")


def load(
    name: str,
    checkpoint: str | Path | None = None,
    codec_checkpoint: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    options: Mapping[str, OptionValue] | None = None,
    codec_options: Mapping[str, OptionValue] | None = None,
) -> Alm:
    """Load an ALM with the codec that it speaks through, ready to run; one that decodes by itself, without.

    Args:
        name: an ALM's name, see :func:`names`.
        checkpoint: local folder in the ALM's official file layout; ``None`` uses the pinned official weights.
        codec_checkpoint: the same for the codec.
        device: a torch device, e.g. ``cpu`` or ``cuda:1``; of both.
        dtype: ``float32``, ``bfloat16`` or ``float16``; of both.
        options: overrides of the ALM's own options (``spec(name).options``).
        codec_options: overrides of the codec variant's options.

    Raises:
        UnknownVariantError, OptionError, CheckpointError: one line each, naming what and where.
    """
    from codec_adapters.alm.base import AlmSetup

    own = spec(name)
    if own.decodes_itself and (codec_checkpoint or codec_options):
        raise OptionError(f"{name}: decodes by itself; leave the codec's checkpoint and options out")
    merged = codecs.merged_options(own, options)
    target, precision = codecs.checked_target(name, device, dtype)
    folder = codecs.checkpoint_folder(own, checkpoint)
    codec = None
    if not own.decodes_itself:
        codec = codecs.load(own.codec_variant, codec_checkpoint, device, dtype, codec_options)
    return _factory(name)(AlmSetup(own, merged, folder, codec, target, precision))


def _factory(name: str) -> AlmFactory:
    if name in _registered:
        return _registered[name][1]
    module_name, class_name = builtin()[name].model.split(":")
    factory: AlmFactory = getattr(import_module(module_name), class_name)
    return factory
