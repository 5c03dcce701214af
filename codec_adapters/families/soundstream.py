"""SoundStream: Lyra V2's official weights on LiteRT.

Paper: Zeghidour et al., "SoundStream: An End-to-End Neural Audio Codec", arXiv 2107.03312. The paper's own weights were
never released; Lyra V2 (google/lyra, code and weights Apache-2.0) is the one official SoundStream. Checkpoint: the
three files of ``lyra/model_coeffs``. 16 kHz mono, frames of 320 samples (50 frames/s), 46 residual quantizers of 16
entries; the first 16, 30 or 46 make 3.2, 6 or 9.2 kbit/s.

The graphs keep their streaming state in variables that ``reset_all_variables`` does not restore, so every utterance
gets new interpreters (a few milliseconds), and one interpreter is one stream: a batch runs item by item. The late
quantizer stages decide on what is nearly noise, so codes agree between calls on one machine, not between kinds of CPU.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.errors import CheckpointError
from codec_adapters.files.config import required_file

FRAME = 320
LEVELS = 46
BITS_PER_CODE = 4
_GRAPHS = ("soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite")


class LyraAdapter(Adapter):
    """Lyra V2; option ``codebooks`` = residual quantizers in use, 1 to 46 (released: 16, 30, 46).

    Runs on the CPU in float32 whatever device was asked for; input beyond the last whole frame is left out, as in
    Lyra's own tools (an input shorter than one frame is padded to one).
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(replace(setup, device=torch.device("cpu"), dtype=torch.float32))
        self.used = setup.codebooks(LEVELS)
        paths = [required_file(setup.folder, name) for name in _GRAPHS]
        self._encoder, self._quantizer, self._generator = (path.read_bytes() for path in paths)
        for path, graph in zip(paths, (self._encoder, self._quantizer, self._generator), strict=True):
            try:
                _interpreter(graph)
            except (ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[0]
                raise CheckpointError(f"{path}: truncated or not a Lyra V2 graph ({reason})") from error

    @property
    def sample_rate(self) -> int:
        return 16000

    @property
    def hop(self) -> int:
        return FRAME

    @property
    def codebooks(self) -> int:
        return self.used

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.used * BITS_PER_CODE

    def _encode(self, wav: Tensor) -> Codes:
        samples = max(wav.shape[1] // FRAME, 1) * FRAME
        whole = torch.nn.functional.pad(wav, (0, max(samples - wav.shape[1], 0)))[:, :samples]
        return Codes([torch.from_numpy(np.stack([self._encode_one(item) for item in whole.numpy()]))])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return torch.from_numpy(np.stack([self._decode_one(item) for item in codes[0].numpy()]))

    def _encode_one(self, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Samples ``[frames * 320]`` to codes ``[codebooks, frames]``."""
        encoder = _Stream(self._encoder)
        quantize = _interpreter(self._quantizer).get_signature_runner("encode")
        used = np.array(self.used, dtype=np.int32)
        codes = []
        for frame in samples.reshape(-1, 1, FRAME):
            quantized = quantize(input_frames=encoder(frame), num_quantizers=used)
            codes.append(next(v for v in quantized.values() if v.dtype == np.int32)[: self.used, 0, 0])
        return np.stack(codes, axis=1).astype(np.int64)

    def _decode_one(self, codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Codes ``[codebooks, frames]`` to samples ``[frames * 320]``."""
        dequantize = _interpreter(self._quantizer).get_signature_runner("decode")
        generator = _Stream(self._generator)
        indices = np.full((LEVELS, 1, 1), -1, dtype=np.int32)
        frames = []
        for column in codes.T:
            indices[: len(column), 0, 0] = column
            (latent,) = dequantize(encoding_indices=indices).values()
            frames.append(generator(latent)[0])
        return np.concatenate(frames)


class _Stream:
    """One pass through a stateful graph with one input and one output, frame by frame."""

    def __init__(self, graph: bytes) -> None:
        self._interpreter = _interpreter(graph)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, frame: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self._interpreter.set_tensor(self._input, frame)
        self._interpreter.invoke()
        result: np.ndarray[Any, Any] = self._interpreter.get_tensor(self._output)
        return result


def _interpreter(graph: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=graph, num_threads=1)
