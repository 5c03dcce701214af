"""Decides which utterances each split holds, before anything runs."""
