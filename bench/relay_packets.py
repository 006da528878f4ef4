"""Microseconds of the relay for each packet of a burst that lies in a socket: the loop's own work isn't in it.

The tenth percentile and the median of many bursts, by the kind of media. A machine that does other things beside it
shows in the median.
"""

import argparse
import asyncio
import base64
import json
import socket
import time

import uvloop

from gateway.clock import SystemClock
from gateway.media.datapath.base import Latched
from gateway.media.datapath.ports import PortPool, share
from gateway.media.datapath.userspace import UserspaceDatapath
from gateway.media.plane import Address, FlowId, FlowSpec, Forward, Secure, Srtp, SrtpKey
from gateway.rtp.packet import build
from gateway.rtp.srtp import Sealer

HOST, SUITE = "127.0.0.1", "AES_CM_128_HMAC_SHA1_80"
CALLER, AGENT = FlowId("00112233aabbccdd/caller/0"), FlowId("00112233aabbccdd/agent/0")
BURST = 48
KINDS = ("plain", "plain, tapped", "through", "through, tapped", "ended")


class Nobody:
    """Takes what a datapath tells."""

    def media_seen(self, flow: FlowId, at: float, ssrc: int, payload_type: int, earlier: int | None) -> None: ...

    def latched(self, flow: FlowId, sources: Latched) -> None: ...

    def unreadable(self, flow: FlowId) -> None:
        raise AssertionError("keys don't fit")

    def catch_up(self) -> None: ...


def key(seed: int) -> SrtpKey:
    """One of the parties' keys."""
    return SrtpKey(SUITE, base64.b64encode(bytes([seed]) * 30).decode())


def party() -> socket.socket:
    """A party's socket."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((HOST, 0))
    made.setblocking(False)
    return made


async def measure(kind: str, bursts: int) -> list[float]:
    """Microseconds a packet, from fastest to slowest burst."""
    path = UserspaceDatapath(
        asyncio.get_running_loop(), SystemClock(), PortPool(share((42000, 42099), 1, 0), 0.0), Nobody()
    )
    ports = path.reserve([FlowSpec(CALLER, HOST), FlowSpec(AGENT, HOST)])
    ends = {CALLER: party(), AGENT: party()}
    srtp = {"through": (Srtp.THROUGH, Srtp.THROUGH), "ended": (Srtp.ENDED, Srtp.NONE)}.get(
        kind.split(",")[0], (Srtp.NONE, Srtp.NONE)
    )
    for flow, to, how, keys in ((CALLER, AGENT, srtp[0], (key(1), key(2))), (AGENT, CALLER, srtp[1], (key(2), key(1)))):
        if how is not Srtp.NONE:
            path.secure(Secure(flow, *keys))
        path.forward(Forward(flow, to, Address(*ends[flow].getsockname()), None, srtp=how))
    flow = path._flows[CALLER]
    path._loop.remove_reader(flow.pair.rtp)
    if kind.endswith("tapped"):
        path.tap(CALLER, lambda at, packet: bytes(packet))
    sealer = Sealer(SUITE, bytes([1]) * 30) if srtp[0] is not Srtp.NONE else None
    taken = []
    for burst in range(bursts):
        for seq in range(burst * BURST, (burst + 1) * BURST):
            packet = build(8, seq, seq * 160, 7, bytes(160))
            sealed = sealer.seal(packet) if sealer is not None else packet
            assert sealed is not None
            ends[CALLER].sendto(sealed, (HOST, ports[CALLER].port))
        began = time.perf_counter()
        flow.read()
        taken.append((time.perf_counter() - began) / BURST * 1e6)
        for _ in range(BURST):
            ends[AGENT].recv(2048)
    path.close()
    return sorted(taken)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bursts", type=int, default=2000)
    bursts = parser.parse_args().bursts
    found = {}
    for kind in KINDS:
        taken = uvloop.run(measure(kind, bursts))
        found[kind] = {"p10_us": round(taken[bursts // 10], 2), "median_us": round(taken[bursts // 2], 2)}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
