"""Do clips carry each other's labels?"""

from codecfake_builder.audit.labels.exchanged import labels as labels
from codecfake_builder.audit.labels.timbre import timbre as timbre
