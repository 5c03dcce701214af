"""The command ``add-codec``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from codecfake_builder.errors import BuilderError

if TYPE_CHECKING:
    from codecfake_builder.changes.add_codec import Added, Request
    from codecfake_builder.changes.drafts import Draft

EXAMPLE = (
    "Example: python -m codecfake_builder add-codec encodec_32khz --transformers facebook/encodec_32khz "
    "--family encodec --split id_config --into st-codecfake (every way in: docs/codec_files.md)"
)
WAYS = "Ways in (give one)"
FACTS = "Facts (what is not given is read from the codec's config, measured, or asked for)"
TARGET = "Where it goes"


def add_codec(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new variant: letters, digits, underscores.")],
    decoder: Annotated[
        Path | None, typer.Argument(metavar="[DECODER]", help="The second file of --onnx or --exported.")
    ] = None,
    transformers: Annotated[
        str | None,
        typer.Option(metavar="REPO_OR_DIR", help="Audio codec class of transformers.", rich_help_panel=WAYS),
    ] = None,
    onnx: Annotated[
        Path | None,
        typer.Option(metavar="ENCODER", help="ONNX: ENCODER DECODER, or one round trip.", rich_help_panel=WAYS),
    ] = None,
    torchscript: Annotated[Path | None, typer.Option(help="TorchScript archive.", rich_help_panel=WAYS)] = None,
    exported: Annotated[
        Path | None,
        typer.Option(metavar="ENCODER", help="torch.export: ENCODER DECODER, or one round trip.", rich_help_panel=WAYS),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(metavar="MODULE:CLASS", help="Python object, or FILE.py:CLASS. It runs.", rich_help_panel=WAYS),
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Option(help="Program with {in} and {out}; repeatable, run in order.", rich_help_panel=WAYS),
    ] = None,
    worker: Annotated[
        str | None,
        typer.Option(metavar="DRIVER", help="Driver of an environment of its own. It runs.", rich_help_panel=WAYS),
    ] = None,
    imported: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Clips that it has made already.", rich_help_panel=WAYS)
    ] = None,
    builtin: Annotated[
        bool, typer.Option("--builtin", help="Write a module skeleton into this checkout.", rich_help_panel=WAYS)
    ] = False,
    revision: Annotated[str, typer.Option(help="--transformers: branch, tag or commit on the hub.")] = "main",
    batched: Annotated[bool, typer.Option("--batched", help="--python: takes whole batches.")] = False,
    numpy: Annotated[bool, typer.Option("--numpy", help="--python: takes and gives numpy arrays.")] = False,
    factory: Annotated[bool, typer.Option("--factory", help="--python: a function that makes the codec.")] = False,
    version_command: Annotated[str | None, typer.Option(help="--command: prints the program's version.")] = None,
    repo: Annotated[
        str | None, typer.Option(help="--worker: repository, https or a folder; --builtin: owner/name.")
    ] = None,
    commit: Annotated[str | None, typer.Option(help="--worker: its commit.")] = None,
    python_version: Annotated[str | None, typer.Option(help="--worker: of its environment, e.g. 3.9.")] = None,
    requirement: Annotated[list[str] | None, typer.Option(help="--worker: package to install; repeatable.")] = None,
    family: Annotated[str | None, typer.Option(help="Class; default: NAME.", rich_help_panel=FACTS)] = None,
    label: Annotated[
        int | None, typer.Option(help="Of a new family; default: the next free.", rich_help_panel=FACTS)
    ] = None,
    sample_rate: Annotated[int | None, typer.Option(help="Hz.", rich_help_panel=FACTS)] = None,
    hop: Annotated[int | None, typer.Option(help="Samples per frame.", rich_help_panel=FACTS)] = None,
    codebooks: Annotated[int | None, typer.Option(help="In use.", rich_help_panel=FACTS)] = None,
    codebook_size: Annotated[int | None, typer.Option(help="Entries of each.", rich_help_panel=FACTS)] = None,
    bitrate: Annotated[float | None, typer.Option(help="Bits per second.", rich_help_panel=FACTS)] = None,
    delay_samples: Annotated[int | None, typer.Option(help="Output after input.", rich_help_panel=FACTS)] = None,
    quantizer: Annotated[str | None, typer.Option(help="multi, single, scalar.", rich_help_panel=FACTS)] = None,
    auxiliary: Annotated[str | None, typer.Option(help="none, semantic, disentangled.", rich_help_panel=FACTS)] = None,
    decoder_domain: Annotated[str | None, typer.Option(help="time, frequency.", rich_help_panel=FACTS)] = None,
    code_licence: Annotated[str | None, typer.Option(help="Of its code.", rich_help_panel=FACTS)] = None,
    weights_licence: Annotated[str | None, typer.Option(help="Of its weights.", rich_help_panel=FACTS)] = None,
    paper: Annotated[str | None, typer.Option(help="E.g. arXiv 2210.13438.", rich_help_panel=FACTS)] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="Inference option; repeatable.", rich_help_panel=FACTS),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="Recipe file that takes it in.", rich_help_panel=TARGET)] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Finished dataset to extend.", rich_help_panel=TARGET)
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="That gets it; repeatable. Default for a new family: eval_ood.", rich_help_panel=TARGET),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Add it though conformance fails.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Conformance: short clips, few repetitions.")] = False,
    device: Annotated[str, typer.Option(help="auto, or a torch device: cpu, cuda, cuda:1.")] = "auto",
) -> None:
    """Add a codec: measure it, judge it, write a codec file and its entry in a recipe, and extend a dataset."""
    ways = {
        "--transformers": transformers, "--onnx": onnx, "--torchscript": torchscript, "--exported": exported,
        "--python": python, "--command": command, "--worker": worker, "--imported": imported, "--builtin": builtin,
    }  # fmt: skip
    given = [way for way, value in ways.items() if value]
    if len(given) != 1:
        raise BuilderError(f"give exactly one of {', '.join(ways)}; found {' and '.join(given) or 'none of them'}")
    if decoder is not None and given[0] not in ("--onnx", "--exported"):
        raise BuilderError(f"{decoder}: only --onnx and --exported take a second file")
    facts = {
        "family": family, "label": label, "sample_rate": sample_rate, "hop": hop, "codebooks": codebooks,
        "codebook_size": codebook_size, "bitrate": bitrate, "delay_samples": delay_samples, "quantizer": quantizer,
        "auxiliary": auxiliary, "decoder_domain": decoder_domain, "code_licence": code_licence,
        "weights_licence": weights_licence, "paper": paper,
    }  # fmt: skip
    if builtin:
        _skeleton(name, facts, repo)
        return
    from codecfake_builder.changes import add_codec as add
    from codecfake_builder.changes.target import Target

    add.refuse_name(name)
    target = Target.of(recipe, into)
    if imported is not None:
        _import(name, imported, family or name, split, target)
        return
    from codecfake_builder.changes import sources
    from codecfake_builder.changes.drafts import FileDraft, WorkerDraft
    from codecfake_builder.cli.conformance import parsed_options
    from codecfake_builder.codecs.codec_ways import ExportedPart, OnnxPart
    from codecfake_builder.conformance.settings import QUICK, THOROUGH
    from codecfake_builder.devices import resolve_device

    options = parsed_options(option or [])
    draft: Callable[[Path], Draft]
    if worker is not None:
        environment = {"repo": repo, "commit": commit, "python": python_version, "requirements": requirement}

        def draft(folder: Path) -> Draft:
            return WorkerDraft(name, folder, options, worker, environment)
    else:
        graphs = tuple(path for path in (onnx or exported, decoder) if path is not None)
        source: sources.Source
        if transformers is not None:
            source = sources.TransformersSource(transformers, revision)
        elif onnx is not None or exported is not None:
            source = sources.GraphSource(OnnxPart if onnx is not None else ExportedPart, graphs)
        elif torchscript is not None:
            source = sources.TorchscriptSource(torchscript)
        elif python is not None:
            source = sources.PythonSource(python, batched, numpy, factory)
        else:
            source = sources.CommandSource(tuple(command or ()), version_command)

        def draft(folder: Path) -> Draft:
            return FileDraft(name, folder, options, source)

    request = add.Request(
        name, draft, facts, target, split, force,
        resolve_device(device),
        QUICK if quick else THOROUGH,
        _ask if sys.stdin.isatty() else None,
    )  # fmt: skip
    _conclude(request, add.add_codec(request, _report))


def _ask(fact: str, question: str) -> Any:
    """Ask, and ask again for what cannot be an answer."""
    from codecfake_builder.codecs.codec_facts import TaxonomyFacts

    kinds: dict[str, type] = {"bitrate": float, "quantizer": str}
    while True:
        answer = typer.prompt(f"{fact}: {question}", type=kinds.get(fact, int), err=True)
        if fact != "quantizer" or answer in get_args(TaxonomyFacts.model_fields["quantizer"].annotation):
            return answer


def _report(added: Added) -> None:
    from codecfake_builder.conformance.suite import results_table
    from codecfake_builder.tables import format_table

    print(format_table(["fact", "value", "from"], added.facts.rows()))
    for remark in added.facts.remarks:
        print(f"note: {remark}")
    print(f"\n{results_table(added.results)}\n")


def _conclude(request: Request, added: Added) -> None:
    """Say what came of it; exit code 1 where the codec was not added."""
    from codecfake_builder.conformance.suite import failed

    wrong = ", ".join(result.name for result in failed(added.results))
    if added.folder is None:
        print(f"FAILED: {wrong}; {request.name} is not added (--force adds it all the same)")
        raise typer.Exit(1)
    print(f"{request.name}: added{f' though {wrong} failed' if wrong else ''}, files in {added.folder}")
    target = request.target
    if not target.document:
        print(f"use it     list {added.folder}/codec.yaml under plugins: of a recipe, and {request.name} in its splits")
    elif added.build is not None:
        made, kept = added.build.shards_made, added.build.shards_kept
        print(f"extended   {', '.join(added.splits)}: {made} shards made, {kept} kept")
        print(f"root hash  {added.build.root}")
        print(f"check it   python -m codecfake_builder verify {target.dataset}")
    else:
        print(f"recipe     {target.recipe}: {request.name} in {', '.join(added.splits)}")
        print(f"build it   python -m codecfake_builder build {shlex.quote(str(target.recipe))} --out DIR")


def _import(name: str, clips: Path, family: str, splits: list[str] | None, target: Any) -> None:
    from codecfake_builder.changes.add_imported import add_imported

    if splits and len(splits) > 1:
        raise BuilderError("--imported: a clip goes into one split only; give one --split")
    result = add_imported(name, clips, family, splits[0] if splits else None, target)
    if result is None:
        print(f"recipe     {target.recipe}: the clips of {clips} are its corpus {name}")
    else:
        print(f"extended   {result.shards_made} shards made, {result.shards_kept} kept")
        print(f"root hash  {result.root}")


def _skeleton(name: str, given: dict[str, Any], repo: str | None) -> None:
    from codecfake_builder.changes.fact_sheet import ASSUMED, first_facts
    from codecfake_builder.changes.skeleton import write_skeleton

    facts = first_facts(name, given, {}, lambda family, label: 0)
    facts.values.pop("label", None)
    facts.learn(ASSUMED, {"auxiliary": "none", "decoder_domain": "time"})
    facts.complete(name, _ask if sys.stdin.isatty() else None)
    made = write_skeleton(name, facts.codec(), repo or "")
    for path in made.written:
        print(f"written    {path}")
    for path in made.edited:
        print(f"edited     {path}")
    print("then       fill in the module, make a small checkpoint in the test, and record goldens of the upstream")
