"""Video, fax, text and the like beside the audio: our ports on both sides, and flows that can't be recorded."""

import pytest

from gateway.call.model import DialogTag, relay_of
from gateway.media.plane import FlowId, is_relay
from gateway.sdp.session import parse_session
from policy.decision import Side
from tests.unit.call.test_negotiation import AGENT, CALL, CALLER, ONE, TWO, Told, establish, sdp

VIDEO = "m=video 5000 RTP/AVP 96|a=rtpmap:96 VP8/90000"
T38 = (
    "m=image 5002 udptl t38|a=T38FaxVersion:0|a=T38MaxBitRate:14400|a=T38FaxRateManagement:transferredTCF"
    "|a=T38FaxMaxBuffer:262|a=T38FaxMaxDatagram:176|a=T38FaxUdpEC:t38UDPRedundancy"
)
BFCP = "m=application 5004 UDP/BFCP *|a=floorctrl:c-only|a=confid:1"
TEXT = "m=text 5006 RTP/AVP 98|a=rtpmap:98 t140/1000"
RELAYED = [VIDEO, T38, BFCP, TEXT, VIDEO.replace("RTP/AVP", "RTP/SAVPF"), VIDEO.replace("RTP/AVP", "UDP/TLS/RTP/SAVPF")]


@pytest.fixture
def told():
    return Told()


def alone(host: str, line: str) -> bytes:
    """A description without audio."""
    lines = ["v=0", f"o=- 1 2 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", *line.split("|")]
    return "".join(f"{one}\r\n" for one in lines).encode()


def relay(told: Told, party: Side, index: int = 1):
    return told.forwards[relay_of(CALL, party, index)]


def port_of(body: str, index: int) -> int:
    return parse_session(body.encode()).media[index].port


# --- our ports on both sides ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", RELAYED)
def test_further_lines_get_ports_of_ours_and_flows_that_cannot_be_recorded(told, line):
    offer = told.say(Side.CALLER, sdp("192.0.2.1", more=line), dialog=None)
    answer = told.say(Side.AGENT, sdp("192.0.2.2", more=line), "answer")
    told.fix()
    for body, towards in ((offer, Side.AGENT), (answer, Side.CALLER)):
        ours = told.media.ports[relay_of(CALL, towards, 1)]
        assert ours.port == port_of(body, 1)
        assert "192.0.2." not in body.replace("o=- 1 1 IN IP4 192.0.2.", "")
        kept = line.split("|")[1:]
        assert [one for one in kept if f"{one}\r\n" in body] == kept
    theirs = int(line.split(" ")[1])
    for party, host in ((Side.CALLER, "192.0.2.1"), (Side.AGENT, "192.0.2.2")):
        forward = relay(told, party)
        assert is_relay(forward.flow) and is_relay(forward.to)
        assert (forward.remote.host, forward.remote.port) == (host, theirs)
    assert told.is_flowing() is True, "the audio is still the one line"
    assert {told.media.line().caller_flow, told.media.line().agent_flow}.isdisjoint(
        flow for flow in told.media.ports if is_relay(flow)
    )
    assert told.media.relayed() == {1: line.split(" ")[0].removeprefix("m=")}
    assert told.media.mlines() == (0,)
    assert not told.media.encrypted and not told.media.srtp_seen, "a video's SRTP is no leg's"


def test_rtcp_has_its_own_port_with_rtp_alone(told):
    rtcp = f"{VIDEO}|a=rtcp:5009 IN IP4 192.0.2.9"
    offer = told.say(Side.CALLER, sdp("192.0.2.1", more=f"{rtcp}|{T38}"), dialog=None)
    ours = told.media.ports[relay_of(CALL, Side.AGENT, 1)]
    assert f"a=rtcp:{ours.port + 1} IN IP4 198.51.100.2\r\n" in offer
    told.say(Side.AGENT, sdp("192.0.2.2", more=f"{VIDEO}|{T38}"), "answer")
    video, fax = relay(told, Side.CALLER), relay(told, Side.CALLER, 2)
    assert (video.remote_rtcp.host, video.remote_rtcp.port, video.rtcp_mux) == ("192.0.2.9", 5009, False)
    assert relay(told, Side.AGENT).remote_rtcp.port == 5001
    assert (fax.remote_rtcp, fax.rtcp_mux) == (None, True)


