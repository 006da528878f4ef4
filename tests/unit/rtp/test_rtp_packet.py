"""The RTP header as RFC 3550 §5.1 draws it, and whatever else may arrive on the port."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtp.errors import RtpError
from gateway.rtp.packet import Rtp, build, headers, payload, payload_bounds


def test_a_built_packet_reads_back():
    packet = build(8, 70000, 2**32 + 5, 0xDEADBEEF, b"audio", marker=True)
    assert Rtp.parse(packet) == Rtp(8, True, 70000 - 65536, 5, 0xDEADBEEF, 12, 17)
    assert payload(packet) == b"audio"


def test_csrc_extension_and_padding_are_not_payload():
    fixed = bytes([0x80 | 0x20 | 0x10 | 2, 0]) + bytes(10)
    packet = fixed + bytes(8) + b"\xbe\xde\x00\x01" + bytes(4) + b"audio" + b"\x00\x00\x03"
    assert bytes(payload(packet)) == b"audio"


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(11),
        bytes(12),  # version 0
        b"\xc0" + bytes(11),  # version 3
        b"\x81" + bytes(11),  # a CSRC that isn't there
        b"\x90" + bytes(11),  # an extension that isn't there
        b"\x90" + bytes(13) + b"\xff\xff",  # an extension that goes on behind the end
        b"\xa0" + bytes(11),  # padding of no octets
        b"\xa0" + bytes(11) + b"\x02",  # more padding than there is
    ],
)
def test_malformed_packets_are_the_declared_error(packet):
    with pytest.raises(RtpError):
        payload_bounds(packet)
    assert payload(packet) == b""


@given(st.binary(max_size=80))
def test_any_bytes_read_or_raise_the_declared_error(data):
    try:
        rtp = Rtp.parse(data)
    except RtpError:
        return
    assert 12 <= rtp.start <= rtp.end <= len(data)
    assert bytes(payload(data)) == data[rtp.start : rtp.end]


@given(st.lists(st.binary(min_size=12, max_size=40), min_size=1, max_size=20))
def test_a_batch_of_headers_is_the_same_as_each(packets):
    batch = headers(packets)
    for packet, row in zip(packets, batch, strict=True):
        assert int(row["seq"]) == int.from_bytes(packet[2:4], "big")
        assert int(row["timestamp"]) == int.from_bytes(packet[4:8], "big")
        assert int(row["ssrc"]) == int.from_bytes(packet[8:12], "big")
        assert int(row["kind"]) == packet[1]
