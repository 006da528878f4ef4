"""A metronome and a stop watch for RTP in a process of their own: who sent which frame when, and when it arrived.

Takes the sockets of calls that stand over from their phones, goes on under the same SSRC and numbers every 20 ms, and
notes each arrival by the kernel's own time stamp, so that a busy test process is not mistaken for a gap in a call.
Every frame says which flow it is of and its number, in its payload, which a relay leaves alone.
"""

import asyncio
import contextlib
import json
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

from demo.line import FRAME, PTIME, Line
from demo.sdp import PAYLOAD_TYPES

MAGIC = b"\x4d\x9e"
SILENCE = {0: 0xFF, 8: 0xD5}
STEPS = 4
"""The flows of a beat are sent in so many parts, as phones that don't know of each other would."""
_HEAD = struct.Struct("!BBHII")
_NAME = struct.Struct("!2sHI")
_STAMP = struct.Struct("@ll")
_SO_TIMESTAMPNS = 35


@dataclass(frozen=True, slots=True)
class Frame:
    """One arrival at a phone."""

    at: float
    """Wall clock, by the kernel."""
    origin: int | None
    """The flow that sent it; None: not one of ours (a prompt, a tone, a mix)."""
    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A wait between two arrivals, without what the sender itself made."""

    at: float
    seconds: float


class Measured:
    """Everything that was sent and came, by flow; flow 2n is a call's caller, 2n + 1 its agent."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.sent: list[list[float]] = said["sent"]
        self.arrivals = [[Frame(*one) for one in flow] for flow in said["arrivals"]]

    def gaps(self, flow: int, since: float, until: float, longer_than: float) -> list[Gap]:
        """Waits at a phone that the way made: two frames apart, less what lay between their sendings."""
        found = []
        for earlier, later in pairwise(frame for frame in self.arrivals[flow] if since <= frame.at <= until):
            wait = later.at - earlier.at
            if earlier.origin is not None and earlier.origin == later.origin:
                sent = self.sent[later.origin]
                steps = later.number - earlier.number
                wait -= max(0.0, sent[later.number] - sent[earlier.number] - steps * PTIME)
            if wait > longer_than:
                found.append(Gap(earlier.at, wait))
        return found

    def lost(self, flow: int, since: float, until: float) -> int:
        """Frames that a flow sent in this time and that never came to its peer."""
        came = {frame.number for frame in self.arrivals[flow ^ 1] if frame.origin == flow}
        return sum(1 for number, at in enumerate(self.sent[flow]) if since <= at <= until and number not in came)

    def came(self, flow: int, since: float, until: float) -> int:
        """Arrivals at a phone in this time."""
        return sum(1 for frame in self.arrivals[flow] if since <= frame.at <= until)


class RtpMeter:
    """The process; use it as a context manager, `take` calls, and `stop` for what was measured."""

    async def __aenter__(self) -> Self:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.peers.rtp_meter", str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ours.close()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def take(self, lines: Iterable[Line]) -> None:
        """Go on in the place of these phones' voices: caller and agent of each call, one after the other."""
        for line in lines:
            assert line.remote is not None
            transport = line._sockets[0].get_extra_info("socket")
            about = {
                "to": line.remote, "kind": PAYLOAD_TYPES[line.codec], "ssrc": line._ssrc,
                "seq": line._sequence, "timestamp": line._timestamp,
            }  # fmt: skip
            # the message keeps the socket open when the phone closes its own end of it
            fd = os.dup(transport.fileno())
            assert line._sender is not None
            line._sender.cancel()
            socket.send_fds(self._ours, [json.dumps(about).encode()], [fd])
            os.close(fd)
            await line.close()

    async def stop(self) -> Measured:
        """End, and tell."""
        self._ours.send(b"stop")
        out, _ = await self._process.communicate()
        return Measured(json.loads(out))


# --- the process ------------------------------------------------------------------------------------------------------


class _Flow:
    def __init__(self, number: int, end: socket.socket, about: dict[str, Any]) -> None:
        self.number, self.end, self.to = number, end, tuple(about["to"])
        self.kind, self.ssrc = about["kind"], about["ssrc"]
        self.seq, self.timestamp = about["seq"], about["timestamp"]
        self.rest = bytes([SILENCE[self.kind]]) * (FRAME - _NAME.size)
        self.sent: list[float] = []
        self.arrivals: list[tuple[float, int | None, int, int]] = []

    def send(self) -> None:
        name = _NAME.pack(MAGIC, self.number, len(self.sent))
        head = _HEAD.pack(0x80, self.kind, self.seq & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc)
        self.seq, self.timestamp = self.seq + 1, self.timestamp + FRAME
        self.sent.append(time.time())
        with contextlib.suppress(OSError):
            self.end.sendto(head + name + self.rest, self.to)

    def receive(self) -> None:
        while True:
            try:
                data, stamps, _, _ = self.end.recvmsg(2048, 64)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of an earlier packet
            if not stamps:
                continue  # waited since before we listened
            seconds, nanoseconds = _STAMP.unpack(stamps[0][2])
            at = seconds + nanoseconds / 1e9
            payload = data[_HEAD.size :]
            magic, origin, number = _NAME.unpack_from(payload) if len(payload) >= _NAME.size else (b"", 0, 0)
            ours = magic == MAGIC
            self.arrivals.append((at, origin if ours else None, number if ours else 0, len(payload)))


class _Meter:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.flows: list[_Flow] = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(control, selectors.EVENT_READ)
        self.over = False

    def run(self) -> None:
        due, step = time.monotonic(), 0
        while not self.over:
            for key, _ in self.selector.select(max(0.0, due - time.monotonic())):
                if key.data is None:
                    self.obey()
                else:
                    key.data.receive()
            if time.monotonic() >= due:
                for flow in self.flows[step::STEPS]:
                    flow.send()
                step, due = (step + 1) % STEPS, due + PTIME / STEPS

    def obey(self) -> None:
        words, fds, _, _ = socket.recv_fds(self.control, 4096, 1)
        if not fds:
            self.over = True
            return
        end = socket.socket(fileno=fds[0])
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        flow = _Flow(len(self.flows), end, json.loads(words))
        self.flows.append(flow)
        self.selector.register(end, selectors.EVENT_READ, flow)

    def tell(self) -> None:
        said = {"sent": [flow.sent for flow in self.flows], "arrivals": [flow.arrivals for flow in self.flows]}
        sys.stdout.write(json.dumps(said))


def main() -> None:
    with contextlib.suppress(PermissionError):
        os.nice(-10)
    meter = _Meter(socket.socket(fileno=int(sys.argv[1])))
    meter.run()
    meter.tell()


if __name__ == "__main__":
    main()
