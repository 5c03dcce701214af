"""A driver to start from: copy it, and put the codec where it says so. It runs in the codec's own environment, with the
codec's repository as working folder and on the import path."""

from typing import Any, Dict, List, Optional

from codecfake_driver import read_wav, serve, write_wav

codec: Any = None


def load(device: str, dtype: str, options: Dict[str, Any], checkpoint: Optional[str]) -> Dict[str, Any]:
    """Called once, before anything else: make the codec.

    device is a torch device ("cpu", "cuda:0"), dtype "float32" and the like, options what the recipe sets, checkpoint a
    folder or None. Returns the rate in Hz that the codec works at.
    """
    global codec
    codec = None  # e.g. from their_package import Model; codec = Model.load(checkpoint).to(device)
    return {"sample_rate": 16000}


def resynthesize(inputs: List[str], outputs: List[str], seeds: List[int]) -> None:
    """Called for every batch: one WAV file in (mono, 32-bit float, the rate above, all of the same length) for one out.

    Whatever is random must draw from the clip's own seed, so that a clip does not depend on its batch.
    """
    for source, target, _seed in zip(inputs, outputs, seeds):
        samples, rate = read_wav(source)  # or soundfile, torchaudio: whatever the environment has
        write_wav(target, samples, rate)  # put the codec between the two


serve({"load": load, "resynthesize": resynthesize})
