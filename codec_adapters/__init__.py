"""Neural speech codecs behind one contract: ``names()``, ``spec(name)``, ``load(name, ...)``.

>>> import codec_adapters
>>> codec_adapters.spec("encodec_24khz_6kbps").sample_rate
24000
"""

from codec_adapters.errors import CheckpointError, CodecError, InputError, OptionError, UnknownVariantError
from codec_adapters.registry import is_builtin, load, names, register, spec
from codec_adapters.spec import LABELS, CodecSpec, Taxonomy

__all__ = [
    "LABELS",
    "CheckpointError",
    "CodecError",
    "CodecSpec",
    "InputError",
    "OptionError",
    "Taxonomy",
    "UnknownVariantError",
    "is_builtin",
    "load",
    "names",
    "register",
    "spec",
]
