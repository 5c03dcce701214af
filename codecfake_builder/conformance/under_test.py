"""The codec under test, with the speech, outputs and comparisons that several checks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from codec_adapters.errors import CodecError
from codecfake_builder import audio
from codecfake_builder.audio import Wave
from codecfake_builder.conformance import measure
from codecfake_builder.conformance.measure import TOLERANCE
from codecfake_builder.conformance.speech import bundled_speech, repeat_to_length
from codecfake_builder.errors import BuilderError
from codecfake_builder.rejections import RejectedError
from codecfake_builder.resynthesis import PaddingRule, resynthesize

if TYPE_CHECKING:
    from codec_adapters.base import Adapter
    from codecfake_builder.conformance.settings import Settings

ACCELERATOR_TOLERANCE = 1e-2
"""The same on other devices than CPUs, and in half precision: a float32 sum in another order may change a sample by so
much once it has passed a vocoder."""


EDGE_SECONDS = 0.1
"""Passages begin and end with so much speech, so that what is missing there shows."""


class FailVerdict(BuilderError):  # noqa: N818 - a verdict, not an error
    """The codec does not behave as builds need it to; the message says what was measured."""


class SkipVerdict(BuilderError):  # noqa: N818 - a verdict, not an error
    """A check does not apply to this codec; the message says why."""


def load_or_explain(name: str, load: Callable[[], Adapter]) -> Adapter:
    """Load a codec that may be someone else's code: whatever it raises becomes one line.

    Args:
        name: of the codec, for the message.
        load: loads it.

    Raises:
        CodecError, OSError: as ``load`` raises them.
        BuilderError: ``load`` raised anything else.
    """
    try:
        return load()
    except (CodecError, OSError, KeyboardInterrupt):
        raise
    except BaseException as error:  # someone else's code may raise anything
        reason = " ".join(str(error).split())[:300]
        raise BuilderError(f"{name}: cannot be loaded ({type(error).__name__}: {reason})") from error


class CodecUnderTest:
    """An adapter, the bundled speech at its rate, and its outputs for that speech.

    Attributes:
        adapter: the loaded codec.
        settings: how thoroughly it is checked.
        load: loads it again without the network; ``None`` where that is not possible.
        own_weights: whether it runs with the weights and options that its spec describes, so that codebooks and bit
            rate of the spec must be the network's.
        tolerance: difference up to which two outputs are equal, full scale being 1.
        fresh: the codec loaded once more, which has not run yet, where a check has loaded it.
        output_passed: whether the check of the output's shape and values has passed.
    """

    def __init__(
        self, adapter: Adapter, settings: Settings, load: Callable[[], Adapter] | None, own_weights: bool
    ) -> None:
        self.adapter = adapter
        self.settings = settings
        self.load = load
        self.own_weights = own_weights
        self.on_cpu = adapter.device.type == "cpu"
        self.tolerance = TOLERANCE if self.on_cpu and self.is_float32 else ACCELERATOR_TOLERANCE
        self._restored: dict[float, tuple[Wave, Wave]] = {}
        self.fresh: Adapter | None = None
        self.output_passed = False

    @property
    def is_float32(self) -> bool:
        """Whether the networks compute in float32; in half precision a clip may depend on its batch."""
        return self.adapter.dtype == torch.float32

    @cached_property
    def waves(self) -> list[Wave]:
        """Bundled speech at the codec's rate, float32 ``[samples]`` each."""
        return bundled_speech(self.adapter.sample_rate, self.settings.clips, self.settings.clip_seconds)

    @cached_property
    def padding(self) -> PaddingRule:
        """The padding that builds use for this codec."""
        return PaddingRule.of(self.adapter, self.settings.policy)

    def speech(self, seconds: float) -> Wave:
        """Return speech of this length at the codec's rate."""
        return repeat_to_length(self.waves, round(seconds * self.adapter.sample_rate))

    @cached_property
    def passages(self) -> dict[float, Wave]:
        """Speech of each length of the settings, seconds -> wave, which begins and ends while somebody speaks."""
        return {seconds: self._passage(seconds) for seconds in self.settings.seconds}

    def _passage(self, seconds: float) -> Wave:
        samples, edge = round(seconds * self.adapter.sample_rate), round(EDGE_SECONDS * self.adapter.sample_rate)
        speech = np.concatenate(self.waves)
        starts, levels = measure.part_levels(np.resize(speech, len(speech) + edge), edge)
        ends = np.interp((starts + samples - edge) % len(speech), starts, levels)
        start = int(starts[np.argmax(np.minimum(levels, ends))])
        return np.resize(np.roll(speech, -start), samples)

    def restored_passage(self, seconds: float) -> tuple[Wave, Wave]:
        """Return the passage of this length and the output for it, aligned with it, both at 16 kHz; run once only.

        Raises:
            FailVerdict: the output does not cover the passage, or is not finite.
        """
        if seconds not in self._restored:
            wave = self.passages[seconds]
            length = self.padding.padded(len(wave))
            batch = torch.from_numpy(audio.fit(wave, length))[None]
            out: Wave = self.adapter.resynthesize(batch, [1])[0].cpu().numpy()
            source = audio.resample(wave, self.adapter.sample_rate, audio.RATE)
            restored = self.restored(wave, out)
            self._restored[seconds] = source[: len(restored)], restored[: len(source)]
        return self._restored[seconds]

    @cached_property
    def restored_passages(self) -> dict[float, tuple[Wave, Wave]]:
        """What :meth:`restored_passage` returns, for the lengths that come back whole."""
        found = {}
        for seconds in self.settings.seconds:
            try:
                found[seconds] = self.restored_passage(seconds)
            except (Exception, SystemExit):  # noqa: BLE001, S112 - a codec may raise anything; "any length" reports it
                continue
        if not found:
            raise SkipVerdict("no clip comes back whole, see any length")
        return found

    @cached_property
    def follows_speech(self) -> bool:
        """Whether the envelopes of the outputs are those of speech that went in, so that parts can be compared."""
        if not self.settings.least_stoi:
            return False
        shift = measure.measure_envelope_shift(
            list(zip(self.waves, self.outputs, strict=True)), self.adapter.sample_rate
        )
        return shift.correlation >= measure.LEAST_ENVELOPE_CORRELATION

    def run(self, waves: Sequence[Wave], seeds: Sequence[int] | None = None) -> list[Wave]:
        """Pass a batch through the codec as builds do, padded to the length of the longest clip.

        Args:
            waves: float32 ``[samples]`` at the codec's rate.
            seeds: one per clip; default: 1 for each.

        Raises:
            SkipVerdict: the output is no finite waveform, which the check "output" reports.
            FailVerdict: the same, after that check has passed.
        """
        verdict, where = (FailVerdict, "at this call") if self.output_passed else (SkipVerdict, "see output")
        length = self.padding.padded(max(map(len, waves)))
        outputs = resynthesize(self.adapter, waves, seeds or [1] * len(waves), length)
        if len(outputs) != len(waves) or any(out.ndim != 1 or not len(out) for out in outputs):
            raise verdict(f"the output has not the contract's shape, {where}")
        if not all(np.isfinite(out).all() for out in outputs):
            raise verdict(f"the output is not finite, {where}")
        return outputs

    @cached_property
    def outputs(self) -> list[Wave]:
        """The output for each of :attr:`waves`, one clip per batch."""
        return [self.run([wave])[0] for wave in self.waves]

    @cached_property
    def first_output(self) -> Wave:
        """The output of the codec's very first call here, for the first of :attr:`waves`."""
        return self.run([self.waves[0]])[0]

    @cached_property
    def repeat_problem(self) -> str:
        """How the codec's answer to the same input and seed changes, in words; empty where it stays the same."""
        first = self.first_output
        again = self.run([self.waves[0]])[0]
        once = self.run([self.waves[0]])[0]
        if problem := self.difference(again, once):
            return f"the same input and seed give another output at once: {problem}"
        self.run([self.waves[1][::-1].copy()], [77])
        self.run([self.speech(0.4)], [78])
        if problem := self.difference(once, self.run([self.waves[0]])[0]):
            return f"the same input and seed give another output after other inputs (hidden state): {problem}"
        if problem := self.difference(first, once, self.tolerance):
            return f"the first call gives another output than later ones: {problem}"
        if self.fresh is not None:
            unused = resynthesize(self.fresh, [self.waves[0]], [1], self.padding.padded(len(self.waves[0])))[0]
            if problem := self.difference(unused, once, self.tolerance):
                return f"loaded once more, the codec gives another output at its first call: {problem}"
        return ""

    def skip_without_waveforms(self) -> None:
        """Raise :class:`SkipVerdict` where ordinary speech gives no waveform: unusual input would show no more."""
        len(self.outputs)

    def skip_if_unrepeatable(self) -> None:
        """Raise :class:`SkipVerdict` where equal runs differ: comparing other outputs would show no more."""
        if self.repeat_problem:
            raise SkipVerdict("the codec does not repeat itself, see deterministic")

    def difference(self, one: Wave, other: Wave, tolerance: float | None = None) -> str:
        """Return how two outputs differ by more than ``tolerance``, in words; empty where they do not.

        Args:
            tolerance: full scale is 1; default: none on a CPU, :attr:`tolerance` elsewhere.
        """
        if tolerance is None:
            tolerance = 0.0 if self.on_cpu else self.tolerance
        if len(one) != len(other):
            return f"{len(one)} and {len(other)} samples"
        most = float(np.abs(one.astype(np.float64) - other).max())
        return "" if most <= tolerance else f"up to {most:.2g} of full scale"

    def restored(self, wave: Wave, out: Wave) -> Wave:
        """Return an output aligned with its source at 16 kHz, as builds align it.

        Raises:
            FailVerdict: it is too short for that, or not finite.
        """
        rate = self.adapter.sample_rate
        samples = audio.samples_at(len(wave), rate, audio.RATE)
        slack = round(self.settings.policy.max_missing_seconds * audio.RATE)
        try:
            return audio.restore(out, rate, self.adapter.spec.delay_samples, samples, slack)
        except RejectedError as error:
            raise FailVerdict(f"{len(wave) / rate:.3f} s: {error.detail} (at 16 kHz)") from error
