"""Codecs and ALMs whose code cannot live in this environment: each runs in its own, as a worker process.

``entry.py`` is what a recipe says of one; ``environment.py`` makes the environment, ``worker.py`` runs the process and
speaks with it, ``exchange.py`` adds the audio; ``adapter.py`` makes a codec of it, ``model.py`` an ALM. ``kit/`` is
what a driver imports (standard library only), ``drivers/`` holds a template and two reference drivers. The protocol is
described in ``docs/isolated_environments.md``.
"""
