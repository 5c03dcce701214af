"""Neural speech codecs behind one contract: ``names()``, ``spec(name)``, ``load(name, ...)``.

>>> import codec_adapters
>>> codec_adapters.spec("encodec_24khz_6kbps").sample_rate
24000
"""

from codec_adapters import alm
from codec_adapters.alm.spec import AlmSpec
from codec_adapters.errors import CheckpointError, CodecError, InputError, OptionError, UnknownVariantError
from codec_adapters.registry import is_builtin, load, names, register, registered, spec
from codec_adapters.spec import LABELS, CodecSpec, Taxonomy

__all__ = [
    "LABELS",
    "AlmSpec",
    "CheckpointError",
    "CodecError",
    "CodecSpec",
    "InputError",
    "OptionError",
    "Taxonomy",
    "UnknownVariantError",
    "alm",
    "is_builtin",
    "load",
    "names",
    "register",
    "registered",
    "spec",
]
