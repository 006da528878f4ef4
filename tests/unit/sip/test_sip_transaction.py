"""The transaction machines: every row of the RFC that a proxy relies on, both transports, in virtual time."""

from __future__ import annotations

import pytest

from gateway.sip.build import build_ack, build_response
from gateway.sip.headers import top_via
from gateway.sip.hop import Hop, Side, Transport
from gateway.sip.message import Request, new_message
from gateway.sip.timers import SipTimers
from gateway.sip.transaction import (
    Ack,
    Answer,
    NewRequest,
    NoAnswer,
    Output,
    Send,
    Stray,
    TransactionLayer,
)
from gateway.sip.transaction_table import TABLE, Action, Event, Kind, State

T = SipTimers.RFC3261
UDP = Hop(Side.CALLER, Transport.UDP, "192.0.2.1", 5060)
TCP = Hop(Side.CALLER, Transport.TCP, "192.0.2.1", 5060, 7)
HOPS = pytest.mark.parametrize("hop", [UDP, TCP], ids=["udp", "tcp"])


def request(method: str = "INVITE", branch: str = ";branch=z9hG4bKa", to: str = "") -> Request:
    fields = [
        ("Via", f"SIP/2.0/UDP 192.0.2.1{branch}"),
        ("From", "<sip:a@b>;tag=1"),
        ("To", f"<sip:b@b>{to}"),
        ("Call-ID", "x"),
        ("CSeq", f"7 {method}"),
    ]
    made = new_message(f"{method} sip:b@b SIP/2.0", fields)
    assert isinstance(made, Request)
    return made


class Layer(TransactionLayer):
    """With a clock and short names."""

    def __init__(self) -> None:
        super().__init__(T)
        self.now = 0.0

    def ask(self, message: Request, hop: Hop = UDP) -> list[Output]:
        return self.receive_request(message, top_via(message), hop, self.now)

    def reply(self, message: Request, status: int) -> list[Output]:
        response = build_response(message, status, "", "tag")
        return self.receive_response(response, top_via(message), Side.CALLER, self.now)

    def times(self, until: float = 1000.0) -> list[tuple[float, str]]:
        """Everything that happens by timers alone."""
        found = []
        while (due := self.next_timeout()) is not None and due <= until:
            self.now = due
            found += [(round(due, 3), type(output).__name__) for output in self.advance(due)]
        return found


def names(outputs: list[Output]) -> list[str]:
    return [type(output).__name__ for output in outputs]


def opened(layer: Layer, message: Request, hop: Hop = UDP):
    return next(output.key for output in layer.ask(message, hop) if isinstance(output, NewRequest))


def test_invite_client_retransmits_until_it_gives_up() -> None:
    layer = Layer()
    key, outputs = layer.send_request(request(), "z9hG4bKa", UDP, 0.0)
    assert names(outputs) == ["Send"]
    sends = [(t, "Send") for t in (0.5, 1.5, 3.5, 7.5, 15.5, 31.5)]
    assert layer.times() == [*sends, (32.0, "NoAnswer")]
    assert len(layer) == 0 and layer.fail(key, 40.0) == []


def test_other_client_retransmits_up_to_t2() -> None:
    layer = Layer()
    layer.send_request(request("INFO"), "z9hG4bKa", UDP, 0.0)
    expected = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert layer.times() == [*[(t, "Send") for t in expected], (32.0, "NoAnswer")]


@pytest.mark.parametrize("method", ["INVITE", "INFO"])
def test_reliable_clients_do_not_retransmit(method: str) -> None:
    layer = Layer()
    layer.send_request(request(method), "z9hG4bKa", TCP, 0.0)
    assert layer.times() == [(32.0, "NoAnswer")]


def test_a_ringing_invite_has_no_timer_and_info_goes_on_slowly() -> None:
    layer = Layer()
    layer.send_request(request(), "z9hG4bKa", UDP, 0.0)
    assert names(layer.reply(request(), 180)) == ["Answer"]
    assert layer.times() == [] and layer.next_timeout() is None
    layer.send_request(request("INFO"), "z9hG4bKa", UDP, 0.0)
    assert names(layer.reply(request("INFO"), 100)) == ["Answer"]
    assert layer.times() == [*[(4.0 * n, "Send") for n in range(1, 8)], (32.0, "NoAnswer")]
    assert len(layer) == 1, "the INFO gave up, the INVITE still rings"


