"""Audio language models (ALMs) behind one contract: ``names()``, ``spec(name)``, ``load(name, ...)``.

An ALM answers, continues or reads a prompt in speech that a neural codec's decoder makes from the model's tokens; the
clip's class is that of the codec.

>>> import codec_adapters
>>> codec_adapters.alm.spec("codec_lm_mimi").codec_variant
'mimi_8codebooks'
"""

from codec_adapters.alm.registry import is_builtin, load, names, register, registered, spec
from codec_adapters.alm.spec import AlmSpec

__all__ = ["AlmSpec", "is_builtin", "load", "names", "register", "registered", "spec"]
