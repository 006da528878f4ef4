"""One SIP dialog as an end point keeps it (RFC 3261 §12): tags, sequence numbers, route set, remote target. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass

from demo.link import Hop
from gateway.sip.headers import address, list_values, parse_name_addr
from gateway.sip.message import Message, Request, Response, new_message


@dataclass(slots=True)
class Dialog:
    """Made by the caller when it invites, by the callee when it is invited."""

    call_id: str
    local: str
    """From or To of this end, tag included."""
    remote: str
    """To or From of the other end; its tag comes with the first answer."""
    target: str
    """Where requests are meant for: the other end's Contact."""
    contact: str
    """This end's Contact value."""
    first_hop: Hop | None
    """Where requests go while no route set says it: an outbound proxy."""
    routes: tuple[str, ...] = ()
    cseq: int = 0

    @classmethod
    def invited(cls, invite: Request, tag: str, contact: str, origin: Hop) -> "Dialog":
        """The callee's dialog; routes in the order of the Record-Route headers."""
        return cls(
            call_id=invite.get("call-id") or "",
            local=f"{invite.get('to')};tag={tag}",
            remote=invite.get("from") or "",
            target=address(invite, "contact").uri if invite.get("contact") else "",
            contact=contact,
            first_hop=origin,
            routes=tuple(list_values(invite, "record-route")),
        )

    def answered_by(self, response: Response) -> None:
        """Take the other end's tag, target and routes (reversed) from a response to the INVITE."""
        self.remote = response.get("to") or self.remote
        self.retarget(response)
        self.routes = tuple(reversed(list_values(response, "record-route")))
        if self.routes:
            self.first_hop = None

    def retarget(self, message: Message) -> None:
        """Take the other end's new Contact."""
        if message.get("contact"):
            self.target = address(message, "contact").uri

    def next_hop(self) -> Hop:
        """Where the next request goes."""
        if self.routes:
            return Hop.of_uri(parse_name_addr(self.routes[0]).uri)
        return self.first_hop or Hop.of_uri(self.target)

    def request(
        self, method: str, via: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", cseq: int | None = None
    ) -> Request:
        """The next request within the dialog; ACK and CANCEL name the `cseq` that they belong to."""
        if cseq is None:
            self.cseq += 1
        fields: list[tuple[str, str]] = [
            ("Via", via),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in self.routes),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq if cseq is None else cseq} {method}"),
            ("Contact", self.contact),
            *headers,
        ]
        if body:
            fields.append(("Content-Type", "application/sdp"))
        return new_request(method, self.target, fields, body)

    @property
    def local_tag(self) -> str:
        """This end's tag."""
        return parse_name_addr(self.local).tag or ""

    @property
    def remote_tag(self) -> str | None:
        """The other end's tag, None before it is known."""
        return parse_name_addr(self.remote).tag


def new_request(method: str, uri: str, fields: Iterable[tuple[str, str]], body: bytes = b"") -> Request:
    """A request of our own; Content-Length is added."""
    made = new_message(f"{method} {uri} SIP/2.0", fields, body)
    assert isinstance(made, Request)
    return made
