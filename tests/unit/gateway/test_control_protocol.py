"""Lines of the control port: what is written is read again, and whatever else comes is one declared error."""

import json
import warnings
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import events
from gateway.control import protocol as p
from gateway.control.protocol import MAX_LINE, Answer, ControlError, Refusal, Request, Told, decode, encode

SIGNED = p.Signed('{"v":1}', "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----")
COMMANDS = (
    p.Watch(),
    p.PageOpened("a", "p"),
    p.PageClosed("a", "p"),
    p.Acknowledge("a", "p", "c", 7, "n", "recording_both", "pip"),
    p.Enrol("a", "ssh-ed25519 AAAA", SIGNED),
    p.ClaimSeat("a", SIGNED),
    p.ReleaseSeat("a"),
    p.SetConsent("a", "coaching", "yes", SIGNED),
    p.SetConsent("a", "coaching", "unset"),
    p.SetBlackout("a", True),
    p.StopRecording("a", "c"),
    p.CallerRefused("a", "c"),
    p.CallerAgreed("a", "c", "dispute", SIGNED),
    p.ConsentInCall("a", "c", "dispute", "no"),
    p.RequestRecord("a", "c", "customer_request", SIGNED),
    p.PauseCall("c", "agent:a", False),
    p.ReadCode("a", "c"),
    p.ReadCode("a", "c", False),
    p.FindRecord("1234 5678 9012 3456 7890"),
    p.EraseByCode("12345678901234567890"),
    p.EraseOwnSide("a", "r"),
    p.FetchTogether("council", "r", "caller", 1, "quorum"),
    p.RecordingAccesses("a", "r"),
    p.HoldRecording("dpo", None, "r", "case 7", "2026-03-04T09:30:00Z"),
    p.LiftHold("agent", "a", "r"),
    p.AddCoach("Carla Coach"),
    p.EnrolCoach("k", "ssh-ed25519 AAAA", SIGNED),
    p.DisableCoach("k"),
    p.ReleaseRecording("a", "r", (p.ReleasedSide(SIGNED, "aGVhZGVy"), p.ReleasedSide(SIGNED, ""))),
    p.RevokeRelease("a", "r", "l"),
    p.RecordingReleases("a", "r"),
    p.ReleasedTo("k"),
    p.FetchReleased("k", "r", "agent", 1, "coaching"),
    p.FetchReleased("k", "r", "caller", 1),
    p.AddAgents((p.NewAgent("Zoë Beispiel", "team-a", "hamburg", "2026-03-01", True), p.NewAgent("B", "team-a", "x"))),
    p.DisableAgent("a"),
    p.PostAct("{}", {"employer": "s"}, "id: x\n", "de"),
    p.DraftAct("rates", "bv", {"rates": {"sample/a/regular": "2"}}),
    p.SuspendRecording("bv", "council"),
    p.CommitEpoch("2026-W10", "0" * 64, "s"),
    p.ShareEpoch("2026-W10", "0" * 64),
    p.CosignLog("hamburg/fairtap/2026-01\n1\n…\n"),
    p.Epochs(),
    p.EpochRoster("2026-W10"),
    p.RunningCalls(),
    p.Explain("c", "a"),
    p.FindCall("1234@host"),
    p.CallLadder("c"),
    p.AgentOnCall("c", "200", 10, "service"),
    p.CallerAnswered("c", "front", "coaching", "yes", "a" * 64, "2026-03-04T09:30:00Z", "2026-03-04T09:30:01Z"),
    p.Status(),
    p.ListAnnouncements(),
    p.FetchAnnouncement("ask-de-2"),
    p.PassedThrough(7),
)
LIGHT = events.LegLight("a", "c", 1, "n", events.LightState.PAUSED, "2026-03-04T09:30:00.000Z", why="PAUSED")
EVENTS = (
    LIGHT,
    events.Heartbeat("a", "c", 2, "n", events.LightState.ASKING),
    events.Snapshot("a", 2, (LIGHT, LIGHT)),
    events.Snapshot("a", 3, (LIGHT,), {"c": "12345678901234567890"}),
    events.RecordCode("a", "c", "12345678901234567890"),
    events.RecordCode("a", "c", None),
    events.CallEnded("c"),
    events.RecordingsChanged("a", "r"),
    events.Alarm("storage", "the disk is full"),
)
ANSWERS = (
    Answer(1, ok={}),
    Answer(2, ok={"calls": [{"call": "c", "queue": None}]}),
    Answer(3, error=Refusal("stale_ack", "another event", 422)),
)


