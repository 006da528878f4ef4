"""Keys that change and come back by a re-INVITE, libsrtp being the party: counters go on, also round and round."""

import pytest
from pylibsrtp import Policy

from gateway.media.datapath.secrecy import MAX_SEALED, Secrecy
from gateway.rtp.packet import Rtp, build
from tests.peers.srtp_party import make_key, session

SSRC, STRIDE = 0xCAFE, 0x7000
FIRST, SECOND = make_key(1), make_key(2)
RECEIVER_REPORT = b"\x80\xc9\x00\x01" + SSRC.to_bytes(4, "big")


def packet(index, payload=b""):
    return build(8, index & 0xFFFF, index * 160 & 0xFFFFFFFF, SSRC, payload or b"%d" % index)


class Sender:
    """A party whose stream's counter goes on whatever its key is (RFC 3711 §3.3.1)."""

    def __init__(self):
        self._seals = {key: session(key, Policy.SSRC_ANY_OUTBOUND) for key in (FIRST, SECOND)}
        self._reached = dict.fromkeys(self._seals, 0)

    def say(self, key, index):
        while index - self._reached[key] > STRIDE:
            self._reached[key] += STRIDE
            self._seals[key].protect(packet(self._reached[key]))
        self._reached[key] = index
        return self._seals[key].protect(packet(index))


def listener(key, index):
    """A party that knows the counter of what comes next under this key."""
    hears, walks = session(key, Policy.SSRC_ANY_INBOUND), session(key, Policy.SSRC_ANY_OUTBOUND)
    for step in [*range(0, index - 1, STRIDE), index - 1]:
        hears.unprotect(walks.protect(packet(step)))
    return hears


# how long the stream was sealed under the other key: within one turn of its number, across the wrap, whole turns
AWAY = [100, 700, 65_536, 65_531, 5 * 65_536 + 3]


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("heard", [True, False])
def test_a_party_s_key_that_comes_back_goes_on_with_its_counter(away, heard):
    party, secrecy = Sender(), Secrecy()
    secrecy.change(FIRST, None)
    for index in range(65_000, 65_010):
        assert secrecy.open(party.say(FIRST, index), index) == packet(index)
    secrecy.change(SECOND, None)
    for index in range(65_010, 65_020) if heard else ():
        assert secrecy.open(party.say(SECOND, index), index) == packet(index)
    secrecy.change(FIRST, None)
    for index in range(65_010 + away, 65_010 + away + 400):
        assert secrecy.open(party.say(FIRST, index), index) == packet(index)
    assert secrecy.missed == 0


def test_under_another_key_the_counter_goes_on_or_begins_anew_as_the_party_has_it():
    """RFC 3711 has it go on, RFC 4568 §7.1.4 begin anew at another address; the authentication tag tells."""
    for index in (65_546, 10):
        party, secrecy = Sender(), Secrecy()
        secrecy.change(FIRST, None)
        for before in (*range(65_530, 65_545),):
            assert secrecy.open(party.say(FIRST, before), before)
        secrecy.change(SECOND, None)
        assert secrecy.open(party.say(SECOND, index), 65_546) == packet(index)


def test_what_was_heard_under_a_key_is_not_heard_again_when_it_comes_back():
    party, secrecy = Sender(), Secrecy()
    secrecy.change(FIRST, None)
    old = [party.say(FIRST, index) for index in range(10, 20)]
    assert all(secrecy.open(one, 20) for one in old)
    report = session(FIRST, Policy.SSRC_ANY_OUTBOUND).protect_rtcp(RECEIVER_REPORT)
    assert secrecy.open_rtcp(report) == RECEIVER_REPORT
    secrecy.change(SECOND, None)
    secrecy.change(FIRST, None)
    assert [secrecy.open(one, 20) for one in old] == [None] * 10
    assert secrecy.open_rtcp(report) is None


@pytest.mark.parametrize("away", AWAY)
def test_what_we_seal_goes_on_under_a_new_key_and_under_one_that_comes_back(away):
    secrecy, index = Secrecy(), 65_400
    for key, many in ((FIRST, 20), (SECOND, away), (FIRST, 300)):
        secrecy.change(None, key)
        party = listener(key, index)
        for at in range(index, index + many):
            sealed = secrecy.seal(packet(at))
            assert sealed is not None and party.unprotect(sealed) == packet(at)
        index += many


def test_no_part_of_a_key_stream_is_used_again_when_its_key_comes_back():
    secrecy, spent = Secrecy(), []
    for key in (FIRST, SECOND, FIRST):
        secrecy.change(None, key)
        spent.append((secrecy.seal(packet(7, b"one" * 9)), secrecy.seal_rtcp(RECEIVER_REPORT)))
    assert spent[0][0] is not None and spent[2][0] is None
    assert spent[0][1] != spent[2][1]


def test_of_so_many_keys_none_is_forgotten_and_a_further_one_seals_nothing():
    secrecy = Secrecy()
    keys = [make_key(number) for number in range(MAX_SEALED + 1)]
    sealed = []
    for key in keys:
        secrecy.change(None, key)
        sealed.append(secrecy.seal(packet(7)) is not None)
    assert sealed == [True] * MAX_SEALED + [False]
    secrecy.change(None, keys[0])
    assert secrecy.seal(packet(7)) is None and secrecy.seal(packet(8)) is not None


def test_a_late_packet_from_before_the_first_one_is_not_sealed():
    """Its counter would be below zero; libsrtp took it for one far ahead, which parted the two ends."""
    secrecy = Secrecy()
    secrecy.change(None, FIRST)
    party = listener(FIRST, 1)
    for index in (1, -3, 2, 3):
        sealed = secrecy.seal(packet(index & 0xFFFF))
        assert (sealed is None) == (index < 0)
        assert sealed is None or Rtp.parse(party.unprotect(sealed)).seq == index
