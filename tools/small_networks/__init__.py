"""Small networks of every codec family and every audio language model, and their checkpoints in the official layouts.

One kit for tests and for the embedded edition. Who needs a small checkpoint asks :mod:`.checkpoints`:

- ``small_checkpoint(variant, scratch)``: of any built-in codec variant, trained where the repository carries one;
- ``RANDOM[variant](folder)``: random weights, codebooks of 64 entries, which the small audio language models speak in;
- ``ALMS[name](folder)`` of :mod:`.alms`: random weights of an audio language model, without its codec's.

``FAMILIES`` of :mod:`.codecs` are the networks that ``tools/train_codecs.py`` trains. :mod:`.graphs` has two codecs
without weights, as TorchScript, exported and ONNX files.
"""
