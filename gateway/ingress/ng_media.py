"""What a proxy has us withhold from a party: keys, or all that the other one says. Forwarding only.

No word of it reaches the recorder's rules: a key that isn't forwarded is still heard as a caller's answer, one that is
held back while a caller is asked stays so whatever is unblocked, and prompts, notices and tones are ours.
"""

from gateway.call.model import flow_of
from gateway.engine.engine import Engine
from gateway.engine.live_call import LiveCall
from gateway.ingress.ng_records import ProxyCall, Withheld
from gateway.media.plane import Withhold
from policy.decision import Side

__all__ = ["NgMedia"]


class NgMedia:
    """Over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @staticmethod
    def withhold(known: ProxyCall, side: Side, command: str) -> None:
        """Note one command about what a party says."""
        kept = known.withheld.setdefault(side, Withheld())
        match command:
            case "block DTMF":
                kept.keys = "blocked"
            case "unblock DTMF":
                kept.keys = "passed"
            case "block media":
                kept.blocked = True
            case "unblock media":
                kept.blocked = False
            case "silence media":
                kept.silenced = True
            case "unsilence media":
                kept.silenced = False

    def renew(self, live: LiveCall, known: ProxyCall) -> None:
        """Order it, and again after every answer: payload types may have changed."""
        ref, media = live.call.ref, live.call.negotiation
        for side, kept in known.withheld.items():
            for index in media.mlines():
                order = Withhold(flow_of(ref, side, index), kept.keys, kept.audio, media.event_types(index))
                self._engine.order(live, order)
