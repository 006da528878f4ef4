"""One UDP socket that faces a party: whom it takes packets from, and where it sends.

A socket takes packets from its party's address until the first one; then it is connected to where that one came from,
so that the kernel drops all others (it counts them nowhere: `wrong_source` holds those before the latch). A connected
socket also learns of ICMP errors: "nobody listens there" fails the next send or read, not the one that it is about.
"""

import ctypes
import socket
from collections.abc import Callable
from typing import Final

from gateway.media.datapath.marking import watch_class

FORMER_S: Final = 2.0
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

Target = tuple[str, int]


class Port:
    """See the module. `refused` is called after an ICMP error."""

    __slots__ = ("connected", "former", "former_until", "named", "refused", "settling", "sock", "source", "target")

    def __init__(self, sock: socket.socket, refused: Callable[[], None]) -> None:
        self.sock: Final = sock
        self.refused: Final = refused
        self.connected = False
        self.settling = False
        """Connected, but packets that were queued before may be others'."""
        self.source: Target | None = None
        self.target: Target | None = None
        """Where the party's SDP says it receives; None: held or not known, nothing is sent."""
        self.named: Target | None = None
        """The last target that wasn't None: only another one undoes the latch."""
        self.former: tuple[Target | None, ...] = ()
        """Where the party sent from before its address changed; still sending for a moment, and not to be latched."""
        self.former_until = 0.0

    def send(self, packet: bytes | bytearray | memoryview) -> bool:
        """To the party; False where its address isn't known or the kernel refused."""
        if self.target is None:
            return False
        try:
            if self.connected:
                self.sock.send(packet)
            else:
                self.sock.sendto(packet, self.target)
        except ConnectionRefusedError:
            self.refused()
            return self._send_again(packet)
        except OSError:
            return False
        return True

    def waits(self) -> bool:
        """Whether there is something to read, an error maybe."""
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            self.refused()
        return True

    def _send_again(self, packet: bytes | bytearray | memoryview) -> bool:
        """What was refused was an earlier packet: this one hasn't been sent yet."""
        try:
            self.sock.send(packet)
        except OSError:
            return False
        return True

    def aim(self, target: Target | None, now: float) -> None:
        """Take over what the party's SDP says; another address than before undoes the latch."""
        if target is not None and target != self.named:
            if target != self.source:
                # the branch that was named before may speak up only now, and from the same host
                self.former, self.former_until = (self.source, self.named), now + FORMER_S
                self.unlatch()
            self.named = target
        self.target = target

    def latch(self, source: Target) -> None:
        """Take packets from there only, and send there."""
        self.sock.connect(source)
        self.source, self.connected, self.settling = source, True, True
        watch_class(self.sock, False)

    def unlatch(self) -> None:
        """Take packets from anywhere again; the port stays bound."""
        if self.connected:
            # AF_UNSPEC dissolves the association (connect(2)); Python's own connect can't say that
            _LIBC.connect(self.sock.fileno(), bytes(16), 16)
            watch_class(self.sock, True)
        self.source, self.connected, self.settling = None, False, False

    def is_former(self, source: Target, now: float) -> bool:
        """Whether a packet is a late one from before the party's address changed."""
        return source in self.former and source != self.target and now < self.former_until
