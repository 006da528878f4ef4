"""TLS listeners and connections: versions, whom we trust, names, reuse of a phone's own connection, renewal."""

import asyncio
import os
import ssl

import pytest

from gateway.clock import SystemClock
from gateway.config import ConfigError, LimitsConfig, SideConfig
from gateway.ingress.sip_transport import SipTransport
from gateway.ingress.source_limits import SourceLimits
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Request
from gateway.sip.proxy_events import Transmit
from tests.loopback.sip.test_sip_transport import Inbox, options, until
from tests.peers.certificates import Authority

LIMITS = SourceLimits(LimitsConfig(), SystemClock())
GATEWAY, PHONE = "127.61.3.20", "127.61.3.7"
TLS = Transport.TLS


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
async def transport(authority):
    pair = authority.sign("gateway", GATEWAY)
    side = SideConfig(
        listen=[f"tls:{GATEWAY}:0"], peers=["127.61.3.0/25"], media_address=GATEWAY,
        tls_cert=str(pair.certificate), tls_key=str(pair.key), tls_ca=str(authority.ca),
    )  # fmt: skip
    made = SipTransport({Side.AGENT: side}, LIMITS)
    made.bind()
    yield made
    await made.close()


@pytest.fixture
async def inbox(transport):
    made = Inbox()
    await transport.serve(made)
    return made


def trusting(authority, version=None):
    context = ssl.create_default_context(cafile=str(authority.ca))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


async def connect(transport, context, host=PHONE):
    where = transport.bound(Side.AGENT, TLS)[0]
    return await asyncio.open_connection(*where, local_addr=(host, 0), ssl=context, server_hostname=GATEWAY)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_phone_is_heard_and_answered_on_its_connection(transport, inbox, authority, version):
    reader, writer = await connect(transport, trusting(authority, version))
    writer.write(options())
    message, source = await inbox.next()
    assert isinstance(message, Request)
    assert (source.side, source.transport, source.host) == (Side.AGENT, TLS, PHONE)
    transport.send(Transmit(b"answer", source))
    assert await asyncio.wait_for(reader.readexactly(6), 5) == b"answer"
    writer.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_older_versions_are_refused(transport, inbox, authority):
    context = trusting(authority, ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(transport, context)


async def test_a_stranger_gets_no_connection(transport, inbox, authority):
    reader, writer = await connect(transport, trusting(authority), "127.61.3.200")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert transport.counters["no_peer"] == 1
    writer.close()


async def test_a_request_to_a_phone_takes_the_connection_that_the_phone_opened(transport, inbox, authority):
    reader, writer = await connect(transport, trusting(authority))
    writer.write(options().replace(b"SIP/2.0/UDP", b"SIP/2.0/TLS").replace(b"127.61.1.7", PHONE.encode()))
    await inbox.next()
    transport.send(Transmit(b"invite", Hop(Side.AGENT, TLS, PHONE, 5061)))
    assert await asyncio.wait_for(reader.readexactly(6), 5) == b"invite"
    writer.close()


async def listening(pair, host):
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = await asyncio.start_server(lambda *ends: accepted.put_nowait(ends), host, 0, ssl=context)
    return server, server.sockets[0].getsockname()[1], accepted


async def test_we_connect_to_a_neighbour_whose_certificate_is_for_it(transport, inbox, authority):
    server, port, accepted = await listening(authority.sign("carrier", PHONE), PHONE)
    transport.send(Transmit(b"hello", Hop(Side.AGENT, TLS, PHONE, port)))
    reader, writer = await asyncio.wait_for(accepted.get(), 5)
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
    writer.close()
    server.close()


@pytest.mark.parametrize("fault", ["another name", "another authority"])
async def test_we_say_nothing_to_a_neighbour_that_is_not_who_it_should_be(transport, inbox, authority, tmp_path, fault):
    signer, name = (authority, "127.61.3.99") if fault == "another name" else (Authority(tmp_path / "other"), PHONE)
    server, port, _ = await listening(signer.sign("carrier", name), PHONE)
    event = Transmit(b"secret", Hop(Side.AGENT, TLS, PHONE, port))
    transport.send(event)
    assert await asyncio.wait_for(inbox.failed.get(), 5) == event
    assert transport.counters["connect_failed"] == 1
    server.close()


async def test_the_certificate_must_be_for_the_name_that_was_resolved(transport, inbox, authority):
    server, port, accepted = await listening(authority.sign("carrier", "localhost"), "127.0.0.1")
    transport.send(Transmit(b"hello", Hop(Side.AGENT, TLS, "127.0.0.1", port, name="localhost")))
    reader, writer = await asyncio.wait_for(accepted.get(), 5)
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
    writer.close()
    server.close()


async def presented(transport, authority):
    _, writer = await connect(transport, trusting(authority))
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


async def test_a_renewed_pair_is_used_without_a_restart_and_a_broken_one_is_not(transport, inbox, authority):
    before = await presented(transport, authority)
    pair = authority.sign("gateway", GATEWAY)
    os.utime(pair.key, ns=(1, 1))
    tls = transport._tls[Side.AGENT]
    assert tls.refresh()
    after = await presented(transport, authority)
    assert after != before
    pair.key.write_text("no key")
    assert not tls.refresh()
    assert await presented(transport, authority) == after


def test_a_pair_that_does_not_fit_is_refused_at_start(authority, tmp_path):
    one, other = authority.sign("one", GATEWAY), authority.sign("other", GATEWAY)
    side = SideConfig(
        listen=[f"tls:{GATEWAY}:0"], peers=["127.61.3.0/25"], media_address=GATEWAY,
        tls_cert=str(one.certificate), tls_key=str(other.key),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="tls_cert"):
        SipTransport({Side.AGENT: side}, LIMITS).bind()


async def test_a_closed_connection_is_forgotten_by_every_name(transport, inbox, authority):
    _, writer = await connect(transport, trusting(authority))
    writer.write(options().replace(b"127.61.1.7", PHONE.encode()))
    await inbox.next()
    writer.close()
    await until(lambda: not transport._connections)
    assert not transport._aliases
