"""``python -m codecfake_builder``."""

from codecfake_builder.cli.app import main

main()
