"""The answer to `query` and `delete`: when, whose tags, how many packets. No address and no SSRC of a party.

Those who asked know the addresses from their own descriptions; to bill a call nobody needs them.
"""

from collections.abc import Iterable
from datetime import datetime

from gateway.call.model import flow_of, relay_of
from gateway.engine.live_call import LiveCall
from gateway.ingress.ng_records import ProxyCall
from gateway.media.plane import FlowCount, FlowId
from gateway.ng.bencode import Value
from gateway.ng.message import ReplyBody
from policy.decision import Side

__all__ = ["report"]


def report(
    live: LiveCall, tags: Iterable[str], known: ProxyCall, counts: dict[FlowId, FlowCount], wallclock: datetime
) -> ReplyBody:
    """In rtpengine's form, without `result`."""
    since = live.call.since
    uac_tag, uac = live.call.new.uac_tag, live.call.new.uac
    labels = {tag: label for label, tag in known.tags.items()}
    told: dict[str, Value] = {}
    for tag in tags:
        side = uac if tag == uac_tag else Side.AGENT if uac is Side.CALLER else Side.CALLER
        told[tag] = {
            "tag": _bytes(tag),
            **({"label": _bytes(labels[tag])} if tag in labels else {}),
            "created": int(since.timestamp()),
            "medias": _medias(live, side, counts),
        }
    return {
        "created": int(since.timestamp()),
        "created_us": since.microsecond,
        "last signal": int(wallclock.timestamp()),
        "SSRC": {},
        "tags": told,
        "totals": {
            "RTP": {
                "packets": sum(count.forwarded for count in counts.values()),
                "errors": sum(_errors(count) for count in counts.values()),
            },
            "RTCP": {"packets": sum(count.rtcp for count in counts.values()), "errors": 0},
        },
    }


def _medias(live: LiveCall, side: Side, counts: dict[FlowId, FlowCount]) -> list[Value]:
    """What we received of a party, m-line by m-line."""
    media, ref, found = live.call.negotiation, live.call.ref, list[Value]()
    heard = [(index, "audio", flow_of(ref, side, index)) for index in media.mlines()]
    further = [(index, kind, relay_of(ref, side, index)) for index, kind in media.relayed().items()]
    for index, kind, flow in sorted([*heard, *further]):
        count, local = counts.get(flow), media.ports.get(flow)
        packets, rtcp = (count.received, count.rtcp) if count is not None else (0, 0)
        errors = _errors(count) if count is not None else 0
        port = local.port if local is not None else 0
        streams: list[Value] = [
            {"local port": port, "flags": [b"RTP"], "stats": {"packets": packets, "errors": errors}},
            {"local port": port + 1, "flags": [b"RTCP"], "stats": {"packets": rtcp, "errors": 0}},
        ]
        found.append({"index": index + 1, "type": _bytes(kind), "streams": streams})
    return found


def _errors(count: FlowCount) -> int:
    return count.wrong_source + count.send_failed


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
