"""Files that come from elsewhere: checkpoints, official weights, Python files; each checked before it is used."""
