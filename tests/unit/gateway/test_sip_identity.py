"""Who is on a leg: read from the PBX's side alone, in the configured order; withheld numbers are nobody's."""

import pytest

from gateway.call.model import Private
from gateway.config import IdentityConfig
from gateway.ingress.identity import Identity
from gateway.sip.hop import Side
from gateway.sip.message import Request, parse_datagram
from policy.decision import Side as Party

PHONES, TRUNK = Identity(IdentityConfig()), Identity(IdentityConfig(placement="trunk"))


def invite(
    *fields: str, uri: str = "sip:7001@10.0.0.20", sender: str = "<sip:+4940111@carrier.example>;tag=f1"
) -> Request:
    lines = [
        f"INVITE {uri} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
        f"From: {sender}",
        "To: <sip:7001@10.0.0.20>",
        "Call-ID: c1@carrier.example",
        "CSeq: 1 INVITE",
        *fields,
        "Content-Length: 0",
    ]
    message = parse_datagram("\r\n".join([*lines, "", ""]).encode())
    assert isinstance(message, Request)
    return message


def shown(value: Private | None) -> str | None:
    return value.value if value is not None else None


def test_the_pbx_is_on_the_side_that_the_placement_says():
    assert PHONES.pbx_side is Side.CALLER
    assert TRUNK.pbx_side is Side.AGENT


def test_a_call_to_a_phone():
    new = PHONES.new_call(invite("X-Fairtap-Queue: service-strom"), Side.CALLER)
    assert (new.call_id, new.uac_tag, new.uac) == ("c1@carrier.example", "f1", Party.CALLER)
    assert (shown(new.extension), new.queue, shown(new.outside)) == ("7001", "service-strom", "+4940111")


def test_headers_that_contradict_each_other_name_no_queue_and_are_all_heard():
    """A proxy in the PBX's place adds its own and may let a caller's pass."""
    twice = ("X-Fairtap-Queue: sales", "X-Fairtap-Queue: service", "X-Fairtap-Extension: 7002",
             "X-Fairtap-Extension: 7001")  # fmt: skip
    new = PHONES.new_call(invite(*twice), Side.CALLER)
    assert new.queue is None
    assert [shown(one) for one in (new.extension, *new.also_said)] == ["7002", "7001", "7001"]
    assert PHONES.new_call(invite(twice[0], twice[0]), Side.CALLER).queue == "sales"


def test_a_call_from_a_phone_is_known_by_its_from():
    request = invite(uri="sip:004940222@pbx.example", sender='"Alma" <sip:7001@pbx.example>;tag=x')
    new = PHONES.new_call(request, Side.AGENT)
    assert new.uac is Party.AGENT
    assert (shown(new.extension), new.queue, shown(new.outside)) == ("7001", None, "004940222")


def test_a_call_from_the_trunk_to_the_pbx():
    new = TRUNK.new_call(invite(uri="sip:+494012340@10.0.0.20"), Side.CALLER)
    assert (shown(new.extension), new.queue, shown(new.outside)) == ("+494012340", None, "+4940111")


def test_a_call_from_the_pbx_to_the_trunk():
    asserted = "P-Asserted-Identity: <sip:7001@pbx.example>"
    new = TRUNK.new_call(invite(asserted, "X-Fairtap-Queue: q", uri="tel:+4940222;x=1"), Side.AGENT)
    assert (shown(new.extension), new.queue, shown(new.outside)) == ("7001", "q", "+4940222")


# --- trust -----------------------------------------------------------------------------------------------------------

CLAIMS = ("X-Fairtap-Extension: 9999", "X-Fairtap-Queue: vip", "P-Asserted-Identity: <sip:8888@x.example>")


def test_a_trunk_can_t_say_whose_leg_it_is():
    new = TRUNK.new_call(invite(*CLAIMS), Side.CALLER)
    assert (shown(new.extension), new.queue, shown(new.outside)) == ("7001", None, "+4940111")


def test_a_phone_can_t_say_whose_leg_it_is():
    request = invite(*CLAIMS, uri="sip:222@pbx.example", sender="<sip:7001@pbx.example>;tag=x")
    new = PHONES.new_call(request, Side.AGENT)
    assert (shown(new.extension), new.queue, shown(new.outside)) == ("7001", None, "222")


@pytest.mark.parametrize(("identity", "source"), [(PHONES, Side.CALLER), (TRUNK, Side.AGENT)])
def test_the_pbx_s_header_goes_before_everything(identity, source):
    new = identity.new_call(invite(*CLAIMS), source)
    assert (shown(new.extension), new.queue) == ("9999", "vip")


def test_what_the_other_sources_say_is_kept_as_a_contradiction():
    new = PHONES.new_call(invite(*CLAIMS), Side.CALLER)
    assert [shown(one) for one in new.also_said] == ["7001"]
    assert PHONES.new_call(invite(), Side.CALLER).also_said == ()


