"""How much of speech a clip keeps of its source, by the measures of the field: STOI, and wide-band PESQ.

STOI (1 is the source itself): Taal et al., "An Algorithm for Intelligibility Prediction of Time-Frequency Weighted
Noisy Speech", IEEE TASLP 2011 (``pystoi``). PESQ (1 to 4.64): ITU-T P.862.2 (``pesq``, extra ``quality``).
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np

from codecfake_builder.audio import RATE, Wave

UNMEASURABLE = 1e-4
"""A STOI below this is that of a source with less than 0.4 s of speech, or of a silent clip."""


def stoi(source: Wave, clip: Wave) -> float:
    """Return the STOI of a clip; less than :data:`UNMEASURABLE` where there is less than 0.4 s of speech.

    Args:
        source: float32 ``[samples]`` at 16 kHz.
        clip: aligned with it, of the same length.
    """
    from pystoi import stoi as measured  # takes a second to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # warns of clips that are too short; the score shows it
        return float(np.nan_to_num(measured(source, clip, RATE)))


def has_pesq() -> bool:
    """Return whether ``pesq`` is installed: it is an extra, since it is compiled on installation."""
    return find_spec("pesq") is not None


def pesq(source: Wave, clip: Wave) -> float:
    """Return the wide-band PESQ of a clip; NaN where it finds no speech.

    Args:
        source: float32 ``[samples]`` at 16 kHz.
        clip: aligned with it.

    Raises:
        ImportError: ``pesq`` is not installed, see :func:`has_pesq`.
    """
    from pesq import PesqError
    from pesq import pesq as measured

    if not (np.any(source) and np.any(clip)):
        return float("nan")
    try:
        return float(measured(RATE, source, clip, "wb"))
    except PesqError:
        return float("nan")