@pytest.mark.parametrize(("answered", "one_port"), [("|a=rtcp-mux", True), ("", False)])
def test_one_port_is_enough_where_both_say_so(told, answered, one_port):
    establish(told, sdp("192.0.2.1", more=f"{VIDEO}|a=rtcp-mux"), sdp("192.0.2.2", more=VIDEO + answered))
    for party in Side:
        assert relay(told, party).rtcp_mux is one_port
        assert (relay(told, party).remote_rtcp is None) is one_port


@pytest.mark.parametrize(
    "proto", ["TCP/BFCP", "TCP/MSRP", "TCP/TLS/MSRP", "TCP/RTP/AVP", "DTLS/SCTP", "DCCP/RTP/AVP", "TCP"]
)
@pytest.mark.parametrize("kind", ["message", "application", "audio"])
def test_what_isn_t_udp_keeps_its_address(told, kind, proto):
    offer = told.say(Side.CALLER, sdp("192.0.2.1", more=f"m={kind} 5000 {proto} *|a=setup:active"), dialog=None)
    assert offer.endswith(f"m={kind} 5000 {proto} *\r\nc=IN IP4 192.0.2.1\r\na=setup:active\r\n")
    assert len(told.media.ports) == 2


def test_a_second_audio_line_is_one_of_audio(told):
    second = "m=audio 4100 RTP/AVP 8"
    establish(told, sdp("192.0.2.1", more=second), sdp("192.0.2.2", more=second))
    assert not any(map(is_relay, told.media.ports))
    assert told.media.mlines() == (0, 1)


# --- what is refused, held, added and taken away ----------------------------------------------------------------------


def test_a_refused_line_stays_refused_and_costs_no_ports(told):
    refused = VIDEO.replace("5000", "0")
    offer = told.say(Side.CALLER, sdp("192.0.2.1", more=refused), dialog=None)
    assert port_of(offer, 1) == 0
    told.say(Side.AGENT, sdp("192.0.2.2", more=refused), "answer")
    assert not any(map(is_relay, told.media.ports))


def test_one_that_is_refused_by_the_answer_goes_nowhere(told):
    told.say(Side.CALLER, sdp("192.0.2.1", more=VIDEO), dialog=None)
    answer = told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO.replace("5000", "0")), "answer")
    assert port_of(answer, 1) == 0
    assert relay(told, Side.AGENT).remote is None


def test_video_is_added_and_taken_away(told):
    establish(told)
    offer = told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO))
    assert "c=IN IP4 198.51.100.1" in offer
    told.say(Side.CALLER, sdp("192.0.2.1", more=VIDEO), "answer")
    assert relay(told, Side.CALLER).remote.port == 5000
    ports = dict(told.media.ports)
    none = VIDEO.replace("5000", "0")
    told.say(Side.AGENT, sdp("192.0.2.2", more=none))
    assert relay(told, Side.CALLER).remote is not None, "it holds until it is answered"
    told.say(Side.CALLER, sdp("192.0.2.1", more=none), "answer")
    assert relay(told, Side.CALLER).remote is None and relay(told, Side.AGENT).remote is None
    told.say(Side.CALLER, sdp("192.0.2.1", more=VIDEO))
    told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO), "answer")
    assert told.media.ports == ports
    assert relay(told, Side.CALLER).remote.port == 5000
    assert told.is_flowing() is True


def test_video_that_is_refused_with_its_offer_changes_nothing(told):
    establish(told)
    told.say(Side.CALLER, sdp("192.0.2.1", more=VIDEO))
    told.media.rolled_back(ONE)
    told.say(Side.AGENT, AGENT)
    told.say(Side.CALLER, CALLER, "answer")
    assert relay(told, Side.CALLER).remote is None
    assert told.is_flowing() is True


def test_the_old_hold_of_a_video_sends_to_nobody(told):
    establish(told, sdp("192.0.2.1", more=VIDEO), sdp("192.0.2.2", more=VIDEO))
    held = told.say(Side.CALLER, sdp("0.0.0.0", more=VIDEO))
    told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO), "answer")
    assert "c=IN IP4 0.0.0.0" in held and "198.51.100" not in held
    assert relay(told, Side.CALLER).remote is None
    assert relay(told, Side.AGENT).remote.host == "192.0.2.2"


