"""Files that come from elsewhere: cache, downloads, official weights, checkpoints, what users wrote; all checked."""
