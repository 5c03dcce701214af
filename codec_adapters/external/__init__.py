"""External codecs: codecs that come by a codec file, without any code of theirs in this package.

A codec file (``codec_file.py``, see ``docs/codec_files.md``) has the section of one backend: ``transformers.py``,
``onnx.py``, ``torchscript.py``, ``exported.py``, ``python.py`` or ``command.py``. A backend is data; the adapter that
runs it is in ``adapters/``. ``plugins.py`` loads the plugins of a recipe, codec files among them; ``worker/`` runs
isolated codecs and ALMs, each in an environment of its own.
"""
