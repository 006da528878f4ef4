"""Signalling, decisions and media: the gateway process and its media workers."""