@HOPS
def test_refused_invite_is_acked_again_for_every_repetition(hop: Hop) -> None:
    layer = Layer()
    sent = request()
    layer.send_request(sent, "z9hG4bKa", hop, 0.0)
    outputs = layer.reply(sent, 486)
    assert names(outputs) == ["Send", "Answer"]
    ack = outputs[0]
    assert isinstance(ack, Send) and ack.data == build_ack(sent, build_response(sent, 486, "", "tag")).to_bytes()
    (again,) = layer.reply(sent, 486)
    assert isinstance(again, Send) and again.data == ack.data
    assert layer.reply(sent, 180) == []
    layer.times()
    assert layer.now == (T.d if hop is UDP else 0.0) and len(layer) == 0
    assert names(layer.reply(sent, 486)) == ["Stray"]


def test_accepted_invite_passes_every_2xx_for_64_t1_and_nothing_else() -> None:
    layer = Layer()
    layer.send_request(request(), "z9hG4bKa", UDP, 0.0)
    assert names(layer.reply(request(), 200)) == ["Answer"]
    assert names(layer.reply(request(), 200)) == ["Answer"]
    assert layer.reply(request(), 486) == [] and layer.reply(request(), 180) == []
    layer.now = 31.9
    layer.advance(31.9)
    assert names(layer.reply(request(), 200)) == ["Answer"]
    assert layer.times() == [] and layer.now == 32.0
    assert names(layer.reply(request(), 200)) == ["Stray"]


@HOPS
def test_other_client_absorbs_repeated_finals(hop: Hop) -> None:
    layer = Layer()
    layer.send_request(request("BYE"), "z9hG4bKa", hop, 0.0)
    assert names(layer.reply(request("BYE"), 200)) == ["Answer"]
    assert layer.reply(request("BYE"), 200) == []
    layer.times()
    assert layer.now == (T.t4 if hop is UDP else 0.0) and len(layer) == 0


def test_broken_transport_ends_a_client_unless_it_is_ringing() -> None:
    layer = Layer()
    key, _ = layer.send_request(request(), "z9hG4bKa", TCP, 0.0)
    assert layer.fail(key, 0.0) == [NoAnswer(key, broken=True)] and len(layer) == 0
    key, _ = layer.send_request(request(), "z9hG4bKa", TCP, 0.0)
    layer.reply(request(), 180)
    assert layer.fail(key, 0.0) == [] and len(layer) == 1


def test_responses_match_by_side_branch_and_method() -> None:
    layer = Layer()
    layer.send_request(request(), "z9hG4bKa", UDP, 0.0)
    response = build_response(request(), 200)
    via = top_via(request())
    assert layer.receive_response(response, via, Side.AGENT, 0.0) == [Stray()]
    assert names(layer.reply(request("CANCEL"), 200)) == ["Stray"], "a CANCEL is a transaction of its own"
    assert names(layer.reply(request(branch=";branch=z9hG4bKb"), 200)) == ["Stray"]


def test_invite_server_says_100_at_once_and_repeats_the_last_answer() -> None:
    layer = Layer()
    invite = request()
    outputs = layer.ask(invite)
    assert names(outputs) == ["Send", "NewRequest"]
    assert isinstance(outputs[0], Send) and outputs[0].data.startswith(b"SIP/2.0 100 Trying\r\n")
    assert layer.ask(invite) == [outputs[0]]
    new = outputs[1]
    assert isinstance(new, NewRequest)
    (ringing,) = layer.respond(new.key, build_response(invite, 180, "", "t"), 0.0)
    assert layer.ask(invite) == [ringing]


def test_refused_invite_server_repeats_until_the_ack() -> None:
    layer = Layer()
    invite = request()
    key = opened(layer, invite)
    layer.respond(key, build_response(invite, 486, "", "t"), 0.0)
    assert layer.times(4.0) == [(0.5, "Send"), (1.5, "Send"), (3.5, "Send")]
    assert layer.ask(request("ACK", to=";tag=t")) == []
    assert layer.ask(request("ACK", to=";tag=t")) == [], "absorbed in Confirmed"
    assert layer.times() == [(8.5, "ServerGone")]
    assert layer.respond(key, build_response(invite, 200), 9.0) == []


def test_refused_invite_server_without_ack_ends_after_64_t1() -> None:
    layer = Layer()
    invite = request()
    layer.respond(opened(layer, invite), build_response(invite, 486, "", "t"), 0.0)
    times = layer.times()
    assert times[-1] == (32.0, "ServerGone")
    assert [t for t, name in times if name == "Send"] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_reliable_invite_server_does_not_repeat() -> None:
    layer = Layer()
    invite = request()
    layer.respond(opened(layer, invite, TCP), build_response(invite, 486, "", "t"), 0.0)
    assert layer.times() == [(32.0, "ServerGone")]


