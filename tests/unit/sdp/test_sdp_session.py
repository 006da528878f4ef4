"""Reading session descriptions line by line."""

from __future__ import annotations

import pytest

from gateway.sdp.errors import SdpError
from gateway.sdp.session import Codec, Direction, Session, is_null_address, parse_session

OFFER = (
    b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nb=AS:100\r\nt=0 0\r\na=sendonly\r\n"
    b"m=audio 4000/2 RTP/AVP 8 0 111 101 18 96\r\ni=Titel \xff\r\n"
    b"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    b"a=rtcp:4009 IN IP4 192.0.2.3\r\n"
    b"a=rtcp-mux\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
    b"m=video 5000 RTP/SAVPF 31\r\nc=IN IP6 2001:db8::1\r\na=fingerprint:sha-256 AA\r\n"
    b"a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n"
    b"m=image 0 udptl t38\r\n"
)


def with_audio(*lines: str, session: str = "c=IN IP4 192.0.2.1") -> Session:
    return parse_session("\r\n".join(["v=0", "s=-", session, "m=audio 4000 RTP/AVP 0", *lines, ""]).encode())


def test_reads_what_the_gateway_needs() -> None:
    session = parse_session(OFFER)
    assert session.to_bytes() == OFFER
    audio, video, image = session.media
    assert (audio.kind, audio.port, audio.port_count, audio.proto) == ("audio", 4000, 2, "RTP/AVP")
    assert audio.formats == ("8", "0", "111", "101", "18", "96")
    assert session.codecs(audio) == [
        Codec(8, "PCMA", 8000, "", ""),
        Codec(0, "PCMU", 8000, "", ""),
        Codec(111, "OPUS", 48000, "2", "useinbandfec=1"),
        Codec(101, "TELEPHONE-EVENT", 8000, "", "0-16"),
        Codec(18, "G729", 8000, "", ""),
    ]
    assert session.ptime(audio) == 20 and session.ptime(video) is None
    assert session.rtcp_mux(audio) and not session.rtcp_mux(video)
    assert (session.rtcp_port(audio), session.rtcp_port(video)) == (4009, 5001)
    assert session.has_crypto(audio) and not session.has_crypto(video)
    assert session.has_fingerprint(video) and not session.has_fingerprint(audio)
    assert (audio.is_srtp, video.is_srtp, image.is_rtp) == (False, True, False)
    assert [media.is_live_audio for media in session.media] == [True, False, False]
    assert [media.is_relayable for media in session.media] == [True, True, False]

    assert session.origin == "- 1 2 IN IP4 192.0.2.1"


def test_connection_in_effect() -> None:
    session = parse_session(OFFER)
    audio, video, _ = session.media
    found = [session.connection(audio), session.connection(video)]
    assert [(c.address, c.ipv6) for c in found if c] == [("192.0.2.1", False), ("2001:db8::1", True)]
    assert session.own_connection(audio) is None
    assert parse_session(b"v=0\r\nm=audio 1 RTP/AVP 0\r\n").session_connection() is None


def test_direction_of_the_media_beats_that_of_the_session() -> None:
    session = parse_session(OFFER)
    assert [session.direction(media) for media in session.media] == [
        Direction.SENDRECV,
        Direction.SENDONLY,
        Direction.SENDONLY,
    ]


@pytest.mark.parametrize(
    ("session", "held"),
    [
        (with_audio(), False),
        (with_audio("a=recvonly"), False),
        (with_audio("a=sendonly"), True),
        (with_audio("a=inactive"), True),
        (with_audio(session="c=IN IP4 0.0.0.0"), True),
        (with_audio("c=IN IP4 192.0.2.9", session="c=IN IP4 0.0.0.0"), False),
        (with_audio("c=IN IP6 ::"), True),
        (with_audio(session="a=inactive"), True),
    ],
)
def test_hold(session: Session, held: bool) -> None:
    """By direction, or the old way by no address (RFC 3264 §8.4)."""
    audio = session.media[0]
    connection = session.connection(audio)
    nowhere = connection is not None and is_null_address(connection.address)
    assert (nowhere or session.direction(audio) in (Direction.SENDONLY, Direction.INACTIVE)) is held


@pytest.mark.parametrize(
    "data", [OFFER.replace(b"\r\n", b"\n"), OFFER[:-2], OFFER + b"\r\n\r\n", OFFER.replace(b"\r\n", b"\r")]
)
def test_odd_line_ends_are_kept(data: bytes) -> None:
    session = parse_session(data)
    assert session.to_bytes() == data and len(session.media) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"s=-\r\n",
        b"v=1\r\n",
        b"v=0\r\n\r\ns=-\r\n",
        b"v=0\r\n s=-\r\n",
        b"v=0\r\nm =audio 1 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio x RTP/AVP 0\r\n",
        b"v=0\r\nm=audio 65536 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\ns=a\0b\r\n",
        b"v=0\r\n" + b"a=x\r\n" * 2_000,
        b"v=0\r\n" + b"m=audio 4000 RTP/AVP 8\r\n" * 33,
        b"v=0\r\ns=" + b"x" * 65_536,
    ],
)
def test_what_is_no_description(data: bytes) -> None:
    with pytest.raises(SdpError):
        parse_session(data)


@pytest.mark.parametrize("line", ["a=rtcp:x", "a=rtcp:70000", "a=rtcp"])
def test_broken_rtcp_lines_count_for_nothing(line: str) -> None:
    session = with_audio(line)
    assert session.rtcp(session.media[0]) is None and session.rtcp_port(session.media[0]) == 4001


@pytest.mark.parametrize("line", ["a=ptime:x", "a=ptime:0", "a=ptime:99999", "a=ptime:", "a=ptime:20.5"])
def test_broken_ptime_counts_for_nothing(line: str) -> None:
    session = with_audio(line)
    assert session.ptime(session.media[0]) is None


@pytest.mark.parametrize(
    ("line", "rtp", "on_udp"),
    [
        ("audio 5000 RTP/AVP 8", True, True),
        ("video 5000 UDP/TLS/RTP/SAVPF 96", True, True),
        ("image 5000 udptl t38", False, True),
        ("image 5000 UDP/TLS/UDPTL t38", False, True),
        ("application 5000 UDP/BFCP *", False, True),
        ("audio 5000 TCP/RTP/AVP 8", False, False),
        ("audio 5000 TCP/TLS/RTP/SAVP 8", False, False),
        ("application 5000 TCP/TLS/BFCP *", False, False),
        ("message 5000 TCP/MSRP *", False, False),
        ("application 5000 DTLS/SCTP 5000", False, False),
    ],
)
def test_what_a_relay_of_datagrams_can_carry(line: str, rtp: bool, on_udp: bool) -> None:
    (media,) = parse_session(f"v=0\r\nm={line}\r\n".encode()).media
    assert (media.is_rtp, media.on_udp, media.is_relayable, media.is_audio) == (
        rtp, on_udp, on_udp, rtp and media.kind == "audio",
    )  # fmt: skip
