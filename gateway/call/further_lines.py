"""Offer/answer of the m-lines that are only relayed: video, fax, text, BFCP (RFC 3264). Sans-IO.

Their flows are of a kind of their own (`media.plane.is_relay`), beside those of audio even where an m-line is audio now
and a fax later: whatever is recorded or played here has no name for them. An answer is led through us as far as its
offer was, so that both directions take the same way. What can't be relayed keeps its address: TCP, a name that nobody
here knows, an address of the other IP version than ours, and what there were no ports for.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.call.model import relay_index, relay_of
from gateway.media.plane import Address, CallRef, FlowId, Forward
from gateway.sdp.session import Media, Session, is_address, is_null_address
from policy.decision import Side

__all__ = ["FurtherLine", "FurtherLines", "FurtherMedia", "further_lines"]


@dataclass(frozen=True, slots=True)
class FurtherLine:
    """What one party said about one m-line that isn't audio."""

    kind: str
    """As in its m= line: `video`, `image`, …"""
    live: bool
    """Not refused."""
    remote: Address | None
    """Where it receives; None where the m-line is refused or held by a null address."""
    remote_rtcp: Address | None
    """None also where there is no RTCP."""
    one_port: bool
    """It isn't RTP, or offers to have RTCP on the same port."""


FurtherLines = dict[int, FurtherLine]
"""By m-line index."""
_REFUSED = FurtherLine("", False, None, None, True)


@dataclass(slots=True)
class FurtherMedia:
    """One branch: the offer that waits for an answer, and what holds."""

    offered: tuple[Side, FurtherLines] | None = None
    stable: dict[Side, FurtherLines] = field(default_factory=dict)

    def answer_to(self, initial: tuple[Side, FurtherLines] | None, answerer: Side) -> FurtherLines:
        """What an answer of this party's answers, maybe once more; nothing where nothing was offered to it."""
        offered = self.offered or (initial if not self.stable else None)
        if offered is not None:
            return offered[1] if offered[0] is not answerer else {}
        return next((lines for side, lines in self.stable.items() if side is not answerer), {})

    def answered(self, initial: tuple[Side, FurtherLines] | None, answerer: Side, lines: FurtherLines) -> None:
        """The answer that completes an exchange; one that comes again changes nothing."""
        offered = self.offered or (initial if not self.stable else None)
        if offered is not None and offered[0] is not answerer:
            self.stable = {offered[0]: offered[1], answerer: lines}
            self.offered = None

    def forwards(
        self, call: CallRef, ports: Mapping[FlowId, Address], networks: Mapping[Side, tuple[str, ...]]
    ) -> Iterator[Forward]:
        """How every relay of a call is to go now; what isn't described any more goes nowhere."""
        for index in sorted({index for flow in ports if (index := relay_index(flow)) is not None}):
            said = {side: self.stable.get(side, {}).get(index, _REFUSED) for side in Side}
            one_port = all(line.one_port for line in said.values())
            for side, line in said.items():
                other = Side.AGENT if side is Side.CALLER else Side.CALLER
                yield Forward(
                    flow=relay_of(call, side, index),
                    to=relay_of(call, other, index),
                    remote=line.remote,
                    remote_rtcp=None if one_port else line.remote_rtcp,
                    rtcp_mux=one_port,
                    nat_networks=networks.get(side, ()),
                )


def further_lines(session: Session, ours: str) -> FurtherLines:
    """Those of a description that can be relayed, and the refused ones; `ours` is our address towards its writer."""
    found = {media.index: _line(session, media, ours) for media in session.media if media.on_udp and not media.is_audio}
    return {index: line for index, line in found.items() if line is not None}


def _line(session: Session, media: Media, ours: str) -> FurtherLine | None:
    connection, one_port = session.connection(media), not media.is_rtp or session.rtcp_mux(media)
    if media.port == 0 or connection is None or is_null_address(connection.address):
        return FurtherLine(media.kind, media.port != 0, None, None, one_port)
    if not is_address(connection.address) or _version(connection.address) != _version(ours):
        return None
    rtcp, told = None, session.rtcp(media)
    if media.is_rtp and session.rtcp_port(media) < 65_536:
        host = told.address if told and told.address and is_address(told.address) else connection.address
        rtcp = Address(host, session.rtcp_port(media))
    return FurtherLine(media.kind, True, Address(connection.address, media.port), rtcp, one_port)


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version
