"""In which profile audio is offered to a neighbour: what the entries of `peers` say about SRTP.

`srtp`: this peer takes SRTP only. `downgrade`: it speaks plain RTP, and media with it may go in the clear although the
other party's is encrypted. Without these words descriptions pass as they are, and so does the encryption.
"""

from gateway.config import Peer, SideConfig
from gateway.sip.hop import Hop, Side
from gateway.sip.locating import is_literal

__all__ = ["Profiles"]

PLAIN = "RTP/AVP"
SECURE = "RTP/SAVP"


class Profiles:
    """The entries of both sides."""

    def __init__(self, sides: dict[Side, SideConfig]) -> None:
        self._peers = {side: config.peer_list for side, config in sides.items()}

    def between(self, source: Hop, target: Hop) -> str | None:
        """What an offer on its way is to be told as; None: as it is."""
        asker, asked = self._entry(source), self._entry(target)
        if asked is None:
            return None
        if asked.downgrade:
            return PLAIN
        return SECURE if asked.srtp and asker is not None and asker.downgrade else None

    def _entry(self, hop: Hop) -> Peer | None:
        """The narrowest entry that a neighbour is in, whatever port it speaks from; None for one known by name only."""
        if not is_literal(hop.host):
            return None
        entries = (peer for peer in self._peers[hop.side] if peer.admits(hop.host, peer.port or 0))
        return max(entries, key=lambda peer: peer.network.prefixlen, default=None)
