"""Where requests go: configured hops in order, and never to a stranger."""

import pytest

from gateway.config import ConfigError, SideConfig
from gateway.ingress.next_hop import NextHops
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.proxy_events import Target
from tests.peers.zone import Zone

BOTH = ["udp:10.0.0.20:5060", "tcp:10.0.0.20:5060"]


def zone() -> Zone:
    made = Zone()
    made.a = {"pbx.example": ["10.0.0.7"], "carrier.example": ["198.51.100.9"], "phone.example": ["192.0.2.1"]}
    return made


def hops(side: Side = Side.AGENT, names: Zone | None = None, **values) -> NextHops:
    config = SideConfig(**{"listen": BOTH, "peers": ["10.0.0.0/8"], "media_address": "10.0.0.20", **values})
    return NextHops.of(side, config, (names or zone()).locator())


def udp(host: str, port: int = 5060) -> Hop:
    return Hop(Side.AGENT, Transport.UDP, host, port)


async def test_configured_hops_are_tried_in_order():
    found = hops(next_hops=["10.0.0.5:5070", "sip:pbx.example", "sip:10.0.0.6;transport=tcp"])
    assert await found.candidates(None, "sip:7001@10.0.0.20") == [
        udp("10.0.0.5", 5070),
        Hop(Side.AGENT, Transport.UDP, "10.0.0.7", 5060, name="pbx.example"),
        Hop(Side.AGENT, Transport.TCP, "10.0.0.6", 5060),
    ]


async def test_configured_hops_go_before_what_the_request_names():
    found = hops(next_hops=["10.0.0.5"])
    assert await found.candidates(None, "sip:7001@10.0.0.99") == [udp("10.0.0.5")]


async def test_without_them_the_request_s_own_address_counts_if_it_is_a_peer():
    assert await hops().candidates(None, "sip:7001@10.0.0.99:5090;transport=tcp") == [
        Hop(Side.AGENT, Transport.TCP, "10.0.0.99", 5090)
    ]
    assert await hops().candidates(None, "sip:7001@10.0.0.99") == [udp("10.0.0.99")]


@pytest.mark.parametrize(
    "uri",
    [
        "sip:x@192.0.2.1",
        "sip:x@phone.example",
        "sip:x@10.0.0.99.example",
        "sip:x@[2001:db8::1]",
        "sip:x@[::ffff:192.0.2.1]",
        "tel:+4940111",
        "sip:",
        "http://10.0.0.99",
        "sip:x@10.0.0.99;transport=carrier-pigeon",
    ],
)
async def test_no_request_aims_the_gateway_at_a_stranger(uri):
    assert await hops().candidates(None, uri) == []


@pytest.mark.parametrize("host", ["192.0.2.1", "phone.example", "10.0.0.5.example", "2001:db8::1", "PBX.example.evil"])
async def test_nor_does_a_route(host):
    found = hops(next_hops=["10.0.0.5", "sip:pbx.example"])
    assert await found.candidates(Target(host, 5060, Transport.UDP), "sip:7001@10.0.0.20") == []


@pytest.mark.parametrize(
    ("target", "hop"),
    [
        (Target("10.9.9.9", None, Transport.UDP), udp("10.9.9.9")),
        (Target("10.9.9.9", 5099, Transport.TCP), Hop(Side.AGENT, Transport.TCP, "10.9.9.9", 5099)),
        (
            Target("pbx.example", 5062, Transport.UDP),
            Hop(Side.AGENT, Transport.UDP, "10.0.0.7", 5062, name="pbx.example"),
        ),
        (Target("198.51.100.7", None, Transport.UDP), udp("198.51.100.7")),
    ],
)
async def test_a_route_to_a_peer_or_a_configured_hop_is_followed_alone(target, hop):
    found = hops(next_hops=["sip:pbx.example", "198.51.100.7:5080"])
    assert await found.candidates(target, "sip:7001@10.0.0.20") == [hop]


