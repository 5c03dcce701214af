"""External codecs: somebody else's codec without a line of code in this package.

A codec file (``codec_file.py``, see ``docs/codec_files.md``) names one backend: ``transformers.py``, ``onnx.py``,
``torchscript.py``, ``exported.py``, ``python.py`` or ``command.py``. A backend is data, and ``adapters/`` runs it.
``plugins.py`` is code of a recipe's author, ``worker/`` a process in an environment of its own.
"""
