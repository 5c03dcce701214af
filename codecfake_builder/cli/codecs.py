"""The command ``codecs``."""

from __future__ import annotations

from codecfake_builder.cli.options import ListedRecipeOption, SetOption, TrustOption, catalogue_of
from codecfake_builder.progress import tell

EXAMPLE = "Example: python -m codecfake_builder codecs"


def codecs(recipe: ListedRecipeOption = None, set_: SetOption = None, trust: TrustOption = False) -> None:
    """List every codec variant: class, rate, frame rate, codebooks, bit rate, taxonomy, licences, weights in cache."""
    from codec_adapters.files import weights
    from codecfake_builder.tables import format_table

    header = ["variant", "label", "family", "Hz", "frames/s", "codebooks", "bit/s"]
    header += ["quantizer", "auxiliary", "decoder", "code's licence", "weights' licence", "cached"]
    rows = []
    for spec in catalogue_of(recipe, set_, trust).codecs():
        there = "yes" if not spec.checkpoint or weights.cached(spec.checkpoint) else "no"
        figures = [
            spec.label,
            spec.family,
            spec.sample_rate,
            f"{spec.frame_rate:g}",
            spec.codebooks,
            f"{spec.bitrate:g}",
        ]
        kind = spec.taxonomy
        taxonomy = [kind.quantizer, kind.auxiliary, kind.decoder_domain]
        rows.append([spec.name, *figures, *taxonomy, spec.code_licence, spec.weights_licence, there])
    tell(format_table(header, rows))
