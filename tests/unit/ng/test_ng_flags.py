"""Flags as keys and as one line mean the same; codecs go as wished, and what would need transcoding is refused."""

import pytest

from gateway.ng import bencode
from gateway.ng.description import as_rtpengine, refuse_unsupported, understood
from gateway.ng.errors import LoadLimit, NgError
from gateway.ng.message import CodecWish, NgRequest, refusal

OFFER = (
    b"v=0\r\no=- 77 1 IN IP4 127.0.5.21\r\ns=-\r\nc=IN IP4 127.0.5.21\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 96 8 0 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=rtcp-mux\r\na=sendrecv\r\n"
)


def request(command=b"offer", sdp=OFFER, **more):
    return NgRequest.parse(bencode.encode({"command": command, "sdp": sdp, **more}))


def test_one_line_of_flags_says_what_keys_say():
    line = (
        b"trust-address replace-origin replace-session-connection ICE=remove RTP/AVP rtcp-mux-demux label=caller"
        b" direction=int direction=ext codec-strip-all codec-except-PCMA transcode-PCMU metadata=agent:7|queue:q"
        b" record-call=yes"
    )
    spelled = request(
        flags=[b"trust-address"], replace=[b"origin", b"session connection"], ICE=b"remove", label=b"caller",
        direction=[b"int", b"ext"], codec={"strip": [b"all"], "except": [b"PCMA"], "transcode": [b"PCMU"]},
        metadata=b"agent:7|queue:q",
        **{"transport-protocol": b"RTP/AVP", "rtcp-mux": [b"demux"], "record-call": b"yes"},
    )  # fmt: skip
    assert request(**{"rtpp-flags": line}) == spelled
    assert spelled.codecs == CodecWish(frozenset({"ALL"}), frozenset({"PCMA"}), frozenset({"PCMU"}))
    assert spelled.record_call is True


def test_a_key_of_its_own_stands_before_the_line():
    assert request(ICE=b"remove", **{"rtpp-flags": b"ICE=force"}).ice == "remove"


def test_a_key_that_the_protocol_does_not_have_is_told_and_ignored():
    found = request(**{"frobnicate": b"x", "via-branch": b"z9"})
    assert found.unknown == ("frobnicate",)
    refuse_unsupported(found)


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        (b"codec-strip-opus", b"8 0 101"), (b"codec-mask-OPUS codec-strip-PCMU", b"8 101"),
        (b"codec-strip-all codec-except-PCMA codec-except-telephone-event", b"8 101"),
        (b"codec-strip-all codec-offer-PCMA/8000 codec-transcode-PCMU", b"8 0"), (b"codec-strip-GSM", b"96 8 0 101"),
    ],
)  # fmt: skip
def test_codecs_are_stripped_with_all_that_belongs_to_them(flags, left):
    body = understood(request(**{"rtpp-flags": flags}))
    assert b"m=audio 40000 RTP/AVP " + left + b"\r\n" in body
    for number in set(b"96 8 0 101".split()) - set(left.split()):
        assert b":" + number + b" " not in body
    assert (body == OFFER) == (left == b"96 8 0 101")


@pytest.mark.parametrize("flags", [b"transcode-G729", b"codec-transcode-PCMA codec-transcode-GSM", b"codec-strip-all"])
def test_what_would_need_transcoding_is_refused(flags):
    with pytest.raises(NgError):
        understood(request(**{"rtpp-flags": flags}))


def test_an_answer_keeps_its_codecs():
    assert understood(request(b"answer", **{"rtpp-flags": b"codec-strip-all"})) == OFFER


def test_the_sender_of_the_message_stands_for_the_address_where_that_is_said():
    told = {"received-from": [b"IP4", b"198.51.100.7"], "flags": [b"SIP-source-address"]}
    body = understood(request(**told))
    assert b"c=IN IP4 198.51.100.7\r\n" in body and b"o=- 77 1 IN IP4 127.0.5.21\r\n" in body


def test_rtcp_as_it_is_wished():
    assert b"a=rtcp-mux" in as_rtpengine(OFFER, request())
    demuxed = as_rtpengine(OFFER, request(**{"rtcp-mux": [b"demux"]}))
    assert b"a=rtcp-mux" not in demuxed and b"a=rtcp:40001\r\n" in demuxed
    assert b"a=rtcp:" not in as_rtpengine(OFFER, request(flags=[b"no rtcp attribute"], **{"rtcp-mux": [b"demux"]}))


@pytest.mark.parametrize("level", [b"s=-\r\n", b"a=sendrecv\r\n"])
def test_a_browser_is_refused_rather_than_robbed_of_its_candidates(level):
    ice = b"a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n"
    browser = OFFER.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF") + b"a=fingerprint:sha-256 AB:CD\r\n"
    refuse_unsupported(request(sdp=browser))
    # before m=, or after the last line of it
    place = b"t=0 0\r\n" if level.startswith(b"s") else level
    with pytest.raises(NgError, match="ICE"):
        refuse_unsupported(request(sdp=browser.replace(place, place + ice), ICE=b"remove"))


def test_a_proxy_that_knows_the_word_is_told_of_our_load_in_it():
    assert refusal(LoadLimit("Load limit exceeded", understood=True)) == {
        "result": "load limit", "message": "Load limit exceeded",
    }  # fmt: skip
    assert refusal(LoadLimit("Parallel session limit reached", understood=False))["result"] == "error"
