"""Check that all classes of a split say the same: what is said, by whom and in which language must not tell a class."""

from __future__ import annotations

import pandas as pd

from codecfake_builder.audit.clips import COMPARED_ORIGINS, Clips
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status

ALLOWED_MISSING = 0.05
"""Share of a split's utterances that a class may lack (a build rejects clips that a codec failed on), or one."""


def composition_finding(clips: Clips) -> Finding:
    """Return the line ``composition``: which classes lack utterances that others of the same split have.

    Generated speech is left out: its prompts are its own.
    """
    table = clips.table[clips.table["origin"].isin(COMPARED_ORIGINS)]
    table = pd.DataFrame({name: table[name].astype(str) for name in ("split", "variant", "utterance")})
    lacking: dict[tuple[str, str], list[str]] = {}
    compared = 0
    for split, rows in table.groupby("split", sort=False):
        classes = {name: set(own["utterance"]) for name, own in rows.groupby("variant")}
        everything = set().union(*classes.values())
        shared = sum(map(len, classes.values())) > len(everything)
        if len(classes) < 2 or not shared:
            continue
        compared += 1
        for name, own in classes.items():
            missing = sorted(everything - own)
            if len(missing) > max(1, ALLOWED_MISSING * len(everything)):
                lacking[str(split), str(name)] = missing
    if not compared:
        return Finding("composition", "all", Status.SKIPPED, "no split has two classes with common utterances")
    if not lacking:
        return Finding("composition", "all", Status.PASS, "the classes of a split have the same utterances")
    sizes = {split: table.loc[table["split"] == split, "utterance"].nunique() for split, _ in lacking}
    words = [f"{name} lacks {len(missing)} of {sizes[split]} in {split}" for (split, name), missing in lacking.items()]
    more = f", and {len(words) - EXAMPLES} more" if len(words) > EXAMPLES else ""
    return Finding(
        "composition",
        ", ".join(dict.fromkeys(split for split, _ in lacking)),
        Status.FAIL,
        f"classes do not have the same utterances: {', '.join(words[:EXAMPLES])}{more}",
        {"missing": {f"{split}/{name}": len(missing) for (split, name), missing in lacking.items()}},
        tuple(dict.fromkeys(name for _, name in lacking)),
        tuple(f"{name}: {missing[0]}" for (_, name), missing in lacking.items())[:EXAMPLES],
    )
