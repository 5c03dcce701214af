"""Make shards: content keys, records, batches, the work inside one shard, and running many of them."""
