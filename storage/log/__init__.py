"""The tamper-evident log of a site (crypto.md §3): entries durable at once, published as tiles under a checkpoint."""
