"""Do the clips follow their sources: in time, at their level, as wide, of the same utterance, and how closely?"""

from __future__ import annotations

from codecfake_builder.audit.faithfulness.lines import faithfulness_findings
from codecfake_builder.audit.faithfulness.note import PAIRS, fidelity_finding

__all__ = ["PAIRS", "faithfulness_findings", "fidelity_finding"]
