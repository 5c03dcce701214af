"""A driver to start from: copy it, and put the codec or the audio language model where it says so. It runs in an
environment of its own, with the repository as working folder and on the import path."""

from typing import Any, Dict, List, Optional

from codecfake_driver import read_wav, serve, write_wav

codec: Any = None


def load(device: str, dtype: str, options: Dict[str, Any], checkpoint: Optional[str]) -> Dict[str, Any]:
    """Called once, before anything else: make the codec or the model.

    device is a torch device ("cpu", "cuda:0"), dtype "float32" and the like, options what the recipe sets, checkpoint a
    folder or None. Returns the rate in Hz that the codec works at, or at which the model speaks.
    """
    global codec
    codec = None  # e.g. from their_package import Model; codec = Model.load(checkpoint).to(device)
    return {"sample_rate": 16000}


def resynthesize(inputs: List[str], outputs: List[str], seeds: List[int]) -> None:
    """A codec's; called for every batch: one WAV file in (mono, 32-bit float, the rate above, all of the same length)
    for one out.

    Whatever is random must draw from the clip's own seed, so that a clip does not depend on its batch.
    """
    for source, target, _seed in zip(inputs, outputs, seeds):
        samples, rate = read_wav(source)  # or soundfile, torchaudio: whatever the environment has
        write_wav(target, samples, rate)  # put the codec between the two


# def generate(prompts: List[Dict[str, Any]], outputs: List[str], seeds: List[int]) -> Dict[str, Any]:
#     """A model's; called for every batch of prompts, each a dict of id, text, transcript, language and audio (a WAV
#     file or None): one WAV file out for each, at most options["max_seconds"] long, empty where the model said nothing.
#
#     Same prompt, same seed: same samples, whatever stands beside it. Seed everything that is random with the clip's
#     own seed before each clip, e.g. torch.manual_seed(seed).
#     """
#     clips = []
#     for prompt, target, seed in zip(prompts, outputs, seeds):
#         heard, rate = read_wav(prompt["audio"])
#         samples, ended = model.speak(prompt["text"], heard, seed)
#         write_wav(target, samples, 16000)
#         # text: what the model wrote, or None; cut: ids outside of the codebook, before the first of which it was cut
#         clips.append({"text": None, "stop": "eos" if ended else "length", "cut": 0})
#     return {"clips": clips}


serve({"load": load, "resynthesize": resynthesize})  # a model's: {"load": load, "generate": generate}
