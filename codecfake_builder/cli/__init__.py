"""The command line."""

from codecfake_builder.cli.app import main

__all__ = ["main"]
