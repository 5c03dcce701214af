"""Builds ST-Codecfake-style datasets."""
