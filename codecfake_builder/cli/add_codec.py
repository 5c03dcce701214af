"""The command ``add-codec``."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from codecfake_builder.cli.add_codec_options import (
    BackendOptions,
    CommandOptions,
    ConformanceOptions,
    FactOptions,
    GraphOptions,
    OtherOptions,
    PythonOptions,
    TargetOptions,
    TransformersOptions,
    WorkerOptions,
)
from codecfake_builder.cli.options import command_line, grouped, parsed_options
from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import tell

if TYPE_CHECKING:
    from codecfake_builder.changes.add_codec import Added, Request
    from codecfake_builder.changes.target import Target

EXAMPLE = (
    "Example: python -m codecfake_builder add-codec encodec_32khz --transformers facebook/encodec_32khz "
    "--family encodec --split id_config --into st-codecfake (every backend: docs/codec_files.md)"
)


@grouped
def add_codec(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new variant: letters, digits, underscores.")],
    transformers: TransformersOptions,
    graphs: GraphOptions,
    python: PythonOptions,
    command: CommandOptions,
    worker: WorkerOptions,
    other: OtherOptions,
    facts: FactOptions,
    target: TargetOptions,
    judging: ConformanceOptions,
    decoder: Annotated[
        Path | None, typer.Argument(metavar="[DECODER]", help="The second file of --onnx or --exported.")
    ] = None,
) -> None:
    """Add a codec: measure it, judge it, write a codec file and its entry in a recipe, and extend a dataset."""
    backends = BackendOptions(transformers, graphs, python, command, worker, other)
    backends.chosen(decoder)
    stated = dataclasses.asdict(facts)
    if other.builtin:
        _write_skeleton(name, stated, worker.repo)
        return
    from codecfake_builder.changes import add_codec as add
    from codecfake_builder.changes.target import Target

    goal = Target.of(target.recipe, target.into, target.trust)
    add.refuse_name(name, goal.catalogue)
    if other.imported is not None:
        _import(name, other.imported, facts.family or name, target.split, goal)
        return
    from codecfake_builder.conformance.settings import QUICK, THOROUGH
    from codecfake_builder.devices import resolve_device

    request = add.Request(
        name=name,
        draft=backends.draft(name, decoder, parsed_options(judging.option)),
        given=stated,
        target=goal,
        splits=target.split,
        force=judging.force,
        device=resolve_device(judging.device),
        settings=QUICK if judging.quick else THOROUGH,
        ask=_ask if sys.stdin.isatty() else None,
    )
    _conclude(request, add.add_codec(request, _report))


def _ask(fact: str, question: str) -> Any:
    """Ask the user for a fact, again until the answer is one that the fact can have."""
    from codec_adapters.external.facts import TaxonomyFacts

    kinds: dict[str, type] = {"bitrate": float, "quantizer": str}
    while True:
        answer = typer.prompt(f"{fact}: {question}", type=kinds.get(fact, int), err=True)
        if fact != "quantizer" or answer in get_args(TaxonomyFacts.model_fields["quantizer"].annotation):
            return answer


def _report(added: Added) -> None:
    """Print the facts with where each is from, remarks on them, and the results of conformance."""
    from codecfake_builder.conformance.suite import results_table
    from codecfake_builder.tables import format_table

    tell(format_table(["fact", "value", "from"], added.facts.rows()))
    for remark in added.facts.remarks:
        tell(f"note: {remark}")
    tell(f"\n{results_table(added.results)}\n")


def _conclude(request: Request, added: Added) -> None:
    """Print where the codec went and what to do next; exit with code 1 where it was not added."""
    from codecfake_builder.conformance.suite import failed

    wrong = ", ".join(result.name for result in failed(added.results))
    if added.folder is None:
        tell(f"FAILED: {wrong}; {request.name} is not added (--force adds it all the same)")
        raise typer.Exit(1)
    tell(f"{request.name}: added{f' though {wrong} failed' if wrong else ''}, files in {added.folder}")
    target = request.target
    if not target.document:
        tell(f"use it     list {added.folder}/codec.yaml under plugins: of a recipe, and {request.name} in its splits")
    elif added.build is not None:
        made, kept = added.build.shards_made, added.build.shards_kept
        tell(f"extended   {', '.join(added.splits)}: {made} shards made, {kept} kept")
        tell(f"root hash  {added.build.root}")
        tell(f"check it   {command_line('verify', target.dataset)}")
    else:
        tell(f"recipe     {target.recipe}: {request.name} in {', '.join(added.splits)}")
        tell(f"build it   {command_line('build', target.recipe, '--out', 'DIR')}")


def _import(name: str, clips: Path, family: str, splits: list[str] | None, target: Target) -> None:
    """Add clips that the codec has made already, and print where they went."""
    from codecfake_builder.changes.add_imported import add_imported

    if splits and len(splits) > 1:
        raise BuilderError("--imported: a clip goes into one split only; give one --split")
    result = add_imported(name, clips, family, splits[0] if splits else None, target)
    if result is None:
        tell(f"recipe     {target.recipe}: the clips of {clips} are its corpus {name}")
    else:
        tell(f"extended   {result.shards_made} shards made, {result.shards_kept} kept")
        tell(f"root hash  {result.root}")


def _write_skeleton(name: str, given: dict[str, Any], repo: str | None) -> None:
    """Write the files of a new codec family into this checkout, and print their paths."""
    from codecfake_builder.changes.fact_sheet import ASSUMED, first_facts
    from codecfake_builder.changes.skeleton import write_skeleton

    facts = first_facts(name, given, {}, lambda family, label: 0)
    facts.values.pop("label", None)
    facts.learn(ASSUMED, {"auxiliary": "none", "decoder_domain": "time"})
    facts.complete(name, _ask if sys.stdin.isatty() else None)
    made = write_skeleton(name, facts.codec(), repo or "")
    for path in made.written:
        tell(f"written    {path}")
    for path in made.edited:
        tell(f"edited     {path}")
    tell("then       fill in the module, make a small checkpoint in the test, and record goldens of the upstream")
