"""RTP as bytes: packets, sequence arithmetic, payload types, telephone events; no sockets."""
