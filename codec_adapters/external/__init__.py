"""Codecs that somebody added without touching this package: one generic adapter per way in.

``ways.py`` says what each way is made of (data that travels between processes; no torch), ``files.py`` checks the
files; one module per way runs it: ``transformers_codec``, ``onnx_codec``, ``torchscript_codec``, ``exported_codec``,
``python_codec``, ``command_codec``. How a user writes one down is in ``docs/codec_files.md``.
"""

from codec_adapters.external.files import HubFolder, ListedFile
from codec_adapters.external.ways import (
    AddedCodec,
    CommandWay,
    ExportedWay,
    OnnxWay,
    PythonWay,
    TorchscriptWay,
    TransformersWay,
    Way,
)

__all__ = [
    "AddedCodec",
    "CommandWay",
    "ExportedWay",
    "HubFolder",
    "ListedFile",
    "OnnxWay",
    "PythonWay",
    "TorchscriptWay",
    "TransformersWay",
    "Way",
]
