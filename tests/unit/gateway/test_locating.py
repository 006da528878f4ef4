"""RFC 3263 by an injected zone: NAPTR, SRV by priority and weight, addresses of both versions, and names that fail."""

import random
from collections import Counter

import pytest

from gateway.ingress.locator import Locator
from gateway.ingress.names import KnownNames
from gateway.sip.hop import Transport
from gateway.sip.locating import Naptr, Srv, in_order
from gateway.sip.proxy_events import Target
from tests.peers.manual_clock import ManualClock
from tests.peers.zone import Zone

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
ALL = frozenset({UDP, TCP, TLS})
DOMAIN = Target("carrier.example", None, None)


@pytest.fixture
def zone():
    made = Zone()
    made.a = {"a.example": ["192.0.2.1"], "b.example": ["192.0.2.2", "2001:db8::2"], "carrier.example": ["192.0.2.9"]}
    made.srv = {
        "_sip._udp.carrier.example": [Srv(20, 0, 5060, "b.example"), Srv(10, 0, 5070, "a.example")],
        "_sip._tcp.carrier.example": [Srv(10, 0, 5080, "a.example")],
        "_sips._tcp.carrier.example": [Srv(10, 0, 5081, "a.example")],
    }
    return made


async def test_srv_records_in_their_order_with_every_address(zone):
    assert await zone.locator().places(DOMAIN, frozenset({UDP})) == [
        (UDP, "192.0.2.1", 5070),
        (UDP, "192.0.2.2", 5060),
        (UDP, "2001:db8::2", 5060),
    ]


async def test_naptr_decides_the_transport_among_those_we_have(zone):
    zone.naptr["carrier.example"] = [
        Naptr(20, 10, "s", "SIP+D2U", "_sip._udp.carrier.example"),
        Naptr(10, 20, "s", "SIP+D2T", "_sip._tcp.carrier.example"),
        Naptr(10, 10, "S", "SIPS+D2T", "_sips._tcp.carrier.example"),
        Naptr(10, 5, "s", "SIP+D2S", "_sip._sctp.carrier.example"),
        Naptr(10, 5, "u", "E2U+sip", "!^.*$!sip:info@example.com!"),
    ]
    for offered, order in ((ALL, [TLS, TCP, UDP]), ({UDP, TCP}, [TCP, UDP]), ({UDP}, [UDP])):
        found = await zone.locator().places(DOMAIN, frozenset(offered))
        assert list(dict.fromkeys(by for by, _, _ in found)) == order


async def test_without_naptr_udp_goes_first_and_tls_is_nobody_s_default(zone):
    found = await zone.locator().places(DOMAIN, ALL)
    assert [(by, port) for by, host, port in found if host == "192.0.2.1"] == [(UDP, 5070), (TCP, 5080)]
    assert await zone.locator().places(Target("carrier.example", None, TLS), ALL) == [(TLS, "192.0.2.1", 5081)]


async def test_without_srv_the_name_itself_at_the_default_port(zone):
    zone.srv.clear()
    assert await zone.locator().places(DOMAIN, ALL) == [(UDP, "192.0.2.9", 5060)]
    assert await zone.locator().places(Target("carrier.example", None, TLS), ALL) == [(TLS, "192.0.2.9", 5061)]


async def test_a_port_or_a_name_of_the_house_asks_for_no_services(zone):
    zone.a["pbx"] = ["10.0.0.5"]
    assert await zone.locator().places(Target("carrier.example", 5090, None), ALL) == [(UDP, "192.0.2.9", 5090)]
    assert await zone.locator().places(Target("pbx", None, TCP), ALL) == [(TCP, "10.0.0.5", 5060)]
    assert set(zone.asked) == {"carrier.example", "pbx"}
    assert zone.asked["carrier.example"] == 1


async def test_a_service_that_is_decidedly_not_offered_leads_nowhere(zone):
    zone.srv = {"_sip._udp.carrier.example": [Srv(0, 0, 0, ".")]}
    assert await zone.locator().places(DOMAIN, frozenset({UDP})) == []


async def test_only_versions_that_the_side_listens_on(zone):
    for version, host in ((4, "192.0.2.2"), (6, "2001:db8::2")):
        locator = zone.locator(versions=frozenset({version}))
        assert await locator.places(Target("b.example", 5060, None), ALL) == [(UDP, host, 5060)]


def test_equals_share_by_weight():
    records = [Srv(1, 1, 5060, "small"), Srv(1, 3, 5060, "large"), Srv(0, 0, 5060, "first"), Srv(2, 9, 5060, "last")]
    dice = random.Random(7)
    seconds: Counter[str] = Counter()
    for _ in range(2000):
        found = [record.target for record in in_order(records, dice.randrange)]
        assert (found[0], found[3], len(found)) == ("first", "last", 4)
        seconds[found[1]] += 1
    # RFC 2782 throws 0 to the sum, so 1:3 comes out as 2:3 of five sides
    assert 0.53 < seconds["large"] / 2000 < 0.67


async def test_answers_are_kept_as_long_as_they_say_and_old_ones_serve_while_nobody_answers(zone):
    clock = ManualClock()
    locator = Locator(KnownNames(zone, clock), frozenset({4}), lambda most: 0)
    target = Target("a.example", 5060, None)
    assert await locator.places(target, ALL) == [(UDP, "192.0.2.1", 5060)]
    zone.a["a.example"] = ["192.0.2.77"]
    clock.advance(299)
    assert await locator.places(target, ALL) == [(UDP, "192.0.2.1", 5060)]
    assert zone.asked["a.example"] == 1
    clock.advance(2)
    zone.silent = True
    assert await locator.places(target, ALL) == [(UDP, "192.0.2.1", 5060)], "what was known serves on"
    zone.silent = False
    clock.advance(3)
    assert await locator.places(target, ALL) == [(UDP, "192.0.2.77", 5060)]


async def test_a_name_that_nobody_answers_for_leads_nowhere_and_is_asked_again(zone):
    clock = ManualClock()
    locator = zone.locator(clock)
    zone.silent = True
    assert await locator.places(DOMAIN, ALL) == []
    zone.silent = False
    clock.advance(3)
    assert await locator.places(DOMAIN, frozenset({TCP})) == [(TCP, "192.0.2.1", 5080)]
