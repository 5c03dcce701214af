"""The command ``plan``."""

from __future__ import annotations

from codecfake_builder.cli.options import LimitOption, RecipeArgument, SetOption, TrustOption, chosen_recipe
from codecfake_builder.progress import tell

EXAMPLE = "Example: python -m codecfake_builder plan lyra --limit 100 --set corpora.vctk.root=/data/VCTK ..."


def plan(recipe: RecipeArgument, set_: SetOption = None, limit: LimitOption = None, trust: TrustOption = False) -> None:
    """Print what a build would make: clips per split and class, their hours, disk. Indexes corpora, runs no codec."""
    from codecfake_builder.plan.planning import announce, make_plan
    from codecfake_builder.plan.table import plan_table

    loaded = chosen_recipe(recipe, set_, trust)
    planned = make_plan(loaded, limit)
    announce(planned)
    tell(plan_table(planned, loaded.catalogue))
