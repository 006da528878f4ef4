"""Random references: of calls, recordings, plays. Nothing derived from a SIP Call-ID, a time or a number."""

import secrets

from gateway.media.plane import CallRef, RecordingId

__all__ = ["Ids"]


class Ids:
    """The source of references."""

    def call(self) -> CallRef:
        """16 hex characters."""
        return CallRef(secrets.token_hex(8))

    def recording(self) -> RecordingId:
        """32 hex characters."""
        return RecordingId(secrets.token_hex(16))
