"""Files that come from elsewhere: the cache, downloads, official weights, checkpoints and what users wrote; all checked."""
