"""Who is on a leg, as the trusted side says it: extension, queue, outside party. Whose extension, a seat claim says.

`X-Fairtap-*` and P-Asserted-Identity are read only from the side where the PBX is (placement `phones`: the caller
side, `trunk`: the agent side). A phone that calls out is known by its From, which its PBX authenticates before any 2xx.
A header can also say that the caller refused (`X-Fairtap-Consent: no`); a yes in it is worth nothing.
"""

from dataclasses import dataclass

from gateway.call.model import NewCall, Private, SipCallId
from gateway.config import IdentityConfig
from gateway.sip.errors import SipSyntaxError
from gateway.sip.headers import address, first_value, parse_name_addr, parse_uri
from gateway.sip.hop import Side
from gateway.sip.message import Message, Request
from policy.decision import Side as Party

__all__ = ["Identity"]

REFUSAL = "x-fairtap-consent"
WITHHELD = frozenset({"anonymous", "unknown", "restricted", "unavailable", ""})


@dataclass(frozen=True, slots=True)
class Identity:
    """The rules of one gateway."""

    config: IdentityConfig

    @property
    def pbx_side(self) -> Side:
        """The side whose word about extensions and queues counts."""
        return Side.CALLER if self.config.placement == "phones" else Side.AGENT

    def new_call(self, request: Request, source: Side) -> NewCall:
        """What an initial INVITE says; it passed the validator."""
        trusted = source is self.pbx_side
        from_agent = source is Side.AGENT
        said = self._extensions(request, trusted, from_agent)
        return NewCall(
            call_id=SipCallId(request.get("call-id") or ""),
            uac_tag=address(request, "from").tag or "",
            uac=Party.AGENT if from_agent else Party.CALLER,
            extension=said[0] if said else None,
            queue=self._queue(request) if trusted else None,
            outside=self._outside(request, trusted, from_agent),
            also_said=tuple(said[1:]),
            called=self._called(request, trusted),
        )

    def refuses(self, message: Message, source: Side) -> bool:
        """Whether the PBX says that the caller doesn't want to be recorded. Nothing that it says here can be a yes."""
        return source is self.pbx_side and (message.get(REFUSAL) or "").strip().lower() == "no"

    def _extensions(self, request: Request, trusted: bool, from_agent: bool) -> list[Private]:
        """What each source says, in the configured order."""
        said = []
        for source in self.config.extension:
            name = source.removeprefix("header:")
            if source.startswith("header:"):
                found: list[str | None] = [*request.all(name.lower())] if trusted else []
            elif source == "p-asserted-identity":
                found = [_asserted(request)] if trusted and from_agent else []
            else:
                found = [_user(request.uri)] if not from_agent else []
            said += [Private(one.strip()) for one in found if one]
        if not said and from_agent and not trusted:
            sender = _private(_user(address(request, "from").uri))
            said = [sender] if sender is not None else []
        return said

    def _called(self, request: Request, trusted: bool) -> Private | None:
        for source in self.config.called:
            header = source.startswith("header:")
            said = request.get(source.removeprefix("header:").lower()) if header and trusted else None
            found = (said or "").strip() if header else _user(request.uri)
            if found:
                return _private(found)
        return None

    def _queue(self, request: Request) -> str | None:
        said = {value.strip() for value in request.all(self.config.queue.removeprefix("header:").lower())}
        value = said.pop() if len(said) == 1 else ""  # a proxy adds its own below a caller's: nobody's word then
        return value if 0 < len(value) <= 64 and value.isprintable() else None

    @staticmethod
    def _outside(request: Request, trusted: bool, from_agent: bool) -> Private | None:
        if from_agent:
            return _private(_user(request.uri))
        asserted = _asserted(request) if trusted else None
        return _private(asserted or _user(address(request, "from").uri))


def _asserted(request: Request) -> str | None:
    """The first of the two that RFC 3325 allows, a sip: and a tel: URI."""
    try:
        value = first_value(request, "p-asserted-identity")
        return _user(parse_name_addr(value).uri) if value else None
    except SipSyntaxError:
        return None


def _user(uri: str) -> str | None:
    if uri.lower().startswith("tel:"):
        return uri[4:].split(";")[0]
    try:
        return parse_uri(uri).said_user
    except SipSyntaxError:
        return None


def _private(user: str | None) -> Private | None:
    return None if user is None or user.lower() in WITHHELD else Private(user)
