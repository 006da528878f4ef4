"""Whatever a proxy sends on the ng port is read or refused in the protocol's words, its description with it."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from gateway.ng import bencode
from gateway.ng.description import as_rtpengine, refuse_other_profile, refuse_unsupported, understood
from gateway.ng.errors import NgError
from gateway.ng.message import KNOWN, NgRequest, error, reply, split_cookie
from gateway.sdp.errors import SdpError
from gateway.sdp.session import parse_session
from tests.properties.test_sdp_parsers import description

WORDS = st.sampled_from(
    [b"", b"offer", b"answer", b"origin", b"session connection", b"IP4", b"IP6", b"192.0.2.9", b"::1", b"remove",
     b"force", b"RTP/AVP", b"RTP/SAVPF", b"strip-all", b"ICE=remove", b"codec-strip-PCMA", b"SIP source address",
     b"demux", b"\xff", b"no rtcp attribute", b"agent:7001|queue:x", b"a|:|b:", b"yes", b"all", b"PCMA/8000/1"]
)  # fmt: skip
VALUES = st.recursive(
    WORDS | st.integers(-1, 2**33) | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["strip", "mask", "offer", "except", "transcode"]), inner, max_size=3)
    ),
    max_leaves=6,
)
REQUESTS = st.dictionaries(st.sampled_from(sorted(KNOWN)) | st.text(max_size=8), VALUES, max_size=10)


@given(REQUESTS, st.sampled_from(["offer", "answer", "ping", "query"]), description() | st.binary(max_size=80))
def test_requests(values: dict[str, bencode.Value], command: str, sdp: bytes) -> None:
    body = bencode.encode({**values, "command": command.encode(), "call-id": b"c", "from-tag": b"t", "sdp": sdp})
    try:
        request = NgRequest.parse(body)
    except NgError as refused:
        assert bencode.decode(reply(b"1", error(str(refused))).partition(b" ")[2])
        return
    with contextlib.suppress(NgError, SdpError):
        refuse_unsupported(request)
    with contextlib.suppress(NgError, SdpError):
        meant = understood(request)
        refuse_other_profile(request, meant)
        told = as_rtpengine(meant, request)
        before, after = parse_session(meant), parse_session(told)
        assert [(m.kind, m.port) for m in before.media] == [(m.kind, m.port) for m in after.media]


@given(
    st.binary(max_size=120) | st.builds(lambda cookie, value: cookie + b" " + bencode.encode(value), WORDS, REQUESTS)
)
def test_datagrams(data: bytes) -> None:
    datagram = split_cookie(data)
    if datagram is None:
        return
    with contextlib.suppress(NgError):
        NgRequest.parse(datagram.body)
    assert reply(datagram.cookie, error("x")).startswith(datagram.cookie + b" d")
