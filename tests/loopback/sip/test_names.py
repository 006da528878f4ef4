"""Names over the wire: a name server on loopback, and the system's own way for addresses."""

import asyncio

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rrset
import pytest

from gateway.ingress.names import Answer, LookupFailed, SystemNames
from gateway.sip.locating import Naptr, Srv

ZONE = {
    ("carrier.example.", "NAPTR"): '10 20 "s" "SIP+D2U" "" _sip._udp.carrier.example.',
    ("_sip._udp.carrier.example.", "SRV"): "5 7 5070 a.carrier.example.",
}
REFUSING = "broken.example."


class NameServer(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        asked = dns.message.from_wire(data)
        (question,) = asked.question
        name, kind = question.name.to_text(), question.rdtype.name
        answer = dns.message.make_response(asked)
        if name == REFUSING:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in ZONE:
            answer.answer.append(dns.rrset.from_text(name, 77, "IN", kind, ZONE[name, kind]))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)


@pytest.fixture
async def names():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, ("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
    yield SystemNames(resolver)
    transport.close()


async def test_records_come_with_their_time_to_live(names):
    assert await names.services("carrier.example") == Answer(
        (Naptr(10, 20, "s", "SIP+D2U", "_sip._udp.carrier.example"),), 77.0
    )
    assert await names.servers("_sip._udp.carrier.example") == Answer((Srv(5, 7, 5070, "a.carrier.example"),), 77.0)
    assert (await names.servers("_sip._tcp.carrier.example")).records == ()


@pytest.mark.parametrize("name", ["broken.example", "x" * 64 + ".example"])
async def test_a_server_that_fails_and_a_name_that_is_none_are_told_apart_from_no_records(names, name):
    with pytest.raises(LookupFailed):
        await names.servers(name)


async def test_addresses_are_the_systems(names):
    assert "127.0.0.1" in (await names.hosts("localhost")).records
    with pytest.raises(LookupFailed):
        await names.hosts("name.invalid")
