"""What a description gets on its way through ng, beside what it keeps; what can't be done is refused."""

import pytest

from gateway.ng import bencode
from gateway.ng.description import as_rtpengine, refuse_unsupported
from gateway.ng.errors import NgError
from gateway.ng.message import NgRequest, metadata, split_cookie
from gateway.sdp.session import parse_session

ANCHORED = (
    b"v=0\r\no=user1 53655765 2353687637 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 127.0.0.40\r\nt=0 0\r\n"
    b"m=audio 33000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
    b"m=video 0 RTP/AVP 96\r\n"
)


def test_additions_are_spelled_out_and_nothing_is_lost():
    said = as_rtpengine(ANCHORED, request(replace=[b"origin"]))
    assert b"o=user1 53655765 2353687637 IN IP4 127.0.0.40\r\n" in said
    for line in (b"a=rtpmap:0 PCMU/8000", b"a=sendrecv", b"a=rtcp:33001"):
        assert said.count(line + b"\r\n") == 1
    kept = [line for line in ANCHORED.split(b"\r\n") if not line.startswith(b"o=")]
    assert set(kept) <= set(said.split(b"\r\n"))
    assert parse_session(said).media[1].port == 0


def test_the_origin_stays_without_being_asked_for():
    assert b"IN IP4 192.0.2.20\r\n" in as_rtpengine(ANCHORED, request())


def test_what_is_there_already_is_not_said_twice():
    once = as_rtpengine(ANCHORED, request())
    assert as_rtpengine(once, request()) == once


def test_video_and_fax_have_what_rtpengine_gives_them():
    """As it did where it was recorded: a direction for all that it relays, a=rtcp for RTP alone."""
    relayed = ANCHORED.replace(b"video 0 RTP", b"video 33010 RTP") + b"m=image 33020 udptl t38\r\na=T38FaxVersion:0\r\n"
    chat = b"m=message 33030 TCP/MSRP *\r\n"
    said = as_rtpengine(relayed + chat, request())
    assert said.endswith(
        b"m=video 33010 RTP/AVP 96\r\na=sendrecv\r\na=rtcp:33011\r\n"
        b"m=image 33020 udptl t38\r\na=T38FaxVersion:0\r\na=sendrecv\r\n" + chat
    )
    muxed = relayed.replace(b"RTP/AVP 96\r\n", b"RTP/AVP 96\r\na=rtcp-mux\r\n")
    assert b"mux" not in as_rtpengine(muxed, request(**{"rtcp-mux": list[bencode.Value]([b"demux"])}))
    assert as_rtpengine(muxed, request()).count(b"a=rtcp:") == 1


def test_a_browser_s_video_would_not_do_without_ice():
    video = ANCHORED.replace(b"m=video 0 RTP/AVP", b"m=video 6000 UDP/TLS/RTP/SAVPF")
    refuse_unsupported(request(sdp=video + b"a=fingerprint:sha-256 AA\r\n"))
    with pytest.raises(NgError, match="ICE"):
        refuse_unsupported(request(sdp=video + b"a=fingerprint:sha-256 AA\r\na=ice-ufrag:u\r\n"))


def test_a_profile_is_asked_for_audio_alone():
    """A video's SRTP passes as it is: who can't speak it refuses that line, and the call goes on."""
    refuse_unsupported(
        request(sdp=ANCHORED.replace(b"video 0 RTP/AVP", b"video 6000 RTP/SAVP"), **{"transport-protocol": b"RTP/AVP"})
    )


def test_a_hold_is_no_address_to_replace():
    held = ANCHORED.replace(b"c=IN IP4 127.0.0.40", b"c=IN IP4 0.0.0.0")
    assert b"c=IN IP4 0.0.0.0\r\n" in as_rtpengine(held, request(replace=[b"session connection"]))


def request(**more: bencode.Value | str) -> NgRequest:
    return NgRequest.parse(bencode.encode({"command": b"offer", "sdp": ANCHORED, **more}))  # type: ignore[dict-item]  # text too


SECURE = ANCHORED.replace(b"RTP/AVP 8", b"RTP/SAVP 8")
KEY = b"inline:" + b"A" * 40


@pytest.mark.parametrize(
    "asked",
    [
        {"transport-protocol": b"UDP/TLS/RTP/SAVPF"},
        {"transport-protocol": b"RTP/SAVP", "sdp": ANCHORED.replace(b"RTP/AVP 8", b"UDP/TLS/RTP/SAVPF 8")},
        {"transport-protocol": b"RTP/AVP", "sdp": SECURE},
        {
            "transport-protocol": b"RTP/AVP",
            "sdp": SECURE.replace(b"a=ptime", b"a=crypto:1 AEAD_AES_128_GCM %s\r\na=ptime" % KEY),
        },
        {"ICE": b"force"},
    ],
)
def test_what_can_t_be_done_is_refused(asked):
    with pytest.raises(NgError):
        refuse_unsupported(request(**asked))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"transport-protocol": b"RTP/AVP"},
        {"transport-protocol": b"RTP/AVPF"},
        {"transport-protocol": b"RTP/SAVP"},
        {
            "transport-protocol": b"RTP/AVP",
            "sdp": SECURE.replace(b"a=ptime", b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 %s\r\na=ptime" % KEY),
        },
        {"ICE": b"remove"},
    ],
)
def test_what_a_relay_can_do_is_taken(asked):
    refuse_unsupported(request(**asked))


def test_metadata_are_pairs():
    assert metadata("agent:7001|queue:service|nonsense|outside:|Queue2: a b ") == {
        "agent": "7001", "queue": "service", "outside": "", "queue2": "a b",
    }  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"cookie", b" d1:ae", b"\xff\xfe d", b"a\nb d", b"c" * 300 + b" d"])
def test_without_a_cookie_there_is_nobody_to_answer(data):
    assert split_cookie(data) is None


def test_a_reference_that_is_not_utf_8_comes_back_as_it_was():
    found = request(**{"call-id": b"\xff\x80"})
    assert found.call_id.encode("utf-8", "surrogateescape") == b"\xff\x80"


def test_a_caller_s_name_in_the_metadata_names_no_agent():
    """Whose From is `1|agent:7002` would else be recorded for somebody whom nobody called."""
    told = metadata("agent:7001|queue:service|outside:1|agent:7002|queue:sales")
    assert told == {"outside": "1"}
    assert metadata("agent:7001|agent:|outside:1") == {"outside": "1"}, "no second one, whatever it says"