def test_the_order_is_the_configured_one():
    asserted_first = Identity(
        IdentityConfig(placement="trunk", extension=["p-asserted-identity", "header:X-Fairtap-Extension"])
    )
    assert shown(asserted_first.new_call(invite(*CLAIMS), Side.AGENT).extension) == "8888"
    assert shown(asserted_first.new_call(invite(*CLAIMS[:2]), Side.AGENT).extension) == "9999"
    assert asserted_first.new_call(invite(), Side.AGENT).extension is None


def test_only_the_configured_headers_are_read():
    other = Identity(IdentityConfig(extension=["header:X-Fairtap-Seat"], queue="header:X-Fairtap-Line"))
    new = other.new_call(invite(*CLAIMS, "X-Fairtap-Seat: 5", "x-fairtap-line: hot"), Side.CALLER)
    assert (shown(new.extension), new.queue) == ("5", "hot")
    assert other.new_call(invite(*CLAIMS), Side.CALLER).extension is None


@pytest.mark.parametrize("queue", ["", " ", "x" * 65, "a\tb"])
def test_a_queue_that_can_t_be_one_is_none(queue):
    assert PHONES.new_call(invite(f"X-Fairtap-Queue: {queue}"), Side.CALLER).queue is None


# --- the outside party -----------------------------------------------------------------------------------------------


def test_an_asserted_identity_counts_before_the_from_where_it_is_trusted():
    asserted = "P-Asserted-Identity: <sip:+4940555@x.example>"
    assert shown(PHONES.new_call(invite(asserted), Side.CALLER).outside) == "+4940555"
    assert shown(TRUNK.new_call(invite(asserted), Side.CALLER).outside) == "+4940111"


@pytest.mark.parametrize(
    "value",
    [
        '"A, B" <sip:+4940555@x.example>, <tel:+4940555>',
        "tel:+4940555",
        "<tel:+4940555;phone-context=x>",
        "<sip:+4940555@x.example;user=phone>",
    ],
)
def test_an_asserted_identity_is_read_in_every_form(value):
    assert shown(PHONES.new_call(invite(f"P-Asserted-Identity: {value}"), Side.CALLER).outside) == "+4940555"


@pytest.mark.parametrize("value", ["<<>", "nonsense", "<mailto:a@b>", ""])
def test_an_asserted_identity_that_can_t_be_read_is_none(value):
    assert shown(PHONES.new_call(invite(f"P-Asserted-Identity: {value}"), Side.CALLER).outside) == "+4940111"


@pytest.mark.parametrize("user", ["anonymous", "Anonymous", "unknown", "restricted", "unavailable"])
@pytest.mark.parametrize("identity", [PHONES, TRUNK])
def test_a_withheld_number_is_nobody(user, identity):
    sender = f'"Anonymous" <sip:{user}@anonymous.invalid>;tag=f1'
    assert identity.new_call(invite(sender=sender), Side.CALLER).outside is None


def test_an_escaped_number_is_the_same_number():
    """RFC 3261 §19.1.4: spelled otherwise it would be no protected party's."""
    escaped = invite(uri="sip:%37001@10.0.0.20", sender="<sip:%2B49%340111@carrier.example>;tag=f1")
    new = PHONES.new_call(escaped, Side.CALLER)
    assert (shown(new.extension), shown(new.outside)) == ("7001", "+4940111")


def test_a_from_without_a_user_is_nobody():
    assert PHONES.new_call(invite(sender="<sip:carrier.example>;tag=f1"), Side.CALLER).outside is None


def test_an_asserted_number_behind_an_anonymous_from_counts():
    request = invite("P-Asserted-Identity: <sip:+4940555@x>", sender="<sip:anonymous@anonymous.invalid>;tag=f1")
    assert shown(PHONES.new_call(request, Side.CALLER).outside) == "+4940555"


def test_nothing_of_it_prints():
    new = PHONES.new_call(invite(*CLAIMS), Side.CALLER)
    assert repr(new) == "NewCall(uac=caller)"
    assert "9999" not in f"{new.extension} {new.extension!r} {new}"


@pytest.mark.parametrize(
    ("identity", "source", "value", "refuses"),
    [
        (PHONES, Side.CALLER, "no", True),
        (PHONES, Side.CALLER, " No ", True),
        (PHONES, Side.CALLER, "yes", False),
        (PHONES, Side.AGENT, "no", False),
        (TRUNK, Side.AGENT, "no", True),
        (TRUNK, Side.CALLER, "no", False),
    ],
)
def test_the_pbx_can_say_no_for_the_caller_and_nobody_can_say_yes(identity, source, value, refuses):
    assert identity.refuses(invite(f"X-Fairtap-Consent: {value}"), source) is refuses
    assert not identity.refuses(invite(), source)
