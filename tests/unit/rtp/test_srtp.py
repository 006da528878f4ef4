"""SRTP beside an implementation of RFC 3711's own formulas; joining late, wrapping, jumping, and what isn't opened."""

import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from gateway.rtp.packet import Rtp, build
from gateway.rtp.srtp import MAX_SEALED, MAX_STREAMS, SUITES, Opener, Sealer
from gateway.sdp import crypto_attribute

LONG, SHORT = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
# RFC 3711 appendix B.3: master key and salt, and the session keys that follow from them
MASTER = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6")
CIPHER = bytes.fromhex("C61E7A93744F39EE10734AFE3FF7A087")
SALT = bytes.fromhex("30CBBC08863D8C85D49DB34A9AE1")
AUTH = bytes.fromhex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
OTHER = bytes(range(30))
SSRC = 0xCAFEBABE


def stream(key, iv, size):
    return Cipher(AES(key), CTR(iv)).encryptor().update(bytes(size))


def by_the_formula(packet, counter=0, tag=10):
    """RFC 3711 §4.1.1 and §4.2, with the session keys of appendix B.3."""
    rtp = Rtp.parse(packet)
    index = counter << 16 | rtp.seq
    iv = (int.from_bytes(SALT, "big") << 16) ^ (rtp.ssrc << 64) ^ (index << 16)
    keys = stream(CIPHER, iv.to_bytes(16, "big"), len(packet) - 12)
    sealed = packet[:12] + bytes(a ^ b for a, b in zip(packet[12:], keys, strict=True))
    return sealed + hmac.digest(AUTH, sealed + counter.to_bytes(4, "big"), "sha1")[:tag]


def packet(seq, ssrc=SSRC, payload=b""):
    return build(8, seq, seq * 160, ssrc, payload or bytes([seq & 0xFF]) * 160)


def test_the_formula_is_the_standard_s():
    # appendix B.2: the key stream of the session key and salt given there
    key, iv = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"), bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000")
    blocks = "E03EAD0935C95E80E166B16DD92B4EB4", "D23513162B02D0F72A43A2FE4A5F97AB", "41E95B3BB0A2E8DD477901E4FCA894C0"
    assert stream(key, iv, 48).hex().upper() == "".join(blocks)


@pytest.mark.parametrize(("suite", "tag"), [(LONG, 10), (SHORT, 4)])
def test_packets_are_sealed_as_the_standard_says_and_opened_again(suite, tag):
    sealer, opener = Sealer(suite, MASTER), Opener(suite, MASTER)
    for seq in range(0x1234, 0x1234 + 20):
        sealed = sealer.seal(packet(seq)) or b""
        assert sealed == by_the_formula(packet(seq), tag=tag)
        assert opener.open(sealed, 20) == packet(seq)


def test_the_suites_are_those_that_descriptions_are_read_for():
    assert set(SUITES) == set(crypto_attribute.SUITES)


def test_sequence_numbers_wrap_on_both_ends():
    sealer, opener = Sealer(LONG, MASTER), Opener(LONG, MASTER)
    for number in range(0xFFF0, 0x10010):
        seq, counter = number & 0xFFFF, number >> 16
        sealed = sealer.seal(packet(seq)) or b""
        assert sealed == by_the_formula(packet(seq), counter)
        assert opener.open(sealed, 20) == packet(seq)


@pytest.mark.parametrize("seq", [0, 1, 0x7FFF, 0x8000, 0xFFFF])
@pytest.mark.parametrize("counter", [0, 1, 2, 9])
def test_whoever_joins_late_finds_the_counter(seq, counter):
    opener = Opener(LONG, MASTER)
    passed = counter * 65536
    assert opener.open(by_the_formula(packet(seq), counter), passed) == packet(seq)
    for number in range((counter << 16 | seq) + 1, (counter << 16 | seq) + 40):
        late = packet(number & 0xFFFF)
        assert opener.open(by_the_formula(late, number >> 16), passed) == late
    assert opener.missed == 0


def test_a_tap_that_was_closed_for_hours_opens_again():
    opener = Opener(LONG, MASTER)
    assert opener.open(by_the_formula(packet(60_000)), 1)
    assert opener.open(by_the_formula(packet(100), 4), 4 * 65536) == packet(100)
    # a whole turn later its number is one that was seen: the next ones tell
    found = [opener.open(by_the_formula(packet(seq), 5), 5 * 65536) for seq in range(100, 110)]
    assert found[0] is None
    assert found[1:] == [packet(seq) for seq in range(101, 110)]


def test_what_was_opened_once_is_never_opened_again_by_a_later_search():
    opener = Opener(LONG, MASTER)
    old = [by_the_formula(packet(seq)) for seq in range(10)]
    for sealed in old:
        assert opener.open(sealed, 10)
    for number in range(200, 40_200, 200):
        assert opener.open(by_the_formula(packet(number)), number)
    assert all(opener.open(sealed, 40_000) is None for sealed in old)


