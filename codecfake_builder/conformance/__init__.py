"""Whether a codec behaves as the engine needs it to: measured on bundled speech, through the adapter contract alone."""
