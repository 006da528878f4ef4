"""Links to a PBX that bridges calls: its events say who is on a trunk call, and the link keeps telling the gateway."""