def test_accepted_invite_server_passes_2xx_and_acks_and_absorbs_repetitions() -> None:
    layer = Layer()
    invite = request()
    key = opened(layer, invite)
    for _ in range(2):
        assert names(layer.respond(key, build_response(invite, 200, "", "t"), 0.0)) == ["Send"]
    assert layer.ask(invite) == []
    assert layer.respond(key, build_response(invite, 486, "", "t"), 0.0) == []
    assert names(layer.ask(request("ACK", to=";tag=t"))) == ["Ack"]
    assert layer.times() == [(32.0, "ServerGone")]


@HOPS
def test_other_server_repeats_its_final_only(hop: Hop) -> None:
    layer = Layer()
    bye = request("BYE")
    key = opened(layer, bye, hop)
    assert layer.ask(bye, hop) == []
    (sent,) = layer.respond(key, build_response(bye, 200, "", "t"), 0.0)
    assert layer.ask(bye, hop) == [sent]
    assert layer.respond(key, build_response(bye, 500, "", "t"), 0.0) == []
    assert layer.times() == [(32.0 if hop is UDP else 0.0, "ServerGone")]


def test_ack_without_a_transaction_goes_up() -> None:
    ack = request("ACK", branch=";branch=z9hG4bKnew", to=";tag=t")
    assert Layer().ask(ack) == [Ack(ack, UDP)]


def test_branches_of_one_call_are_different_transactions() -> None:
    layer = Layer()
    opened(layer, request())
    assert names(layer.ask(request(branch=";branch=z9hG4bKother"))) == ["Send", "NewRequest"]
    other_side = Hop(Side.AGENT, Transport.UDP, "192.0.2.1", 5060)
    assert names(layer.ask(request(), other_side)) == ["Send", "NewRequest"], "sides don't see each other"


@pytest.mark.parametrize("branch", ["", ";branch=1", ";branch=z9hG4bK"])
def test_peers_of_rfc_2543_are_matched_by_what_they_say(branch: str) -> None:
    layer = Layer()
    invite = request(branch=branch)
    key = opened(layer, invite)
    assert names(layer.ask(invite)) == ["Send"]
    cancel = request("CANCEL", branch=branch)
    assert layer.invite_for_cancel(cancel, top_via(cancel), Side.CALLER) == key
    layer.respond(key, build_response(invite, 486, "", "t"), 0.0)
    assert layer.ask(request("ACK", branch=branch, to=";tag=t")) == []
    other = request(branch=branch)
    other.set("cseq", "8 INVITE")
    assert names(layer.ask(other)) == ["Send", "NewRequest"]


def test_cancel_finds_its_invite_and_no_other() -> None:
    layer = Layer()
    key = opened(layer, request())
    cancel, stranger = request("CANCEL"), request("CANCEL", branch=";branch=z9hG4bKb")
    assert layer.invite_for_cancel(cancel, top_via(cancel), Side.CALLER) == key
    assert layer.invite_for_cancel(cancel, top_via(cancel), Side.AGENT) is None
    assert layer.invite_for_cancel(stranger, top_via(stranger), Side.CALLER) is None


def test_dropped_transactions_leave_no_timer() -> None:
    layer = Layer()
    key, _ = layer.send_request(request("INFO"), "z9hG4bKa", UDP, 0.0)
    server = opened(layer, request())
    layer.respond(server, build_response(request(), 486, "", "t"), 0.0)
    layer.drop_client(key)
    layer.drop_server(server)
    assert layer.next_timeout() is None and layer.times() == [] and len(layer) == 0


def test_the_table_has_no_dead_ends() -> None:
    reached: dict[Kind, set[State]] = {}
    for (kind, state, _), (following, actions) in TABLE.items():
        reached.setdefault(kind, set()).update((state, following))
        assert state is not State.TERMINATED
        lingers = [action for action in actions if action.name.startswith("LINGER")]
        if following is not state and following in (State.ACCEPTED, State.COMPLETED, State.CONFIRMED):
            assert len(lingers) == 1, "a state that ends by itself starts its timer when entered"
            assert TABLE[kind, following, Event.LINGER] == (State.TERMINATED, ())
        if following is State.TERMINATED:
            assert set(actions) <= {Action.TIMED_OUT, Action.FAILED}
    assert all(State.TERMINATED in states for states in reached.values()) and set(reached) == set(Kind)


def test_answers_carry_the_response() -> None:
    layer = Layer()
    key, _ = layer.send_request(request(), "z9hG4bKa", UDP, 0.0)
    (answer,) = layer.reply(request(), 200)
    assert isinstance(answer, Answer) and answer.key == key
    assert answer.response.status == 200
