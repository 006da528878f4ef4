"""Line-preserving SDP (RFC 8866): read what the gateway needs, change only addresses and ports."""
