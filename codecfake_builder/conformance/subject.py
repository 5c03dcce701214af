"""The codec under judgement, how thoroughly it is judged, and the outputs that several checks need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from codecfake_builder import audio
from codecfake_builder.audio import Wave
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.conformance.measure import SAME
from codecfake_builder.conformance.speech import bundled_speech, lasting
from codecfake_builder.rejections import RejectedError
from codecfake_builder.resynthesis import PaddingRule, resynthesize

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

SAME_ON_ACCELERATORS = 1e-2
"""What a float32 sum in another order may do to a sample there, once it has passed a vocoder."""


class Failed(Exception):  # noqa: N818 - a verdict, not an error
    """The codec does not behave; the message says what was measured."""


class NotJudged(Exception):  # noqa: N818
    """The check says nothing of this codec; the message says why."""


@dataclass(frozen=True)
class Settings:
    """How thoroughly a codec is judged, and what is still speech."""

    clips: int = 4
    """Of the bundled speech."""
    clip_seconds: float = 2.0
    """At most so much of each."""
    seconds: tuple[float, ...] = (0.1, 0.101, 0.3, 0.737, 1.999, 5.0, 11.3, 30.0)
    """Lengths that must pass."""
    threads: int = 3
    repeats: int = 8
    """Calls in each of the blocks after which memory is looked at; 0: not looked at."""
    least_stoi: float = 0.6
    """Median STOI (0 to 1) below which an output is no speech any more. White noise reaches 0.48, networks with random
    weights 0.57; the weakest codec of the embedded edition, trained for minutes, 0.68."""
    loudest_silence: float = 0.1
    """RMS (full scale is 1) from which the answer to silence is as loud as speech."""
    policy: AudioPolicy = field(default_factory=AudioPolicy)


THOROUGH = Settings()

QUICK = Settings(clips=2, clip_seconds=0.65, seconds=(0.1, 0.101, 1.0), threads=2, repeats=2)
"""Seconds instead of tens: enough to see what a code change has broken."""


class Subject:
    """An adapter, the bundled speech at its rate, and what it makes of it.

    Attributes:
        adapter: the codec, loaded.
        load: loads it again, without anything from the network; ``None`` where it came from elsewhere.
        own_weights: whether it runs with the weights and options that its spec speaks of, so that all of the spec's
            figures must be those of the network.
    """

    def __init__(
        self, adapter: Adapter, settings: Settings, load: Callable[[], Adapter] | None, own_weights: bool
    ) -> None:
        self.adapter = adapter
        self.settings = settings
        self.load = load
        self.own_weights = own_weights
        self.same = SAME if adapter.device.type == "cpu" and self.exact_dtype else SAME_ON_ACCELERATORS

    @property
    def exact_dtype(self) -> bool:
        """Whether the networks compute in float32; in less, a clip may depend on what it is batched with."""
        return self.adapter.dtype == torch.float32

    @cached_property
    def waves(self) -> list[Wave]:
        """Speech at the codec's rate."""
        return bundled_speech(self.adapter.sample_rate, self.settings.clips, self.settings.clip_seconds)

    @cached_property
    def rule(self) -> PaddingRule:
        """The engine's padding for this codec."""
        return PaddingRule.of(self.adapter, self.settings.policy)

    def speech(self, seconds: float) -> Wave:
        """So much speech at the codec's rate."""
        return lasting(self.waves, round(seconds * self.adapter.sample_rate))

    def run(self, waves: Sequence[Wave], seeds: Sequence[int] | None = None) -> list[Wave]:
        """A batch through the codec as the engine does it, padded to the length of the longest one.

        Raises:
            NotJudged: what comes out is no waveform that could be looked at further; another check says so.
        """
        length = self.rule.padded(max(map(len, waves)))
        outputs = resynthesize(self.adapter, waves, seeds or [1] * len(waves), length)
        if len(outputs) != len(waves) or any(out.ndim != 1 or not len(out) for out in outputs):
            raise NotJudged("the output has not the contract's shape, see output")
        if not all(np.isfinite(out).all() for out in outputs):
            raise NotJudged("the output is not finite, see output")
        return outputs

    @cached_property
    def outputs(self) -> list[Wave]:
        """Each of :attr:`waves` through the codec, alone."""
        return [self.run([wave])[0] for wave in self.waves]

    @cached_property
    def repeats_itself(self) -> str:
        """Empty, or how the codec answers the same input otherwise the second time."""
        again = self.run([self.waves[0]])[0]
        once = self.run([self.waves[0]])[0]
        if problem := self.differ(again, once):
            return f"the same input and seed give another output at once: {problem}"
        self.run([self.waves[1][::-1].copy()], [77])
        self.run([self.speech(0.4)], [78])
        if problem := self.differ(once, self.run([self.waves[0]])[0]):
            return f"the same input and seed give another output after other inputs (hidden state): {problem}"
        return ""

    def need_waveforms(self) -> None:
        """Raise :class:`NotJudged` where ordinary speech gives no waveform: other inputs would only say it again."""
        len(self.outputs)

    def need_repeatable(self) -> None:
        """Raise :class:`NotJudged` where comparing two outputs would only say again that they differ."""
        if self.repeats_itself:
            raise NotJudged("the codec does not repeat itself, see deterministic")

    def differ(self, one: Wave, other: Wave, same: float | None = None) -> str:
        """Empty, or how two outputs differ by more than ``same`` (default: not a bit on a CPU), in words."""
        if same is None:
            same = 0.0 if self.adapter.device.type == "cpu" else self.same
        if len(one) != len(other):
            return f"{len(one)} and {len(other)} samples"
        most = float(np.abs(one.astype(np.float64) - other).max())
        return "" if most <= same else f"up to {most:.2g} of full scale"

    def restored(self, wave: Wave, out: Wave) -> Wave:
        """An output back on its source's time line at 16 kHz, by the engine's own rule.

        Raises:
            Failed: it is too short for that, or not finite.
        """
        rate = self.adapter.sample_rate
        samples = audio.samples_at(len(wave), rate, audio.RATE)
        slack = round(self.settings.policy.max_missing_seconds * audio.RATE)
        try:
            return audio.restore(out, rate, self.adapter.spec.delay_samples, samples, slack)
        except RejectedError as error:
            raise Failed(f"{len(wave) / rate:.3f} s: {error.detail} (at 16 kHz)") from error
