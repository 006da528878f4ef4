"""SRTP for one side and plain RTP for the other: by the words behind a peer's network, in whichever message offers."""

import pytest

from gateway.config import SideConfig
from gateway.ingress.profiles import PLAIN, SECURE, Profiles
from gateway.media.plane import Forward, Secure, Srtp
from gateway.sdp.session import parse_session
from gateway.sip.hop import Hop, Side, Transport
from tests.peers.engine_bench import sdp
from tests.peers.proxy_bench import PBX, ProxyBench

KEY = "AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40
SECURE_SDP = sdp("127.15.2.12", 5000).replace(b"RTP/AVP", b"RTP/SAVP") + b"a=crypto:1 " + KEY.encode() + b"\r\n"


@pytest.fixture
async def sip(bench, tmp_path):
    made = ProxyBench(bench, tmp_path, peers=(f"{PBX[0]} downgrade", "127.15.2.12/30 srtp"))
    yield made
    await made.proxy.close()


def told(message):
    """The profile of its description, and how many keys are in it."""
    session = parse_session(message.body)
    return session.media[0].proto, len(session.attributes(session.media[0], "crypto"))


def orders(bench):
    """What the worker was told last of each party."""
    kinds = {order.flow.split("/")[1]: order.srtp for order in bench.worker.orders if isinstance(order, Forward)}
    keys = [order.flow.split("/")[1] for order in bench.worker.orders if isinstance(order, Secure)]
    return kinds, set(keys)


@pytest.mark.parametrize("delayed", [False, True])
async def test_a_plain_trunk_and_a_phone_that_takes_srtp_only(sip, bench, delayed):
    if delayed:
        await sip.request("INVITE")
        await sip.respond(sip.requests("INVITE")[-1], 200, body=SECURE_SDP)
        assert told(sip.responses(PBX)[-1]) == (PLAIN, 0)
        await sip.request("ACK", to_tag="uas", body=sdp(PBX[0]))
        assert told(sip.requests("ACK")[-1]) == (SECURE, 1)
    else:
        await sip.request("INVITE", body=sdp(PBX[0]))
        assert told(sip.requests("INVITE")[-1]) == (SECURE, 1)
        await sip.respond(sip.requests("INVITE")[-1], 200, body=SECURE_SDP)
        assert told(sip.responses(PBX)[-1]) == (PLAIN, 0)
        await sip.request("ACK", to_tag="uas")
    assert orders(bench) == ({"caller": Srtp.NONE, "agent": Srtp.ENDED}, {"agent"})
    assert bench.engine.counters["media_encrypted"] == 0


async def test_srtp_that_nobody_can_read_is_counted(bench, tmp_path):
    sip = ProxyBench(bench, tmp_path)
    body = SECURE_SDP.replace(b"AES_CM_128", b"AES_256_CM")
    await sip.request("INVITE", body=body)
    assert told(sip.requests("INVITE")[-1]) == (SECURE, 1)
    await sip.respond(sip.requests("INVITE")[-1], 200, body=body)
    await sip.request("ACK", to_tag="uas")
    assert bench.engine.counters["media_encrypted"] == 1
    await sip.proxy.close()


def test_the_narrowest_entry_says_it():
    callers = SideConfig(peers=["10.0.0.0/8 downgrade", "10.0.0.5/32"])
    agents = SideConfig(peers=["10.1.0.0/16 srtp", "10.1.0.0/24", "10.1.0.9:5060 srtp", "10.1.1.0/24 downgrade"])
    profiles = Profiles({Side.CALLER: callers, Side.AGENT: agents})

    def between(source, target):
        return profiles.between(Hop(Side.CALLER, Transport.TCP, source, 1), Hop(Side.AGENT, Transport.TCP, target, 2))

    asked = {
        "10.1.7.7": SECURE,
        "10.1.0.7": None,
        "10.1.0.9": SECURE,
        "10.1.1.1": PLAIN,
        "192.0.2.1": None,
        "phone.example": None,
    }
    assert {target: between("10.9.9.9", target) for target in asked} == asked
    assert between("10.0.0.5", "10.1.7.7") is None, "its media must not go in the clear"
    assert between("10.0.0.5", "10.1.1.1") == PLAIN
