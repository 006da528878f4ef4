"""SRTP in offer and answer: whose key is whose where it passes through, and what parties are told where it ends."""

import base64

import pytest
from pydantic import TypeAdapter

from gateway.call.errors import NegotiationError
from gateway.call.model import DialogTag, SdpMessage
from gateway.call.negotiation import DialogMedia, Negotiation
from gateway.media.plane import Address, CallRef, FlowId, Forward, Secure, Srtp, SrtpKey
from gateway.sdp.session import parse_session
from policy.decision import Side

CALL = CallRef("00112233aabbccdd")
OURS = {Side.CALLER: "198.51.100.1", Side.AGENT: "198.51.100.2"}
ONE, TWO = DialogTag("one"), DialogTag("two")
CALLER, AGENT = FlowId(f"{CALL}/caller/0"), FlowId(f"{CALL}/agent/0")
LONG, SHORT = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"


def text(seed):
    return base64.b64encode(bytes([seed]) * 30).decode()


def key(seed, suite=LONG):
    return SrtpKey(suite, text(seed))


def crypto(tag, seed, suite=LONG, more=""):
    return f"{tag} {suite} inline:{text(seed)}{more}"


def sdp(*cryptos, proto="", host="192.0.2.1", port=4000, direction="sendrecv"):
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines += [f"m=audio {port} {proto or ('RTP/SAVP' if cryptos else 'RTP/AVP')} 8", f"a={direction}"]
    lines += [f"a=crypto:{one}" for one in cryptos]
    return "".join(f"{line}\r\n" for line in lines).encode()


class Told:
    """A negotiation and the orders that it gave last."""

    def __init__(self):
        self.media = Negotiation(CALL, hosts=OURS)
        self.keys: dict[FlowId, tuple[SrtpKey | None, SrtpKey | None]] = {}
        self.kinds: dict[FlowId, Srtp] = {}

    def offer(self, party, body, dialog=ONE, profile=None, *, strict=False):
        return self.say(SdpMessage(party, dialog, "offer", body, profile, strict))

    def answer(self, party, body, dialog=ONE):
        return self.say(SdpMessage(party, dialog, "answer", body))

    def say(self, message):
        """What the other party is told: its profile, its keys, all of it."""
        for spec in self.media.missing(message):
            self.media.ports[spec.flow] = Address(spec.local_host, 30000 + 2 * len(self.media.ports))
        sent, effects = self.media.describe(message)
        self.take(effects)
        session = parse_session(sent)
        return session.media[0].proto, session.attributes(session.media[0], "crypto")

    def take(self, effects):
        known = set()
        for effect in effects:
            order = effect.order
            if isinstance(order, Secure):
                self.keys[order.flow] = order.opens, order.seals
                known.add(order.flow)
            else:
                assert isinstance(order, Forward)
                self.kinds[order.flow] = order.srtp
                # a worker gets the keys first
                assert (order.srtp is not Srtp.NONE) == (order.flow in known)

    def fix(self, dialog=ONE):
        self.take(self.media.fix(dialog))
        return self


@pytest.fixture
def told():
    return Told()


def own_key(line):
    _, suite, inline = line.split(" ")
    return SrtpKey(suite, inline.removeprefix("inline:"))


# --- through ----------------------------------------------------------------------------------------------------------


def test_each_party_s_key_is_the_one_that_it_wrote_under_the_tag_that_was_chosen(told):
    offered = [crypto(1, 1, "AES_256_CM_HMAC_SHA1_80"), crypto(2, 2, SHORT), crypto(3, 3)]
    assert told.offer(Side.CALLER, sdp(*offered), None) == ("RTP/SAVP", offered)
    assert told.answer(Side.AGENT, sdp(crypto(2, 9, SHORT))) == ("RTP/SAVP", [crypto(2, 9, SHORT)])
    told.fix()
    assert told.keys == {CALLER: (key(2, SHORT), key(9, SHORT)), AGENT: (key(9, SHORT), key(2, SHORT))}
    assert set(told.kinds.values()) == {Srtp.THROUGH}
    assert not told.media.encrypted
    assert told.media.line() is not None


