"""The command ``plan``."""

from __future__ import annotations

from codecfake_builder.cli.options import LimitOption, RecipeArgument, SetOption

EXAMPLE = "Example: python -m codecfake_builder plan lyra --limit 100 --set corpora.vctk.root=/data/VCTK ..."


def plan(recipe: RecipeArgument, set_: SetOption = None, limit: LimitOption = None) -> None:
    """Print what a build would make: clips per split and class, their hours, disk. Indexes corpora, runs no codec."""
    from codecfake_builder.plan.planning import announce, make_plan
    from codecfake_builder.plan.table import plan_table
    from codecfake_builder.recipe.load import load_recipe

    loaded = load_recipe(recipe, set_)
    planned = make_plan(loaded, limit)
    announce(planned)
    print(plan_table(planned, loaded.catalogue))
