"""Loading ALMs of a catalogue, each with the codec that it speaks through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from codec_adapters.entry import Entry
from codec_adapters.errors import OptionError
from codec_adapters.loading import (
    Options,
    checked_target,
    checkpoint_folder,
    explained,
    load_codec,
    merged_options,
)
from codec_adapters.spec import AlmSpec, CodecSpec

if TYPE_CHECKING:
    from codec_adapters.alm.base import Alm


def load_alm(
    entry: Entry,
    codec: Entry,
    checkpoint: str | Path | None = None,
    codec_checkpoint: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    options: Options | None = None,
    codec_options: Options | None = None,
) -> Alm:
    """Load an ALM with the codec that it speaks through, or without, where it decodes by itself; arguments and errors
    as of :func:`codec_adapters.alm.load`."""
    from codec_adapters.alm.base import AlmSetup

    spec = entry.spec
    assert isinstance(spec, AlmSpec)
    assert isinstance(codec.spec, CodecSpec)
    if spec.decodes_itself and (codec_checkpoint or codec_options):
        raise OptionError(f"{spec.name}: decodes by itself; leave the codec's checkpoint and options out")
    merged = merged_options(spec, options)
    target, precision = checked_target(spec.name, device, dtype)
    folder = checkpoint_folder(spec, checkpoint)
    adapter = None
    if not spec.decodes_itself:
        adapter = load_codec(codec, codec_checkpoint, device, dtype, codec_options)
    with explained(spec.name, folder):
        alm: Alm = entry.provider.load(AlmSetup(spec, merged, folder, adapter, target, precision, codec.spec))
    return alm
