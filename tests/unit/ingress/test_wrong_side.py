"""What a phone can't say: headers of the PBX's, however they are spelled or smuggled into another header's value."""

import pytest

from gateway.sip.errors import SipSyntaxError
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import parse_datagram
from tests.peers.proxy_bench import PBX, PHONES

FOREIGN = ("201", "sip:201@pbx.example")


@pytest.mark.parametrize(
    "header",
    [
        "X-Fairtap-Extension: 201",
        "x-fairtap-EXTENSION:201",
        "X-Fairtap-Extension : 201",
        "X-Fairtap-Extension:\r\n 201",
        "X-Fairtap-Consent: no",
        "X-Fairtap-Whatever: 201",
    ],
)
async def test_the_pbx_s_headers_are_neither_read_nor_passed_on_from_phones(sip, bench, header):
    await sip.request("INVITE", source=PHONES, extra=(header,))
    (invite,) = sip.requests("INVITE", PBX)
    ours = [field for field in invite.fields if field.name.startswith("x-fairtap-")]
    (live,) = bench.engine.calls.values()
    assert [(field.name, field.value) for field in ours] == [("x-fairtap-call", live.call.ref)]
    assert live.call.new.extension is None or live.call.new.extension.value not in FOREIGN
    assert not live.call.said.answers


async def test_an_asserted_identity_passes_untouched_and_is_believed_from_the_pbx_alone(sip, bench):
    await sip.request("INVITE", source=PHONES, extra=("P-Asserted-Identity: <sip:201@pbx.example>",))
    (invite,) = sip.requests("INVITE", PBX)
    assert invite.get("p-asserted-identity") == "<sip:201@pbx.example>"
    (live,) = bench.engine.calls.values()
    said = (live.call.new.extension, *live.call.new.also_said)
    assert not any(one is not None and one.value in FOREIGN for one in said)


@pytest.mark.parametrize("line_end", ["\n", "\r", "\0\n", "\n\n", "\r\r\n"])
async def test_no_header_is_smuggled_within_another_s_value(sip, bench, line_end):
    """A lenient reader behind us would take the second half for a header of its own."""
    data = (
        f"INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP {PHONES[0]}:5060;branch=z9hG4bKa\r\nFrom: <sip:a@x>;tag=1\r\n"
        f"To: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nSubject: a{line_end}X-Fairtap-Extension: 201\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()
    with pytest.raises(SipSyntaxError) as refused:
        parse_datagram(data)
    sip.proxy.malformed(refused.value, Hop(Side.AGENT, Transport.UDP, *PHONES, 2))
    await sip.settle()
    assert not sip.requests("INVITE", PBX) and not bench.engine.calls
    assert sip.proxy.counters["discarded_malformed"] == 1
