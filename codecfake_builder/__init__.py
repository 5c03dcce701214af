"""Builds, extends and checks ST-Codecfake-style datasets: speech re-synthesized through neural audio codecs."""

__version__ = "0.1.0"
