"""The simulated house around a gateway: trunk, PBX, phones and agents that speak real SIP, RTP and HTTP."""
