"""The plan: which utterances each split holds, decided before anything runs."""
