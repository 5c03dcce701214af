"""Every built-in variant conforms, with a small checkpoint in place of its official one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import codec_adapters
from codec_adapters import CodecSpec
from codec_adapters.base import Adapter
from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.conformance.settings import QUICK
from codecfake_builder.conformance.suite import CHECKS, failed, results_table, run_suite
from tools.small_networks.checkpoints import is_trained, small_checkpoint

RANDOM_WEIGHTS = replace(QUICK, least_stoi=0.0, loudest_silence=1.0)
"""What random weights make of speech is none, and they need not be quiet."""
FIGURES = {"PESQ", "gain", "real-time factor", "peak memory", "no leak"}
"""Take most of the time and hold no variant to anything; leaks are looked for in a codec of each family."""
JUDGED = [name for name in CHECKS if name not in FIGURES]
OWN_FACTS = ["output", "any length", "spec", "codes"]
"""What can differ between variants of one network."""
CORE = ["loads offline", "output", "deterministic", "batch invariance", "any length", "nonsense refused", "codes"]
"""What is quick to judge; the quick tests judge each network by it, once."""
EVERY_NETWORK = [
    "mimi_8codebooks",
    "speechtokenizer_hubert_avg",
    "funcodec_zh_en_nq32ds640",
    "funcodec_libritts_gr1nq32ds320",
    "encodec_24khz_6kbps",
    "encodec_48khz_6kbps",
    "facodec_v1",
    "facodec_v2",
    "snac_24khz",
    "wavtokenizer_small_75tps",
    "lyra_v2_9_2kbps",
    "academicodec_encodec_16k_320d",
    "academicodec_hifi_16k_320d",
    "audiodec_libritts_v1",
    "audiodec_libritts_sym",
    "dac_16khz",
]
"""A variant of each adapter, and of each architecture that one adapter runs; all checks are made of these."""


def conforming(variant: str, scratch: Path, checks: list[str]) -> None:
    try:
        folder = small_checkpoint(variant, scratch)
    except FileNotFoundError as error:
        pytest.skip(str(error))

    def load() -> Adapter:
        return codec_adapters.load(variant, checkpoint=folder)

    results = run_suite(
        load(), QUICK if is_trained(variant) else RANDOM_WEIGHTS, load, own_weights=False, checks=checks
    )
    assert not failed(results), results_table(results)
    assert {result.name for result in results if result.verdict == "skipped"} <= {"delay"}, results_table(results)


@pytest.mark.parametrize("variant", EVERY_NETWORK)
def test_a_network_conforms(variant: str, tmp_path: Path) -> None:
    conforming(variant, tmp_path, CORE)


@pytest.mark.slow
@pytest.mark.parametrize("variant", sorted(spec.name for spec in builtin_catalogue().codecs()))
def test_a_builtin_variant_conforms(variant: str, tmp_path: Path) -> None:
    rest = [name for name in JUDGED if name not in CORE]
    checks = rest if variant in EVERY_NETWORK else OWN_FACTS
    if not codec_adapters.spec(variant).tail_local:
        checks = [name for name in checks if name != "tail_local"]  # the longest of all, and it cannot fail then
    conforming(variant, tmp_path, checks)


def test_every_adapter_is_judged_fully() -> None:
    entries = [entry for entry in builtin_catalogue().entries if isinstance(entry.spec, CodecSpec)]
    targets = {entry.name: entry.provider for entry in entries}
    assert {targets[name] for name in EVERY_NETWORK} == set(targets.values())


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["audiodec_libritts_v1", "encodec_24khz_6kbps", "lyra_v2_9_2kbps", "snac_24khz"])
def test_no_codec_leaks(variant: str, tmp_path: Path) -> None:
    """torch, transformers with its caches, TensorFlow Lite, and a library of its own."""
    conforming(variant, tmp_path, ["no leak"])
