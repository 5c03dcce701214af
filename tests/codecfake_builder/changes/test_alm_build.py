"""Splits that audio language models speak: through plan, build, card and verify like any other, killed and resumed."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from typer.testing import CliRunner

import codec_adapters
from codec_adapters import alm
from codec_adapters.files.hashing import sha256_of
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.cli.app import app
from codecfake_builder.dataset.records import load_record
from codecfake_builder.dataset.schema import COLUMNS
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import RecipeError
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.plan.table import plan_table
from codecfake_builder.recipe.load import load_recipe, parse_recipe
from codecfake_builder.recipe.resolve import Resolved
from codecfake_builder.recipe.variants import ResolvedAlm, ResolvedCodec
from codecfake_builder.shards.shard import Shard, Utterance
from tests.conftest import REPOSITORY
from tests.kit.datasets_for_tests import built, changed, files, rows, small_recipe
from tests.kit.synthetic import write_wave
from tools.small_networks.alms import ALMS, small_options

FAULTY_ALMS = str(REPOSITORY / "tests" / "kit" / "faulty_alms.py")
LM = "codec_lm_mimi"


def alm_recipe(vctk: Path, aishell3: Path, weights: dict[str, Path], variants: list[str], **changes: Any) -> Resolved:
    """The splits of lyra through Mimi, and a split ``alm`` over the prompts of eval_id."""
    recipe = small_recipe(vctk, aishell3, ["real", "mimi_8codebooks"], weights, **changes)
    document = recipe.recipe.model_dump(mode="json")
    document["splits"]["alm"] = {"same_as": "eval_id", "variants": variants}
    document["options"] = {LM: {"max_seconds": 1.0, "prompt_seconds": 0.5}}
    document["execution"]["prompts_per_shard"] = 2
    return parse_recipe(document, "test", Path())


@pytest.fixture(scope="module")
def weights(tiny: dict[str, Path], tiny_alms: dict[str, Path]) -> dict[str, Path]:
    return {
        "mimi": tiny["mimi_8codebooks"],
        "dac_16khz": tiny["dac_16khz"],
        "codec_lm_mimi": tiny_alms["codec_lm_mimi"],
    }


@pytest.fixture(scope="module")
def recipe(vctk: Path, aishell3: Path, weights: dict[str, Path]) -> Resolved:
    return alm_recipe(vctk, aishell3, weights, [LM])


@pytest.fixture(scope="module")
def dataset(recipe: Resolved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "dataset"
    built(recipe, out)
    return out


def test_rows_say_who_spoke_and_to_which_prompt(dataset: Path) -> None:
    prompts = {row["utterance_id"]: row for row in rows(dataset, "eval_id/real-*.parquet")}
    spoken = rows(dataset, "alm/*.parquet")
    rejected = [row for row in pq.read_table(dataset / "rejected.parquet").to_pylist() if row["split"] == "alm"]
    assert {row["utterance_id"] for row in [*spoken, *rejected]} == set(prompts)
    assert {row["reason"] for row in rejected} <= {"nothing_generated", "too_short"}
    assert len(spoken) > len(rejected)
    for row in spoken:
        prompt = prompts[row["utterance_id"]]
        assert list(row) == list(COLUMNS)
        assert (row["alm"], row["variant"], row["codec"], row["label"], row["is_fake"]) == (LM, LM, "mimi", 1, True)
        assert row["prompt_id"] == f"{prompt['corpus']}/{prompt['utterance_id']}"
        assert row["text"] is None
        for same in ("speaker", "language", "corpus", "source_sha256"):
            assert row[same] == prompt[same]
        assert (row["native_sample_rate"], row["codebooks"], row["auxiliary"]) == (24000, 8, "semantic")
        samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        assert rate == 16000
        assert len(samples) / rate == row["duration"]
        assert row["duration"] / 0.08 == pytest.approx(round(row["duration"] / 0.08))  # whole frames, not the prompt's
    assert max(row["duration"] for row in spoken) == 0.96  # the limit, in whole frames
    assert len({row["audio_sha256"] for row in spoken}) == len(spoken)


def test_verify_card_croissant_and_provenance_know_them(dataset: Path) -> None:
    assert verify(dataset).problems == []
    card = (dataset / "README.md").read_text()
    durations = [row["duration"] for row in rows(dataset, "alm/*.parquet")]
    limit = durations.count(0.96)
    ends = f"{len(durations) - limit} / {limit} / 0"
    assert f"| codec language model ({LM}) | 1 mimi | mimi_8codebooks | {ends} |" in card
    assert card.count("| mimi_8codebooks | 1 mimi | 24000") == 1
    assert "the checkpoint's own" in (dataset / "croissant.json").read_text()
    provenance = yaml.safe_load((dataset / "provenance.json").read_text())
    assert provenance["alms"][LM]["options"]["max_seconds"] == 1.0
    assert set(provenance["alms"][LM]["checkpoint_sha256"]) >= {"model.safetensors", "token_layout.json"}
    assert provenance["alms"][LM]["codec"] == provenance["variants"]["mimi_8codebooks"]
    assert LM not in provenance["variants"]


def test_the_config_of_the_codec_holds_them_beside_real_speech(dataset: Path, tmp_path: Path) -> None:
    found = datasets.load_dataset(str(dataset), "mimi", split="alm", cache_dir=str(tmp_path))
    assert sorted(set(found["variant"])) == [LM, "real"]


def test_what_a_model_spoke_is_fake_by_either_view(dataset: Path, tmp_path: Path) -> None:
    found = datasets.load_dataset(str(dataset), "generated", cache_dir=str(tmp_path))
    assert {name: split.num_rows for name, split in found.items()} == {"alm": len(rows(dataset, "alm/*.parquet"))}
    for row in rows(dataset):
        fake = row["alm"] is not None
        origin = "generated" if fake else "recorded" if row["variant"] == "real" else "resynthesized"
        assert (row["origin"], row["is_fake_transmission"], row["is_fake"]) == (origin, fake, origin != "recorded")


def test_verify_sees_a_wrong_alm_column(dataset: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "d"
    shutil.copytree(dataset, copy)
    path = next((copy / "data" / "alm").glob("*.parquet"))
    table = pq.read_table(path)
    wrong = table.set_column(table.schema.get_field_index("alm"), "alm", [["other"] * table.num_rows])
    pq.write_table(wrong.cast(table.schema), path)
    lines = (copy / "checksums.sha256").read_text().splitlines()
    name = path.relative_to(copy).as_posix()
    digest = sha256_of(path)
    (copy / "checksums.sha256").write_text(
        "".join((f"{digest}  {name}" if line.endswith(name) else line) + "\n" for line in lines)
    )
    assert any(f"alm is 'other', expected '{LM}'" in problem for problem in verify(copy).problems)


def test_the_plan_counts_them_without_guessing_their_length(recipe: Resolved) -> None:
    plan = make_plan(recipe)
    table = plan_table(plan, recipe.catalogue).splitlines()
    (line,) = [line for line in table if line.startswith("alm")]
    members = next(len(split.rows) for split in plan.splits if split.name == "alm")
    assert line.split() == ["alm", "mimi", LM, str(members), "-", "-"]
    assert table[-1].split()[1] == str(sum(len(s.rows) * len(s.variants) for s in plan.splits))


@pytest.mark.slow
def test_a_second_build_makes_nothing_and_another_option_only_its_shards(recipe: Resolved, dataset: Path) -> None:
    again = built(recipe, dataset)
    assert again.shards_made == 0
    before = files(dataset)
    warmer = changed(recipe, options={LM: {**recipe.recipe.options[LM], "temperature": 1.5}})
    warmed = built(warmer, dataset)
    assert warmed.shards_made == len(list((dataset / "data" / "alm").glob("*.parquet")))
    assert {name for name, content in files(dataset).items() if content != before[name]} >= {
        file for file in before if file.startswith("data/alm/")
    }
    assert built(recipe, dataset).shards_made == warmed.shards_made
    assert files(dataset) == before


@pytest.mark.slow
def test_a_killed_generation_goes_on_to_the_same_bytes(recipe: Resolved, dataset: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of the ALM's shards, twice, with two worker processes."""
    out = tmp_path / "killed"
    document = recipe.recipe.model_dump(mode="json")
    document["execution"]["workers"] = 2
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    command = [sys.executable, "-m", "codecfake_builder", "build", str(path), "--out", str(out)]
    for finished in (0, 1):
        process = subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        while len(list((out / ".build").glob("records/alm/*.json"))) <= finished:
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (out / "checksums.sha256").exists()
    recorded = [
        file.stem for file in (out / ".build" / "records" / "alm").glob("*.json")
    ]  # a shard without is no shard
    kept = {name: (out / "data" / "alm" / f"{name}.parquet").stat().st_mtime_ns for name in recorded}
    assert kept
    final = subprocess.run(command, capture_output=True, text=True)
    assert final.returncode == 0, final.stderr
    assert files(out) == files(dataset)
    assert kept == {name: (out / "data" / "alm" / f"{name}.parquet").stat().st_mtime_ns for name in kept}


