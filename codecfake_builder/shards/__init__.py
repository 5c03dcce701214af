"""Makes shards: content keys and records, batching, the work inside one shard, and running many of them."""