@pytest.mark.parametrize(
    "chosen",
    [
        (crypto(1, 9, "AES_256_CM_HMAC_SHA1_80"),),
        (crypto(3, 9, more="|2^20|1:4"),),
        (crypto(4, 9),),
        (crypto(2, 9),),
        (),
    ],
)
def test_what_can_t_be_read_is_relayed_and_said(told, chosen):
    offered = [crypto(1, 1, "AES_256_CM_HMAC_SHA1_80"), crypto(2, 2, SHORT), crypto(3, 3)]
    told.offer(Side.CALLER, sdp(*offered), None)
    assert told.answer(Side.AGENT, sdp(*chosen, proto="RTP/SAVP")) == ("RTP/SAVP", list(chosen))
    told.fix()
    assert told.keys == {CALLER: (None, None), AGENT: (None, None)}
    assert told.media.encrypted
    assert told.media.line() is None


@pytest.mark.parametrize("proto", ["UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "RTP/AVP"])
def test_dtls_is_relayed_and_said_unless_one_end_does_without(told, proto):
    dtls = sdp(proto=proto) + b"a=fingerprint:sha-256 00:11\r\n"
    assert told.offer(Side.CALLER, dtls, None, "RTP/AVP") == (proto, [])
    told.answer(Side.AGENT, dtls)
    told.fix()
    assert told.media.encrypted and set(told.kinds.values()) == {Srtp.THROUGH}
    told.offer(Side.CALLER, sdp(proto="RTP/AVP") + b"a=fingerprint:sha-256 00:11\r\n")
    told.answer(Side.AGENT, sdp())
    assert not told.media.encrypted and set(told.kinds.values()) == {Srtp.NONE}


def test_keys_that_were_offered_to_a_plain_phone_encrypt_nothing(told):
    told.offer(Side.CALLER, sdp(crypto(1, 1), proto="RTP/AVP"), None)
    told.answer(Side.AGENT, sdp())
    told.fix()
    assert (told.keys, told.media.encrypted, set(told.kinds.values())) == ({}, False, {Srtp.NONE})
    assert told.media.line() is not None


def test_keys_that_a_phone_takes_up_in_a_plain_profile_encrypt(told):
    told.offer(Side.CALLER, sdp(crypto(1, 1), proto="RTP/AVP"), None)
    told.answer(Side.AGENT, sdp(crypto(1, 2), proto="RTP/AVP"))
    assert told.keys == {CALLER: (key(1), key(2)), AGENT: (key(2), key(1))}


def test_each_branch_has_its_own_keys_and_a_repeated_answer_its_last(told):
    told.offer(Side.CALLER, sdp(crypto(1, 1)), None)
    told.answer(Side.AGENT, sdp(crypto(1, 2)), ONE)
    told.answer(Side.AGENT, sdp(crypto(1, 3)), TWO)
    assert told.keys[AGENT] == (key(3), key(1))
    told.answer(Side.AGENT, sdp(crypto(1, 2)), ONE)
    told.answer(Side.AGENT, sdp(crypto(1, 4)), ONE)
    told.fix(ONE)
    assert told.keys[AGENT] == (key(4), key(1))


def test_a_refused_offer_leaves_the_keys_as_they_were(told):
    told.offer(Side.CALLER, sdp(crypto(1, 1)), None)
    told.answer(Side.AGENT, sdp(crypto(1, 2)))
    told.fix()
    told.offer(Side.AGENT, sdp(crypto(1, 5)))
    told.media.rolled_back(ONE)
    assert told.keys == {CALLER: (key(1), key(2)), AGENT: (key(2), key(1))}
    told.offer(Side.AGENT, sdp(crypto(1, 6)))
    told.answer(Side.CALLER, sdp(crypto(1, 7)))
    assert told.keys == {CALLER: (key(7), key(6)), AGENT: (key(6), key(7))}


def test_a_call_that_becomes_plain_or_encrypted_again_is_what_it_is_now(told):
    told.offer(Side.CALLER, sdp(crypto(1, 1)), None)
    told.answer(Side.AGENT, sdp(crypto(1, 2)))
    told.fix()
    told.offer(Side.CALLER, sdp())
    told.answer(Side.AGENT, sdp())
    assert (set(told.kinds.values()), told.media.encrypted) == ({Srtp.NONE}, False)
    told.offer(Side.CALLER, sdp(crypto(1, 3, "AEAD_AES_128_GCM")))
    told.answer(Side.AGENT, sdp(crypto(1, 4, "AEAD_AES_128_GCM")))
    assert told.media.encrypted


def test_what_a_worker_can_t_decrypt_is_said(told):
    told.offer(Side.CALLER, sdp(crypto(1, 1)), None)
    told.answer(Side.AGENT, sdp(crypto(1, 2)))
    told.fix()
    told.media.unreadable = True
    assert told.media.encrypted and told.media.line() is None


# --- ended here -------------------------------------------------------------------------------------------------------


def ended(told, *, dialog=ONE):
    """A caller with SRTP, an agent without; what the caller was told."""
    assert told.offer(Side.CALLER, sdp(crypto(4, 1, SHORT), crypto(5, 2)), None, "RTP/AVP") == ("RTP/AVP", [])
    proto, (ours,) = told.answer(Side.AGENT, sdp(), dialog)
    assert proto == "RTP/SAVP"
    return ours


def test_an_encrypted_offer_is_told_as_a_plain_one_and_answered_with_a_key_of_ours(told):
    ours = ended(told)
    told.fix()
    assert ours.startswith(f"4 {SHORT} inline:")
    assert told.keys == {CALLER: (key(1, SHORT), own_key(ours))}
    assert told.kinds == {CALLER: Srtp.ENDED, AGENT: Srtp.NONE}
    assert not told.media.encrypted
    assert told.media.line() is not None


def test_a_plain_offer_is_told_as_an_encrypted_one_and_answered_plain(told):
    proto, (ours,) = told.offer(Side.CALLER, sdp(), None, "RTP/SAVP")
    assert (proto, ours.split("inline:")[0]) == ("RTP/SAVP", f"1 {LONG} ")
    assert told.answer(Side.AGENT, sdp(crypto(1, 9))) == ("RTP/AVP", [])
    told.fix()
    assert told.keys == {AGENT: (key(9), own_key(ours))}
    assert told.kinds == {CALLER: Srtp.NONE, AGENT: Srtp.ENDED}
    assert told.media.line() is not None


def test_an_answer_with_another_suite_than_we_offered_leaves_no_keys(told):
    told.offer(Side.CALLER, sdp(), None, "RTP/SAVP")
    told.answer(Side.AGENT, sdp(crypto(1, 9, SHORT)))
    told.fix()
    assert told.keys == {AGENT: (None, None)}
    assert told.media.encrypted


def test_branches_are_answered_with_keys_of_their_own_each_always_with_the_same(told):
    ours = [ended(told, dialog=ONE)]
    for dialog in (TWO, ONE, TWO):
        _, (own,) = told.answer(Side.AGENT, sdp(), dialog)
        ours.append(own)
    assert ours[0] == ours[2] != ours[1] == ours[3]


@pytest.mark.parametrize("offerer", [Side.CALLER, Side.AGENT])
def test_whoever_offers_later_each_party_keeps_its_profile_and_our_key_stays(told, offerer):
    ours = ended(told)
    told.fix()
    hers, his = sdp(crypto(4, 7, SHORT), direction="sendonly"), sdp(direction="sendonly")
    if offerer is Side.CALLER:
        assert told.offer(Side.CALLER, hers) == ("RTP/AVP", [])
        assert told.answer(Side.AGENT, his) == ("RTP/SAVP", [ours])
        assert told.keys[CALLER] == (key(7, SHORT), own_key(ours))
    else:
        proto, (fresh,) = told.offer(Side.AGENT, his)
        # a plain offer names the suite that everybody has, so this key is another one
        assert (proto, fresh.split(" ")[:2]) == ("RTP/SAVP", ["1", LONG])
        assert told.answer(Side.CALLER, sdp(crypto(1, 8))) == ("RTP/AVP", [])
        assert told.keys[CALLER] == (key(8), own_key(fresh))
        assert told.offer(Side.AGENT, his) == ("RTP/SAVP", [fresh])
    assert told.kinds == {CALLER: Srtp.ENDED, AGENT: Srtp.NONE}


def test_a_refused_translated_offer_leaves_everything_as_it_was(told):
    ours = ended(told)
    told.fix()
    before = dict(told.keys), dict(told.kinds)
    told.offer(Side.CALLER, sdp(crypto(4, 7, SHORT)))
    told.media.rolled_back(ONE)
    assert (told.keys, told.kinds) == before
    told.offer(Side.CALLER, sdp(crypto(4, 8, SHORT)))
    assert told.answer(Side.AGENT, sdp()) == ("RTP/SAVP", [ours])


def test_a_refused_m_line_is_told_without_keys(told):
    told.offer(Side.CALLER, sdp(crypto(1, 1)), None, "RTP/AVP")
    assert told.answer(Side.AGENT, sdp(port=0)) == ("RTP/SAVP", [])


def test_a_delayed_offer_is_translated_likewise(told):
    proto, (ours,) = told.offer(Side.AGENT, sdp(), ONE, "RTP/SAVP")
    assert proto == "RTP/SAVP"
    assert told.answer(Side.CALLER, sdp(crypto(1, 3))) == ("RTP/AVP", [])
    told.fix()
    assert told.keys == {CALLER: (key(3), own_key(ours))}


@pytest.mark.parametrize(
    ("body", "profile"),
    [
        (sdp(crypto(1, 1, "AES_256_CM_HMAC_SHA1_80")), "RTP/AVP"),
        (sdp(crypto(1, 1, more="|1:4")), "RTP/AVP"),
        (sdp(crypto(1, 1), proto="UDP/TLS/RTP/SAVP"), "RTP/AVP"),
        (sdp(), "UDP/TLS/RTP/SAVPF"),
    ],
)
def test_what_can_t_be_translated_passes_as_it_is_or_not_at_all(told, body, profile):
    before = parse_session(body)
    assert told.offer(Side.CALLER, body, None, profile) == (
        before.media[0].proto,
        before.attributes(before.media[0], "crypto"),
    )
    with pytest.raises(NegotiationError):
        told.offer(Side.CALLER, body, None, profile, strict=True)


def test_a_proxy_that_names_the_profile_each_time_has_its_way(told):
    told.offer(Side.CALLER, sdp(crypto(1, 1)), None, "RTP/AVPF", strict=True)
    assert told.answer(Side.AGENT, sdp(proto="RTP/AVPF"))[0] == "RTP/SAVP"
    told.fix()
    assert told.offer(Side.CALLER, sdp(crypto(1, 1)), ONE, "RTP/SAVP", strict=True) == ("RTP/SAVP", [crypto(1, 1)])
    assert told.answer(Side.AGENT, sdp(crypto(1, 2))) == ("RTP/SAVP", [crypto(1, 2)])
    assert set(told.kinds.values()) == {Srtp.THROUGH}


# --- where keys are ---------------------------------------------------------------------------------------------------


def test_no_key_is_in_a_journal_or_a_text_and_after_a_restart_another_one_is_ours(told):
    ours = ended(told)
    told.fix()
    written = TypeAdapter(dict[DialogTag, DialogMedia]).dump_json(told.media.dialogs)
    secrets = [text(1), text(2), own_key(ours).key]
    message = SdpMessage(Side.CALLER, ONE, "offer", sdp(crypto(1, 1)))
    texts = [written.decode(), repr(told.media), repr(told.media.keys), repr(told.keys), repr(message)]
    assert not any(secret in one for secret in secrets for one in texts)
    again = Told()
    again.media.ports = dict(told.media.ports)
    again.media.dialogs = TypeAdapter(dict[DialogTag, DialogMedia]).validate_json(written)
    again.media.chosen, again.media.fixed = ONE, True
    assert again.media.encrypted  # so it is until somebody offers again
    assert again.offer(Side.CALLER, sdp(crypto(4, 1, SHORT))) == ("RTP/AVP", [])
    proto, (other,) = again.answer(Side.AGENT, sdp())
    assert proto == "RTP/SAVP" and own_key(other) != own_key(ours)
    assert again.keys == {CALLER: (key(1, SHORT), own_key(other))}


def test_keys_that_a_worker_lost_are_never_ours_again(told):
    ours = ended(told)
    told.fix()
    told.media.keys.forget()
    assert told.media.encrypted
    told.offer(Side.CALLER, sdp(crypto(4, 1, SHORT)))
    assert told.answer(Side.AGENT, sdp())[1] != [ours]
    assert not told.media.encrypted
