"""``add-codec``: a codec that nobody here has seen, measured, judged, written down and brought into a dataset."""