async def test_a_peer_s_port_limits_whom_it_sends_from_not_where_it_is_called():
    assert await hops(peers=["10.0.0.5:5060"]).candidates(Target("10.0.0.5", 5090, Transport.UDP), "sip:x@y") == [
        udp("10.0.0.5", 5090)
    ]


async def test_only_transports_that_the_side_listens_on_are_used():
    found = hops(listen=["tcp:10.0.0.20:5060"])
    assert [hop.transport for hop in await found.candidates(None, "sip:x@10.0.0.99")] == [Transport.TCP]
    found = hops(listen=["udp:10.0.0.20:5060"])
    assert [hop.transport for hop in await found.candidates(Target("10.0.0.9", None, Transport.TCP), "sip:x@y")] == [
        Transport.UDP
    ]


async def test_an_ipv6_hop_is_written_without_brackets():
    found = hops(next_hops=["[2001:DB8::5]:5070"], listen=["udp:[2001:db8::1]:5060"], peers=["2001:db8::/32"])
    assert await found.candidates(None, "sip:x@y") == [udp("2001:db8::5", 5070)]


@pytest.mark.parametrize(
    "text", ["", "sip:", "pbx example", "sip:pbx.example:99999", "sip:x;transport=sctp", "http://pbx", "10.0.0.5:port"]
)
def test_a_next_hop_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="next_hops"):
        hops(next_hops=[text])


@pytest.mark.parametrize("text", ["sips:carrier.example", "sip:carrier.example;transport=tls"])
async def test_a_next_hop_over_tls_needs_a_tls_listener(text):
    """Sending in the clear what was asked to be encrypted would be worse."""
    with pytest.raises(ConfigError, match="TLS"):
        hops(next_hops=[text])
    found = hops(next_hops=[text], listen=["udp:10.0.0.1:5060", "tls:10.0.0.1:5061"])
    assert await found.candidates(None, "sip:x@y") == [
        Hop(Side.AGENT, Transport.TLS, "198.51.100.9", 5061, name="carrier.example")
    ]


async def test_a_name_of_somebody_else_s_is_followed_only_to_a_peer():
    """A Contact may name the PBX by a name of the house: what counts is where it leads."""
    names = zone()
    names.a["desk.example"] = ["192.0.2.1", "10.0.0.99"]
    found = await hops(names=names).candidates(Target("desk.example", 5060, None), "sip:x@y")
    assert [hop.host for hop in found] == ["10.0.0.99"]


async def test_an_address_behind_a_configured_name_is_no_stranger():
    """A carrier's Record-Route names the server itself, where we were told the domain."""
    side = hops(next_hops=["sip:carrier.example"])
    assert await side.candidates(Target("198.51.100.9", 5060, None), "sip:x@y") == []
    await side.standing()
    assert await side.candidates(Target("198.51.100.9", 5060, None), "sip:x@y") == [udp("198.51.100.9")]


async def test_what_is_too_large_for_udp_goes_by_tcp_where_nobody_asked_for_udp():
    """RFC 3261 §18.1.1; a neighbour that takes no TCP gets fragments, and isn't tried again for a while."""
    side = hops(next_hops=["10.0.0.5", "sip:10.0.0.6;transport=udp"])
    free, asked = await side.candidates(None, "sip:x@y")
    assert side.fitting([free, asked], 900, 0.0) == [free, asked]
    by_tcp = Hop(Side.AGENT, Transport.TCP, "10.0.0.5", 5060)
    assert side.fitting([free, asked], 1000, 0.0) == [by_tcp, free, asked]
    side.failed(side.fitting([free], 1000, 0.0)[0], 0.0)
    assert side.fitting([free], 1000, 599.0) == [free]
    assert side.fitting([free], 1000, 600.0) == [by_tcp, free]
    deaf = hops(next_hops=["10.0.0.5"], listen=["udp:10.0.0.20:5060"])
    assert deaf.fitting([free], 9000, 0.0) == [free], "answers couldn't come back"
