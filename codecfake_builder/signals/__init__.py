"""Measurements on waveforms alone, which several rooms need; nothing here knows of datasets or codecs."""
