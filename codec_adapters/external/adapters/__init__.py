"""Adapters of external codecs: one generic adapter per backend, which runs what somebody else's files hold."""
