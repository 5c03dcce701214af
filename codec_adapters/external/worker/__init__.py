"""Codecs and models whose code cannot live in this environment: each runs in its own, as a worker process.

``environment.py`` makes the environment, ``worker.py`` runs the process and speaks with it, ``exchange.py`` adds the
audio; ``adapter.py`` makes a codec of it, ``model.py`` an audio language model. ``kit/`` is what a driver imports
(standard library only), ``drivers/`` holds a template and two reference drivers. The protocol is described in
``docs/isolated_environments.md``.
"""

from codec_adapters.external.worker.base import Isolated
from codec_adapters.external.worker.environment import Environment, EnvironmentSpec, prepare
from codec_adapters.external.worker.worker import Limits, Worker

__all__ = ["Environment", "EnvironmentSpec", "Isolated", "Limits", "Worker", "prepare"]
