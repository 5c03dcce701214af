"""Adapters of external codecs: one module per backend, and what several of them share."""