@pytest.mark.parametrize("place", ["instead", "beside"])
def test_from_voice_to_fax_and_back(told, place):
    """In place of the audio line, or behind it with the audio refused: either way nothing can be recorded meanwhile."""
    establish(told)
    index = 0 if place == "instead" else 1

    def fax(host: str) -> bytes:
        return alone(host, T38) if place == "instead" else sdp(host, 0, more=T38)

    offer = told.say(Side.AGENT, fax("192.0.2.2"))
    answer = told.say(Side.CALLER, fax("192.0.2.1"), "answer")
    assert told.media.line() is None
    voice = {told.media.ports[FlowId(f"{CALL}/{side.value}/0")].port for side in Side}
    assert {port_of(offer, index), port_of(answer, index)}.isdisjoint({0} | voice), "ports of its own"
    assert relay(told, Side.AGENT, index).remote.port == relay(told, Side.CALLER, index).remote.port == 5002
    ports = dict(told.media.ports)
    for more in ("", T38.replace("5002", "0")) if place == "beside" else ("",):
        told.say(Side.AGENT, sdp("192.0.2.2", more=more))
        told.say(Side.CALLER, sdp("192.0.2.1", more=more), "answer")
        assert told.is_flowing() is True
        assert relay(told, Side.AGENT, index).remote is None, "a fax that is over goes nowhere"
    told.say(Side.AGENT, fax("192.0.2.2"))
    told.say(Side.CALLER, fax("192.0.2.1"), "answer")
    assert relay(told, Side.AGENT, index).remote.port == 5002
    assert told.media.ports == ports


def test_a_refused_fax_changes_nothing(told):
    establish(told)
    told.say(Side.AGENT, alone("192.0.2.2", T38))
    told.media.rolled_back(ONE)
    assert told.is_flowing() is True
    assert relay_of(CALL, Side.AGENT, 0) not in told.forwards


# --- answers ----------------------------------------------------------------------------------------------------------


def test_answers_may_have_more_lines_or_fewer(told):
    told.say(Side.CALLER, sdp("192.0.2.1", more=VIDEO), dialog=None)
    more = told.say(Side.AGENT, sdp("192.0.2.2", more=f"{VIDEO}|{TEXT}"), "answer", ONE)
    assert more.count("198.51.100.1") and f"{TEXT.split('|')[0]}\r\n" in more, "nobody offered that"
    told.say(Side.AGENT, AGENT, "answer", TWO)
    assert relay(told, Side.AGENT).remote is None
    assert not any(flow.endswith("/relay-2") for flow in told.media.ports)


def test_an_answer_that_comes_again_is_answered_alike(told):
    establish(told, sdp("192.0.2.1", more=VIDEO), sdp("192.0.2.2", more=VIDEO))
    again = [told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO), "answer") for _ in range(2)]
    assert again[0] == again[1]
    assert port_of(again[0], 1) == told.media.ports[relay_of(CALL, Side.CALLER, 1)].port
    assert relay(told, Side.AGENT).remote.host == "192.0.2.2"


def test_each_branch_has_its_own_answer_and_the_first_2xx_fixes_it(told):
    told.say(Side.CALLER, sdp("192.0.2.1", more=VIDEO), dialog=None)
    told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO), "answer", ONE)
    told.say(Side.AGENT, sdp("192.0.2.3", more=VIDEO), "answer", TWO)
    assert relay(told, Side.AGENT).remote.host == "192.0.2.3"
    told.fix(ONE)
    assert relay(told, Side.AGENT).remote.host == "192.0.2.2"


def test_an_offer_in_the_response_has_its_answer_in_the_ack(told):
    told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO), "offer")
    told.fix()
    told.say(Side.CALLER, sdp("192.0.2.1", more=VIDEO), "answer")
    assert relay(told, Side.CALLER).remote.host == "192.0.2.1"


# --- what is left to its own address ----------------------------------------------------------------------------------


