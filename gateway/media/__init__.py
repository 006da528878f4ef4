"""The media plane: worker processes that relay, play and record what the gateway ordered."""
