"""What is only relayed: video, fax, text and the like, from port to port. There is nothing in it to tap or to divert.

No byte of a packet is looked at. A fax's datagrams (UDPTL) may look like RTCP or like anything, and a port above the
first one has a meaning with RTP alone.
"""

from gateway.media.datapath.party_flow import BURST, PartyFlow


class Relay(PartyFlow):
    """See the module."""

    __slots__ = ()

    def read(self) -> None:
        """Send on whatever is there."""
        path, port, counts, peer = self.path, self.rtp, self.counts, self.peer
        if (peer is None or peer.rtp.target is None or not port.connected) and not path.caught_up(self):
            return
        for _ in range(BURST):
            try:
                size = self.receive(port)
            except BlockingIOError:
                return
            except OSError:
                port.refused()
                continue  # the party may come back
            if size < 0:
                continue
            counts.received += 1
            peer = self.peer
            if peer is None:
                continue
            if peer.rtp.send(path.view[:size]):
                counts.forwarded += 1
            else:
                counts.send_failed += 1

    def relay_rtcp(self, packet: memoryview) -> None:
        """The same on the second port; it goes nowhere where the other party has only one."""
        self.counts.rtcp += 1
        if self.peer is not None:
            self.peer.rtcp.send(packet)
