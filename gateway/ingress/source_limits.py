"""What one source may send, so that a flood of one costs nobody else a call: messages, new calls, open requests.

Messages beyond their rate are dropped, or left in the stream that they come by; new calls beyond theirs are answered
503. An emergency call has a budget of its own, far beyond what anybody dials. The log names a side, never an address.
"""

import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass

import structlog

from gateway.clock import Clock
from gateway.config import LimitsConfig
from gateway.engine.protected import is_emergency
from gateway.sip.build import has_to_tag
from gateway.sip.errors import SipSyntaxError
from gateway.sip.headers import parse_uri
from gateway.sip.hop import Hop
from gateway.sip.message import Request

__all__ = ["SourceLimits", "is_emergency_uri"]

log = structlog.get_logger()
BURST_S = 2.0
"""So many seconds' worth may come at once."""
EMERGENCIES_PER_S = 20.0
MOST_SOURCES = 8192
TELL_S = 10.0
"""One line of log for each fault in that time."""
_LONGEST_URI = 512


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class SourceLimits:
    """One for both sides; `counters` is the gateway's own."""

    def __init__(self, config: LimitsConfig, clock: Clock) -> None:
        self.counters: Counter[str] = Counter()
        self._config = config
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, str, str], _Bucket] = OrderedDict()
        self._told: dict[tuple[str, str], float] = {}

    def takes(self, data: bytes, source: Hop) -> bool:
        """Whether a datagram may come in at all."""
        if self._spend("message", source, self._config.messages_per_s) <= 0.0:
            return True
        if _calls_for_help(data) and self._spend("help", source, EMERGENCIES_PER_S) <= 0.0:
            return True
        self._refused("flood_dropped", source)
        return False

    def pause(self, messages: int, source: Hop) -> float:
        """For how many seconds a stream that brought so many messages isn't read."""
        wait = self._spend("message", source, self._config.messages_per_s, messages, owing=True)
        if wait > 0.0:
            self._refused("flood_slowed", source)
        return min(wait, BURST_S)

    def refuses(self, request: Request, source: Hop, open_here: int, open_at_all: int) -> int:
        """The status for a request that would open a transaction; 0 lets it in."""
        most = self._config.open_requests * (2 if has_to_tag(request) else 1)  # what belongs to a call goes before
        new_call = request.method == "INVITE" and not has_to_tag(request)
        full = open_here >= most // 2 or open_at_all >= most
        fast = new_call and self._spend("call", source, self._config.calls_per_s) > 0.0
        if not (full or fast):
            return 0
        if new_call and is_emergency_uri(request.uri) and self._spend("help", source, EMERGENCIES_PER_S) <= 0.0:
            return 0
        self._refused("calls_refused_busy" if fast else "requests_refused_full", source)
        return 503

    def _spend(self, what: str, source: Hop, rate: float, count: int = 1, *, owing: bool = False) -> float:
        """Seconds until there was room for so many; 0 where there is now. `owing`: they are taken anyway."""
        now, key = self._clock.now(), (what, source.side.value, _network(source.host))
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(rate * BURST_S, now)
            if len(self._buckets) > MOST_SOURCES:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        bucket.left = min(bucket.left + (now - bucket.at) * rate, rate * BURST_S)
        bucket.at = now
        missing = count - bucket.left
        if missing <= 0.0 or owing:
            bucket.left -= count
        return max(0.0, missing / rate)

    def tell(self, what: str, source: Hop) -> None:
        """One line of log for what somebody did, now and then; counted it is where it happens."""
        now, key = self._clock.now(), (what, source.side.value)
        if now - self._told.get(key, -TELL_S) >= TELL_S:
            self._told[key] = now
            log.warning("what a source sends is refused", side=source.side.value, what=what)

    def _refused(self, what: str, source: Hop) -> None:
        self.counters[what] += 1
        self.tell(what, source)


def is_emergency_uri(uri: str) -> bool:
    """Whether a request-URI calls for help."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() in ("tel", "urn"):
        return is_emergency(rest if scheme.lower() == "tel" else uri)
    try:
        return is_emergency(parse_uri(uri).said_user or "")
    except SipSyntaxError:
        return False


def _calls_for_help(data: bytes) -> bool:
    method, _, rest = data[:_LONGEST_URI].partition(b" ")
    return method == b"INVITE" and is_emergency_uri(rest.partition(b" ")[0].decode("ascii", "replace"))


def _network(host: str) -> str:
    """One IPv6 source has a whole /64 to send from."""
    if ":" not in host:
        return host
    return str(ipaddress.ip_network((int(ipaddress.ip_address(host)) >> 64 << 64, 64)))
