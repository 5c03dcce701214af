"""VALL-E: text to speech in the voice of a prompt, through EnCodec at 24 kHz and 6 kbit/s.

Paper: Wang et al., "Neural Codec Language Models are Zero-Shot Text to Speech Synthesizers", arXiv 2301.02111. The
authors released nothing; the weights and layout are those of the first version of open-mmlab/Amphion (MIT). Checkpoint:
a hub snapshot such as ``amphion/valle_libritts``: ``args.json``, ``symbols.dict``, and
``checkpoint/<state>/pytorch_model.bin`` (or ``model.safetensors``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, generators
from codec_adapters.alm.codebooks import before_bad_frames, codebook_size, generation_of, require_codebooks
from codec_adapters.alm.phonemes import PhoneTable, phonemes, require_espeak
from codec_adapters.alm.valle_network import MOST_FRAMES_PER_PHONE, ValleConfig, ValleNetwork
from codec_adapters.errors import CheckpointError
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import read_yaml, required_file, validated

WEIGHTS = ("pytorch_model.bin", "model.safetensors")


class Valle(Alm):
    """VALL-E (Wang et al., arXiv 2301.02111) in the first version of open-mmlab/Amphion.

    The draws of the first codebook depend on the seed; the other codebooks are always the likeliest codes. Options:
    ``temperature`` and ``top_k`` of the first codebook (upstream's 1.0 and all); ``max_seconds``; ``text_is_phonemes``:
    texts and transcripts are phonemes already, separated by spaces, with ``_`` between words; otherwise espeak-ng makes
    the phonemes.
    """

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        if not setup.options["text_is_phonemes"]:
            require_espeak()
        self.network = load_network(setup.folder).to(setup.device, setup.dtype)
        self.table = PhoneTable(required_file(setup.folder, "symbols.dict"))
        config = self.network.config
        require_codebooks(self.codec, f"{setup.folder}:", config.num_quantizers, config.audio_token_num)
        if len(self.table.ids) > config.text_token_num:
            raise CheckpointError(
                f"{self.table.path}: has {len(self.table.ids)} phonemes, the model's table {config.text_token_num}"
            )
        self.sampler = setup.sampler()
        self.max_frames = max(1, int(self.max_seconds * self.codec.frame_rate))

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        (prompt,), (generator,), (seed,) = prompts, generators(seeds), seeds
        assert prompt.audio is not None
        enrolled = len(self._phones(prompt.transcript or ""))
        ids = self._phones(f"{prompt.transcript} {prompt.text}")
        phones = torch.tensor([ids], device=self.device)
        heard = self.codec.encode(prompt.audio[None])[0].transpose(1, 2)
        most = min(MOST_FRAMES_PER_PHONE * len(ids) + 1, self.max_frames)
        first, ended = self.network.first_codebook(
            phones, heard, most, lambda logits: self.sampler.draw(logits, [generator])
        )
        if not first.shape[1]:
            return [Generation(torch.zeros(0), "eos", 0)]
        codes = self.network.other_codebooks(phones, enrolled, heard, first)[0].T
        table, cut = before_bad_frames(codes.cpu(), codebook_size(self.codec))
        return [generation_of(self.codec, table, seed, "eos" if ended else "length", cut)]

    def _phones(self, text: str) -> list[int]:
        """Return the ids of a text's phonemes, with begin and end."""
        return self.table.sequence(text.split() if self.options["text_is_phonemes"] else phonemes(text))


def load_network(folder: Path) -> ValleNetwork:
    """Load the network of a checkpoint folder; eval mode, on the CPU.

    Raises:
        CheckpointError: a file is missing, damaged, or does not fit the others.
    """
    args = required_file(folder, "args.json")
    # Amphion writes JSON5 (with a comma after the last entry), which YAML readers accept
    section = read_yaml(args).get("model")
    if not isinstance(section, dict):
        raise CheckpointError(f"{args}: has no section model")
    path = _weights(folder)
    with network_from(args):
        network = ValleNetwork(validated(ValleConfig, section, args))
    load_strict(network, tensor_state(read_tensors(path), path), path)
    return network.eval()


def _weights(folder: Path) -> Path:
    """Return the weights file, in the folder itself or in the only folder below ``checkpoint``.

    Raises:
        CheckpointError: there is none, or more than one.
    """
    found = [path for name in WEIGHTS for path in [*folder.glob(name), *folder.glob(f"checkpoint/*/{name}")]]
    if len(found) > 1:
        names = ", ".join(sorted(path.relative_to(folder).as_posix() for path in found))
        raise CheckpointError(f"{folder}: has several checkpoints, keep one: {names}")
    return found[0] if found else required_file(folder, *WEIGHTS)