LINES = [*(Request(7, command) for command in COMMANDS), *(Told(event) for event in EVENTS), *ANSWERS]


def test_the_examples_here_are_all_there_are():
    assert {type(command) for command in COMMANDS} == set(get_args(p.Command))
    assert {type(event) for event in EVENTS} == set(get_args(events.Event))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.kind)
def test_a_command_survives_its_line(command):
    request = Request(2**40, command)
    assert decode(encode(request), "request") == request


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_survives_its_line(event):
    assert decode(encode(Told(event)), "reply") == Told(event)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: str(answer.id))
def test_an_answer_survives_its_line(answer):
    assert decode(encode(answer), "reply") == answer


@pytest.mark.parametrize("line", LINES, ids=repr)
def test_a_line_is_one_line_of_json_as_the_contract_has_it(line):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = encode(line)
    assert written.endswith(b"\n") and written.count(b"\n") == 1
    expected = {Request: {"id", "command"}, Told: {"event"}, Answer: {"id", "ok", "error"}}[type(line)]
    assert set(json.loads(written)) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"id":1}',
        b'{"id":1,"command":{}}',
        b'{"id":1,"command":{"kind":"format_disk"}}',
        b'{"id":"x","command":{"kind":"status"}}',
        b'{"id":1,"command":{"kind":"explain"}}',
        b'{"id":1,"command":{"kind":"set_blackout","agent":"a","on":[]}}',
        b'{"id":1,"command":{"kind":"set_consent","agent":"a","purpose":"coaching","answer":"maybe"}}',
        b'{"id":1,"ok":{}}',
        b'{"event":{"kind":"alarm","code":"c","text":"t"}}',
        b"[" * 100_000,
        b'{"id":' + b"9" * 5000 + b"}",
    ],
    ids=lambda line: line[:50].decode("latin1"),
)
def test_what_isn_t_a_request_is_refused(line):
    with pytest.raises(ControlError) as caught:
        decode(line, "request")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [b'{"id":1,"command":{"kind":"status"}}', b'{"event":{"kind":"unknown"}}', b'{"event":1}', b'{"id":1,"ok":3}'],
)
def test_what_isn_t_a_reply_is_refused(line):
    if b"command" in line:
        decode(line, "request")
    else:
        with pytest.raises(ControlError):
            decode(line, "reply")


def test_an_overlong_line_is_refused_unread():
    request = encode(Request(1, p.FindCall("x" * MAX_LINE)))
    with pytest.raises(ControlError, match="too long"):
        decode(request, "request")


def test_an_error_repeats_nothing_of_the_line():
    with pytest.raises(ControlError) as caught:
        decode(b'{"id":1,"command":{"kind":"explain","call":["+4940123456"]}}', "request")
    assert "4940123456" not in str(caught.value)
    assert caught.value.__suppress_context__


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
KINDS = [command.kind for command in COMMANDS] + [event.kind for event in EVENTS]
FIELDS = ["agent", "call", "page", "statement", "answer", "seq", "agents", "signatures", "legs", "state"]
NEARLY = st.builds(
    lambda shape, kind, rest: {"id": 1, shape: {"kind": kind, **rest}},
    st.sampled_from(["command", "event", "ok", "error"]),
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6),
)


@given(st.binary(max_size=300) | (JSON | NEARLY).map(lambda value: json.dumps(value).encode()))
@example(b'{"event"' + b"[" * 3000)
def test_any_line_reads_or_is_the_declared_error(line):
    for shape in ("request", "reply"):
        try:
            found = decode(line, "request" if shape == "request" else "reply")
        except ControlError as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(found, Request if shape == "request" else (Answer, Told))
