"""The control port: how the API, the only other process with a say, asks the gateway to act."""