def test_another_key_a_changed_byte_or_none_of_it_is_a_miss():
    opener = Opener(LONG, MASTER)
    wrong = by_the_formula(packet(1))[:-1] + b"x"
    strangers = [Sealer(LONG, OTHER).seal(packet(2)), wrong, packet(3), b"\x80" * 2000]
    for sealed in strangers:
        assert opener.open(sealed, 200_000) is None
    assert opener.missed == 4
    # what is cut, or is another protocol on this port
    assert opener.open(b"\x80\x08", 0) is None and opener.open(b"\x00\x01" + bytes(18), 0) is None
    assert opener.missed == 4
    good = by_the_formula(packet(4))
    assert opener.open(good, 4) == packet(4)
    assert opener.missed == 0
    assert opener.open(good, 4) is None  # again: seen, but nothing that can't be opened
    assert opener.missed == 0


def test_another_stream_begins_at_its_own_counter():
    opener = Opener(LONG, MASTER)
    assert opener.open(by_the_formula(packet(60_000), 3), 200_000)
    assert opener.open(by_the_formula(packet(7, ssrc=5)), 200_001) == packet(7, ssrc=5)
    assert opener.open(by_the_formula(packet(60_001), 3), 200_002) == packet(60_001)


def test_many_streams_of_one_party_are_forgotten_one_by_one():
    opener = Opener(LONG, MASTER)
    report = b"\x80\xc9\x00\x01"
    sealer = Sealer(LONG, MASTER)
    for ssrc in range(1, 3 * MAX_STREAMS):
        assert opener.open(by_the_formula(packet(9, ssrc=ssrc), ssrc % 2), 65536)
        whole = report + ssrc.to_bytes(4, "big")
        assert opener.open_rtcp(sealer.seal_rtcp(whole) or b"") == whole
    assert len(opener._highest) <= MAX_STREAMS and len(opener._later) <= MAX_STREAMS
    assert len(opener._reporting) <= MAX_STREAMS
    # the first one is new again, the last one isn't
    assert opener.open(by_the_formula(packet(9, ssrc=2)), 65536)
    assert opener.open(by_the_formula(packet(9, ssrc=3 * MAX_STREAMS - 2)), 65536) is None


def test_a_jump_of_the_sender_s_numbers_is_none_for_the_receiver():
    sealer, opener = Sealer(LONG, MASTER), Opener(LONG, MASTER)
    told = [*range(100, 110), 50_000, *range(50_001, 50_010), 3, 4, 5]
    opened = [opener.open(sealed, 30) for seq in told if (sealed := sealer.seal(packet(seq))) is not None]
    # the first packet after a jump may be a stray: only the second one shows that the sender went on there
    assert [Rtp.parse(one).seq for one in opened if one] == [*range(100, 121)]


def test_a_stray_and_late_ones_move_nothing():
    sealer = Sealer(LONG, MASTER)
    sealed = {seq: sealer.seal(packet(seq)) for seq in (10, 12, 30_000, 11, 13)}
    assert sealed[30_000] is None
    assert [Rtp.parse(one).seq for one in sealed.values() if one] == [10, 12, 11, 13]


def test_the_key_stream_is_never_used_twice():
    sealer = Sealer(LONG, MASTER)
    assert sealer.seal(packet(5, payload=b"one" * 20))
    assert sealer.seal(packet(5, payload=b"two" * 20)) is None
    report = b"\x80\xc9\x00\x01"
    for ssrc in range(MAX_SEALED):
        sealer.seal(packet(5, ssrc=ssrc))
        sealer.seal_rtcp(report + ssrc.to_bytes(4, "big"))
    assert sealer.seal(packet(6, ssrc=5)) is not None and sealer.seal_rtcp(report + bytes(4)) is not None
    assert sealer.seal(packet(6, ssrc=MAX_SEALED)) is None
    assert sealer.seal_rtcp(report + b"\xff" * 4) is None


def test_what_is_no_rtp_or_too_long_isn_t_sealed():
    sealer = Sealer(LONG, MASTER)
    assert [sealer.seal(data) for data in (b"", bytes(200), packet(1, payload=bytes(1490)))] == [None] * 3


def test_rtcp_has_its_own_index():
    sealer, opener = Sealer(SHORT, MASTER), Opener(SHORT, MASTER)
    report = b"\x80\xc9\x00\x01" + SSRC.to_bytes(4, "big")
    sealed = [sealer.seal_rtcp(report) or b"" for _ in range(3)]
    assert len(set(sealed)) == 3
    assert [opener.open_rtcp(one) for one in sealed] == [report] * 3
    assert opener.open_rtcp(sealed[0]) is None
    assert opener.open_rtcp(report) is None
