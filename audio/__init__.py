"""Sound as numbers: codecs that both the gateway and whoever opens a recording need. Sans-IO, numpy only."""