@pytest.mark.slow
def test_what_fails_is_listed_with_its_reason(
    vctk: Path, aishell3: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    """One ALM per fault; a fault costs the clips that it hits."""
    variants = [f"faulty_alm_{fault}" for fault in ("none", "mute", "silent", "nan", "brief", "endless", "raising")]
    recipe = alm_recipe(
        vctk,
        aishell3,
        weights,
        variants,
        plugins=[FAULTY_ALMS],
        audio={"max_rejected_share": 1.0},
    )
    built(recipe, tmp_path / "d")
    rejected = pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist()
    reasons: dict[str, set[str]] = {}
    for row in rejected:
        reasons.setdefault(str(row["variant"]), set()).add(row["reason"])
    assert reasons == {
        "faulty_alm_mute": {"nothing_generated"},
        "faulty_alm_silent": {"silent"},
        "faulty_alm_nan": {"non_finite"},
        "faulty_alm_brief": {"too_short"},
        "faulty_alm_endless": {"too_long"},
        "faulty_alm_raising": {"alm_error"},
    }
    spoken = rows(tmp_path / "d", "alm/faulty_alm_none-*.parquet")
    assert {row["text"] for row in spoken} == {f"I heard {row['utterance_id']}" for row in spoken}
    # of the peak 3, which moves with the mean
    assert [row["gain"] for row in spoken] == pytest.approx([32767 / 32768 / 3] * len(spoken), rel=0.01)
    assert {row["level_gain"] for row in spoken} == {1.0}
    record = load_record(tmp_path / "d", "data/alm/faulty_alm_none-00000.parquet")
    assert record is not None
    assert record.endings == {"cut": 2, "eos": 2}
    assert verify(tmp_path / "d").problems == []


@pytest.mark.slow
def test_prompts_without_text_are_announced_and_listed(
    vctk: Path, aishell3: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    textless = tmp_path / "vctk"
    (textless / "wav48_silence_trimmed").parent.mkdir(parents=True)
    (textless / "wav48_silence_trimmed").symlink_to(vctk / "wav48_silence_trimmed")
    recipe = alm_recipe(
        textless, aishell3, weights, ["faulty_alm_reader"], plugins=[FAULTY_ALMS], audio={"max_rejected_share": 1.0}
    )
    plan = make_plan(recipe)
    (note,) = [note for note in map(str, plan.notes) if "have no text" in note]
    assert note.startswith("alm: ")
    assert "faulty_alm_reader" in note
    built(recipe, tmp_path / "d")
    rejected = [row for row in pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist() if row["split"] == "alm"]
    assert {(row["reason"], row["corpus"]) for row in rejected} == {("no_text", "vctk")}
    assert f"{len(rejected)} of" in note


def test_missing_weights_are_one_line(recipe: Resolved, weights: dict[str, Path], tmp_path: Path) -> None:
    without = {name: folder for name, folder in recipe.recipe.weights.items() if name != LM}
    with pytest.raises(codec_adapters.CheckpointError, match=f"{LM}: has no official weights; give a folder"):
        built(changed(recipe, weights=without), tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_recipes_are_checked_against_alms(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    overrides = [f"corpora.vctk.root={vctk}", f"corpora.aishell3.root={aishell3}"]
    with pytest.raises(RecipeError, match="unknown variant 'codec_lm_mim'; did you mean codec_lm_mimi"):
        load_recipe("lyra", [*overrides, "splits.train.variants=[codec_lm_mim]"])
    with pytest.raises(RecipeError, match="codec_lm_mimi: unknown option 'tempo'"):
        load_recipe("lyra", [*overrides, "options.codec_lm_mimi.tempo=1"])
    with pytest.raises(RecipeError, match=r"weights\.codec_lm_mum: neither a checkpoint nor a variant"):
        load_recipe("lyra", [*overrides, "weights.codec_lm_mum=x"])
    checked = load_recipe("lyra", [*overrides, "splits.train.variants=[codec_lm_mimi, real]"])
    assert checked.variants()[:2] == ["real", "codec_lm_mimi"]


def resolved(**changes: Any) -> ResolvedAlm:
    codec = ResolvedCodec(codec_adapters.spec("mimi_8codebooks"), {"codebooks": 8}, None, {"a": "1"}, None, "float32")
    values = {
        "spec": alm.spec(LM),
        "options": {"top_k": 0},
        "checkpoint": None,
        "checkpoint_hashes": {},
        "provider": None,
        "codec": codec,
    }
    return ResolvedAlm(**{**values, "codec": codec, **changes})


def test_content_keys_hold_the_model_and_its_codec() -> None:
    def key(made_by: ResolvedAlm | ResolvedCodec) -> str:
        prompt = Utterance("vctk", "p225_001", "/x", "p225", "en", None, 48000, 48000, "a")
        return Shard("alm", "x", 0, (prompt,), made_by, AudioPolicy()).key

    codec = resolved().codec
    variations: list[ResolvedAlm | ResolvedCodec] = [
        resolved(),
        resolved(options={"top_k": 5}),
        resolved(checkpoint_hashes={"model.safetensors": "2"}),
        resolved(spec=dataclasses.replace(alm.spec(LM), version=2)),
        resolved(spec=dataclasses.replace(alm.spec(LM), sample_rate=24000)),
        resolved(codec=dataclasses.replace(codec, checkpoint_hashes={"a": "2"})),
        resolved(codec=dataclasses.replace(codec, options={"codebooks": 4})),
        codec,
    ]
    assert len({key(variation) for variation in variations}) == len(variations)
    assert key(resolved(checkpoint=Path("/elsewhere"))) == key(resolved())
    own = json.loads(resolved().fingerprint())[0]
    assert not {"sample_rate", "prompt_rate"} & set(own)  # editions that were made before these fields stay whole


def test_alms_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(app, ["alms"])
    assert result.exit_code == 0
    line = next(line for line in result.stdout.splitlines() if line.startswith(LM))
    assert line.split()[-1] == "-"
    assert "mimi_8codebooks" in line
    assert "max_seconds=10.0" in line


@pytest.mark.slow
def test_every_alm_speaks_in_a_build(tiny: dict[str, Path], tiny_alms: dict[str, Path], tmp_path: Path) -> None:
    """Tiny random checkpoints in the official layouts, prompted by a folder of speech with texts."""
    lines = ["path,utterance_id,speaker,language,text"]
    for number in range(3):
        write_wave(tmp_path / "speech" / f"u{number}.wav", 0.6, 22050, number)
        lines.append(f"u{number}.wav,u{number},s{number},en,a b _ c")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    codecs = {alm.spec(name).codec_variant for name in ALMS}
    recipe = parse_recipe(
        {
            "name": "all_alms",
            "title": "Every audio language model",
            "corpora": {
                "mine": {"kind": "folder", "root": str(tmp_path / "speech"), "table": str(tmp_path / "table.csv")}
            },
            "splits": {
                "eval_id": {"draw": 3, "variants": ["real"]},
                "alm": {"same_as": "eval_id", "variants": sorted(ALMS)},
            },
            "weights": {
                name: str(folder)
                for name, folder in [*((name, tiny_alms[name]) for name in ALMS), *((c, tiny[c]) for c in codecs)]
            },
            "options": {name: small_options(name) for name in ALMS},
            "audio": {"min_seconds": 0.05, "max_rejected_share": 0.7},
            "execution": {"workers": 1, "device": "cpu"},
        },
        "test",
        Path(),
    )
    built(recipe, tmp_path / "d")
    spoken = rows(tmp_path / "d", "alm/*.parquet")
    rejected = pq.read_table(tmp_path / "d" / "rejected.parquet").to_pylist()
    assert {row["reason"] for row in rejected} <= {"nothing_generated", "too_short"}
    assert {row["alm"] for row in spoken} == set(ALMS)
    assert {row["alm"]: row["label"] for row in spoken} == {
        "bark_small": 4,
        "codec_lm_mimi": 1,
        "csm": 1,
        "dia": 11,
        "mini_omni": 6,
        "moshiko": 1,
        "orpheus": 6,
        "valle": 4,
    }
    assert verify(tmp_path / "d").problems == []