def test_without_ports_for_them_the_audio_goes_all_the_same_and_both_directions_of_the_rest_go_alike(told):
    told.ports_left = False
    body = told.say(Side.CALLER, sdp("192.0.2.1", more=VIDEO), dialog=None)
    assert "c=IN IP4 198.51.100.2\r\nt=0 0" in body
    assert "m=video 5000 RTP/AVP 96\r\nc=IN IP4 192.0.2.1\r\n" in body
    told.ports_left = True  # too late: the agent's phone was told otherwise
    answer = told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO), "answer")
    assert "m=video 5000 RTP/AVP 96\r\nc=IN IP4 192.0.2.2\r\n" in answer
    told.fix()
    assert told.is_flowing() is True
    assert len(told.media.ports) == 2


@pytest.mark.parametrize("address", ["IN IP4 video.example", "IN IP6 2001:db8::7"])
def test_a_name_that_nobody_knows_and_the_other_ip_version_keep_their_address(told, address):
    offer = told.say(Side.CALLER, sdp("192.0.2.1", more=f"{VIDEO}|c={address}"), dialog=None)
    assert f"c={address}\r\n" in offer and "m=video 5000" in offer
    told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO), "answer")
    assert len(told.media.ports) == 2


def test_each_side_has_its_own_ip_version(told):
    told.media.hosts = {**told.media.hosts, Side.AGENT: "2001:db8::1"}
    offer = told.say(Side.CALLER, sdp("192.0.2.1", more=VIDEO), dialog=None)
    assert "c=IN IP6 2001:db8::1\r\n" in offer
    agent = sdp("192.0.2.2", more=VIDEO).replace(b"IP4 192.0.2.2", b"IP6 2001:db8::2")
    answer = told.say(Side.AGENT, agent, "answer")
    assert "c=IN IP4 198.51.100.1\r\n" in answer
    assert relay(told, Side.AGENT).remote.host == "2001:db8::2"


# --- ICE and BUNDLE ---------------------------------------------------------------------------------------------------


def test_ice_is_taken_out_as_it_is_of_audio(told):
    ice = "a=ice-ufrag:u|a=ice-pwd:p|a=candidate:1 1 UDP 1 192.0.2.1 5000 typ host"
    dtls = "a=fingerprint:sha-256 AA|a=setup:actpass"
    offer = told.say(Side.CALLER, sdp("192.0.2.1", more=f"{VIDEO}|{ice}|{dtls}"), dialog=None)
    assert "a=candidate" not in offer and "a=ice-" not in offer
    assert "a=fingerprint:sha-256 AA\r\na=setup:actpass\r\n" in offer


def bundle(group: str, video: str = VIDEO) -> bytes:
    text = sdp("192.0.2.1", more=f"a=mid:0|{video}|a=mid:1").decode()
    return text.replace("t=0 0\r\n", f"t=0 0\r\na=group:{group} 0 1\r\n").encode()


def test_what_is_relayed_line_by_line_is_offered_apart(told):
    """Else the video would come on the audio's port, and end its recording."""
    offer = told.say(Side.CALLER, bundle("BUNDLE"), dialog=None)
    assert "BUNDLE" not in offer and "a=mid:1" in offer
    told.say(Side.AGENT, sdp("192.0.2.2", more=VIDEO), "answer")
    told.fix()
    assert told.is_flowing() is True
    assert relay(told, Side.CALLER).remote.port == 5000


@pytest.mark.parametrize(
    ("group", "video"),
    [
        ("LS", VIDEO),
        ("BUNDLE", VIDEO.replace("5000", "0")),
        ("BUNDLE", f"{VIDEO.replace('5000', '0')}|a=bundle-only"),
        ("BUNDLE", "m=video 5000 TCP/RTP/AVP 96"),
    ],
)
def test_other_groups_and_those_that_need_not_or_cannot_be_parted_stay(told, group, video):
    assert f"a=group:{group} 0 1" in told.say(Side.CALLER, bundle(group, video), dialog=None)


def test_an_answer_keeps_what_it_says_of_bundles(told):
    three = bundle("BUNDLE", f"{VIDEO}|a=mid:2|{TEXT.replace('5006', '0')}|a=bundle-only")
    assert "BUNDLE" in told.say(Side.CALLER, three, dialog=None)
    assert "BUNDLE" in told.say(Side.AGENT, bundle("BUNDLE"), "answer", DialogTag("one"))
