"""Does anything of one split come back in another, or twice under two names?"""

from codecfake_builder.audit.leakage.against import against as against
from codecfake_builder.audit.leakage.duplicates import duplicates as duplicates
from codecfake_builder.audit.leakage.near_copies import near_duplicates as near_duplicates
from codecfake_builder.audit.leakage.splits import speakers as speakers
from codecfake_builder.audit.leakage.splits import texts as texts
from codecfake_builder.audit.leakage.splits import utterances as utterances
