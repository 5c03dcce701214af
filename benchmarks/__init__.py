"""Measurements that the documentation quotes: each script writes the table beside it."""
