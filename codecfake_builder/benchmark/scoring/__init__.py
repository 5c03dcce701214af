"""Scores predictions against a dataset: labels, tables, intervals."""
