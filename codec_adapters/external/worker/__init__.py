"""Isolated codecs and ALMs: their code cannot run in this environment, so each runs in its own, as a worker process.

``entry.py`` reads an entry under ``isolated:`` of a recipe; ``environment.py`` makes the environment, ``worker.py``
starts the process and exchanges messages with it, ``exchange.py`` audio; ``adapter.py`` is the adapter of an isolated
codec, ``alm.py`` that of an ALM. ``kit/`` is what a driver imports (standard library only), ``drivers/`` has a template
and two reference drivers; the hash of a driver is part of content keys, so that an edit has its clips made again. The
protocol is described in ``docs/isolated_environments.md``.
"""
