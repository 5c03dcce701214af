"""The command ``conformance``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codecfake_builder.cli.options import DeviceOption, InferenceOption, TrustOption, chosen_recipe, parsed_options
from codecfake_builder.errors import BuilderError

if TYPE_CHECKING:
    from codec_adapters.base import Adapter
    from codec_adapters.entry import Entry
    from codec_adapters.spec import OptionValue

EXAMPLE = "Example: python -m codecfake_builder conformance my_codec --recipe my.yaml --json my_codec.json"


def conformance(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A codec variant, see the command codecs.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder with its weights; default: the recipe's, or the official ones.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe whose plugins and isolated codecs become known, with its weights.")
    ] = None,
    device: DeviceOption = "auto",
    dtype: Annotated[str, typer.Option(help="Of the networks: float32, bfloat16 or float16.")] = "float32",
    option: InferenceOption = None,
    least_stoi: Annotated[
        float | None, typer.Option(min=0, max=1, help="Median STOI below which the output is no speech.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Short clips and few repetitions.")] = False,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results there too.")] = None,
    trust: TrustOption = False,
) -> None:
    """Judge a codec on bundled speech: does it behave as a build needs it to, and what are its figures?"""
    entry, folder, options = _entry_and_settings(name, recipe, trust)
    folder, options = checkpoint or folder, {**options, **parsed_options(option)}

    # from here on torch is needed; a mistake above is answered without it
    from codecfake_builder.conformance.settings import QUICK, THOROUGH
    from codecfake_builder.conformance.suite import failed, results_table, run_suite
    from codecfake_builder.conformance.under_test import load_or_explain
    from codecfake_builder.devices import resolve_device, settle_numerics
    from codecfake_builder.files import write_text

    target = resolve_device(device)
    settings = QUICK if quick else THOROUGH
    if least_stoi is not None:
        settings = dataclasses.replace(settings, least_stoi=least_stoi)
    settle_numerics()

    def load() -> Adapter:
        from codec_adapters.loading import load_codec

        return load_codec(entry, folder, target, dtype, options)

    adapter = load_or_explain(name, load)
    results = run_suite(adapter, settings, load, own_weights=_own_weights(adapter.spec, folder, options))
    print(results_table(results))
    if json_ is not None:
        document = {
            "variant": name,
            "device": target,
            "dtype": dtype,
            "options": dict(adapter.options),
            "results": [{"name": r.name, "verdict": r.verdict, "figure": r.measured} for r in results],
        }
        write_text(json_, json.dumps(document, indent=1) + "\n")
    if wrong := failed(results):
        print(f"FAILED: {', '.join(result.name for result in wrong)}")
        raise typer.Exit(1)
    print(f"OK: {sum(result.verdict == 'pass' for result in results)} of {len(results)} checks pass, none fails")


def _entry_and_settings(
    name: str, recipe: str | None, trust: bool
) -> tuple[Entry, Path | None, dict[str, OptionValue]]:
    """Return a codec's entry with the weights and options that the recipe, if there is one, gives it."""
    from codec_adapters.registration import default_catalogue

    resolved = chosen_recipe(recipe, None, trust) if recipe else None
    catalogue = resolved.catalogue if resolved else default_catalogue()
    spec = catalogue.speaking_codec(name)
    if catalogue.is_alm(name):
        raise BuilderError(f"{name}: is an audio language model; conformance judges codecs, e.g. {spec.name}")
    if resolved is None:
        return catalogue.entry(name), None, {}
    recipe_of = resolved.recipe
    key = recipe_of.weights_key(spec)
    return catalogue.entry(name), recipe_of.weights[key] if key else None, dict(recipe_of.options.get(name, {}))


def _own_weights(spec: Any, folder: Path | None, options: dict[str, OptionValue]) -> bool:
    """Return whether weights and options are those that the spec describes: codebooks and bit rate must then agree."""
    return (folder is None or not spec.checkpoint) and all(spec.options[key] == options[key] for key in options)
