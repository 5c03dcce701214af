"""Change a dataset: build it, add a codec to it, remove one, or import clips."""
