"""``python -m codecfake_builder``."""

from codecfake_builder.cli import main

main()
