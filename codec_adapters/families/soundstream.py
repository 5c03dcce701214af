"""SoundStream: Lyra V2's official weights on LiteRT.

Paper: Zeghidour et al., "SoundStream: An End-to-End Neural Audio Codec", arXiv 2107.03312. The paper's own weights were
never released; Lyra V2 (google/lyra, code and weights Apache-2.0) is the only official SoundStream. Checkpoint: the
three files of ``lyra/model_coeffs``.

The graphs keep their streaming state in variables that ``reset_all_variables`` does not restore. So every utterance
gets new interpreters (a few milliseconds). One interpreter is one stream, so the items of a batch run one by one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.errors import CheckpointError
from codec_adapters.files.config import required_file

_FRAME = 320
"""Samples per frame."""
_LEVELS = 46
"""Residual quantizers."""
_BITS_PER_CODE = 4
_GRAPHS = ("soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite")


class LyraAdapter(Adapter):
    """Adapter of Lyra V2, the released SoundStream (Zeghidour et al., arXiv 2107.03312; google/lyra).

    16 kHz mono, frames of 320 samples (50 frames/s), 46 residual quantizers of 16 entries. ``encode`` gives one tensor
    ``[batch, codebooks, samples // 320]``, coarse to fine. Option ``codebooks`` is how many quantizers are used, 1 to
    46; the released settings 16, 30 and 46 are 3.2, 6 and 9.2 kbit/s. Samples after the last whole frame are left out,
    as in Lyra's own tools; an input shorter than one frame is padded to one.

    It runs on the CPU in float32, whatever device was asked for. Nothing is random, but the late quantizers decide on
    what is nearly noise: codes are the same between calls on one machine, not between kinds of CPU.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(replace(setup, device=torch.device("cpu"), dtype=torch.float32))
        self.used = setup.codebooks(_LEVELS)
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
        return _FRAME

    @property
    def codebooks(self) -> int:
        return self.used

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.used * _BITS_PER_CODE

    def _code_form(self) -> CodeForm:
        return CodeForm([Scale([2**_BITS_PER_CODE] * _LEVELS, least=1)])

    def _encode(self, wav: Tensor) -> Codes:
        samples = max(wav.shape[1] // _FRAME, 1) * _FRAME
        whole = torch.nn.functional.pad(wav, (0, max(samples - wav.shape[1], 0)))[:, :samples]
        return Codes([torch.from_numpy(np.stack([self._encode_one(item) for item in whole.numpy()]))])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return torch.from_numpy(np.stack([self._decode_one(item) for item in codes[0].numpy()]))

    def _encode_one(self, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the int64 codes ``[codebooks, frames]`` of float32 samples ``[frames * 320]``."""
        encoder = _Stream(self._encoder)
        quantize = _interpreter(self._quantizer).get_signature_runner("encode")
        used = np.array(self.used, dtype=np.int32)
        codes = []
        for frame in samples.reshape(-1, 1, _FRAME):
            quantized = quantize(input_frames=encoder(frame), num_quantizers=used)
            indices = next(output for output in quantized.values() if output.dtype == np.int32)
            codes.append(indices[: self.used, 0, 0])
        return np.stack(codes, axis=1).astype(np.int64)

    def _decode_one(self, codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the float32 samples ``[frames * 320]`` of codes ``[codebooks, frames]``."""
        dequantize = _interpreter(self._quantizer).get_signature_runner("decode")
        generator = _Stream(self._generator)
        indices = np.full((_LEVELS, 1, 1), -1, dtype=np.int32)  # -1: the quantizer is not used
        frames = []
        for column in codes.T:
            indices[: len(column), 0, 0] = column
            (latent,) = dequantize(encoding_indices=indices).values()
            frames.append(generator(latent)[0])
        return np.concatenate(frames)


class _Stream:
    """One stream through a stateful graph with one input and one output, called frame by frame."""

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
