"""The command ``alms``."""

from __future__ import annotations

from codecfake_builder.cli.options import ListedRecipeOption, SetOption, TrustOption, catalogue_of
from codecfake_builder.progress import tell

EXAMPLE = "Example: python -m codecfake_builder alms"


def alms(recipe: ListedRecipeOption = None, set_: SetOption = None, trust: TrustOption = False) -> None:
    """List every audio language model: the codec it speaks through, its class, prompt, options, licence, weights."""
    from codec_adapters.files import weights
    from codecfake_builder.tables import format_table

    catalogue = catalogue_of(recipe, set_, trust)
    header = ["name", "model", "label", "speaks through", "prompt", "options", "weights' licence", "cached"]
    rows = []
    for spec in catalogue.alms():
        there = ("yes" if weights.cached(spec.checkpoint) else "no") if spec.checkpoint else "-"
        options = " ".join(f"{key}={value}" for key, value in spec.options.items())
        prompt = " + ".join(spec.prompt)
        label = catalogue.label(spec.name)
        rows.append([spec.name, spec.title, label, spec.codec_variant, prompt, options, spec.weights_licence, there])
    tell(format_table(header, rows))
