"""The source-tracing benchmark of the NCST publication: train, evaluate and compare models on a dataset."""
