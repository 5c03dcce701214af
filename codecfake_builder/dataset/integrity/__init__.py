"""Tell whether the files of a dataset are what they were when they were written."""
