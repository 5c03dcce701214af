"""The NCST benchmark: train, score and compare source-tracing models on a dataset that the builder made."""
