"""The dataset folder: schema, shards' companions (card, Croissant, checksums, metadata), and their verification."""
