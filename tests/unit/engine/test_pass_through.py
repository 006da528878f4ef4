"""A week's figures without recording: the same of every call, whatever was agreed or answered; no persons in them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from api.passed_lines import passed_lines, sees_no_media
from gateway.call.model import DialogTag, SdpMessage, SipCallId
from gateway.engine.call_facts import HINDRANCES
from gateway.engine.pass_through import KEPT_DAYS, PassThrough
from gateway.media.plane import Counted, FlowCount, FlowId
from gateway.rtp.quality import Quality
from policy.decision import Side
from tests.peers.engine_bench import OUTSIDE, sdp


def told(bench, days=7):
    return bench.engine.pass_through.told(days, bench.clock.wallclock())


def counted(bench, live, caller=1000, agent=1000, heard=None):
    """The worker's last word about a call."""
    flows = {
        FlowId(f"{live.call.ref}/{side}/0"): FlowCount(received, received, 0, 0, 0, 0, 0, heard)
        for side, received in (("caller", caller), ("agent", agent))
    }
    bench.engine.reports.take(0, Counted(live.call.ref, flows, final=True))


async def pass_through(bench, call_id, answer=None, **more):
    """A call from its offer to its end."""
    await bench.offer(call_id, **more)
    said = SdpMessage(Side.AGENT, DialogTag("uas"), "answer", answer or sdp("127.15.1.12", 5000))
    await bench.engine.answer(SipCallId(call_id), said)
    bench.engine.answered(SipCallId(call_id), DialogTag("uas"))
    bench.engine.confirmed(SipCallId(call_id))
    live = bench.engine.calls[SipCallId(call_id)]
    bench.engine.hang_up(SipCallId(call_id))
    return live


async def test_calls_are_counted_with_codec_media_and_what_hindered_them(bench):
    await bench.offer("nobody-answers")
    bench.engine.abandon_unanswered(SipCallId("nobody-answers"))
    counted(bench, await pass_through(bench, "good"), heard=Quality(0.05, 50.0, None, 3.0))
    counted(bench, await pass_through(bench, "one-way", extension=None), agent=0)
    counted(bench, await pass_through(bench, "past-us"), 0, 0)
    held = sdp("0.0.0.0", 5000)
    await pass_through(bench, "on-hold", held)
    await pass_through(bench, "gsm", sdp().replace(b"AVP 8", b"AVP 3").replace(b"8 PCMA", b"3 GSM"))
    (day,) = told(bench)["days"]
    assert day.pop("day") == bench.clock.wallclock().date().isoformat()
    assert {name: count for name, count in day.items() if count} == {
        "calls": 6, "answered": 5, "recordable": 2, "codec PCMA": 3, "hindered no_extension": 1, "hindered no_line": 1,
        "hindered codec": 1, "silent agent": 1, "silent both": 1, "legs heard": 3, "legs lossy": 2, "legs jittery": 2,
    }  # fmt: skip
    assert told(bench)["total"] == day


async def test_a_refusal_changes_no_figure(bench):
    """Of two calls alike one is asked and refused: their days are equal."""
    live = await bench.opened()
    live.call.leg.caller_refused()
    bench.engine.reconsider(live)
    bench.engine.hang_up(SipCallId("call-1"))
    counted(bench, live)
    await bench.engine.finished()
    refused = told(bench)["total"]
    live = await bench.opened()
    bench.engine.hang_up(SipCallId("call-1"))
    counted(bench, live)
    assert told(bench)["total"] == {name: 2 * count for name, count in refused.items()}


async def test_on_a_trunk_it_matters_whether_the_pbx_ever_said_who_is_on_it(trunk):
    await pass_through(trunk, "unnamed")
    await trunk.answered("named")
    trunk.engine.hearsay.lease(trunk.engine.calls[SipCallId("named")], "200", 5.0)
    trunk.engine.hearsay.lease(trunk.engine.calls[SipCallId("named")], None, 5.0)
    trunk.engine.hang_up(SipCallId("named"))
    await trunk.engine.finished()
    total = told(trunk)["total"]
    assert (total["answered"], total["hindered no_lease"], total["recordable"]) == (2, 1, 1)


async def test_figures_outlive_a_restart_for_two_weeks_and_hold_nobody(bench, tmp_path):
    file = tmp_path / "figures.json"
    figures, began = PassThrough(file), bench.clock.wallclock()
    live = await bench.answered()
    for day in range(KEPT_DAYS + 3):
        figures.over(live, None, began + timedelta(days=day))
    figures.save()
    assert OUTSIDE not in file.read_text() and live.call.ref not in file.read_text()
    again = PassThrough(file)
    last = began + timedelta(days=KEPT_DAYS + 2)
    assert again.told(7, last)["total"] == {"calls": 7}
    assert len(json.loads(file.read_text())) == KEPT_DAYS


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"2026-01-01": 3}', b'{"yesterday": {}}', b"\xff", b'{"2026-11-29": {"b": "c"}}']
)
def test_a_file_that_is_none_counts_as_none(tmp_path, content):
    (tmp_path / "f.json").write_bytes(content)
    assert PassThrough(tmp_path / "f.json").told(7, datetime(2026, 11, 29, 12, tzinfo=UTC))["days"] == []


def test_in_words():
    total = {
        "calls": 9, "answered": 8, "recordable": 5, "codec PCMA": 6, "codec OPUS": 2, "srtp": 1, "legs heard": 10,
        "legs lossy": 1, "silent agent": 1, "silent both": 5, "hindered codec": 2, "no queue": 1,
    }  # fmt: skip
    assert passed_lines(total, HINDRANCES) == [
        "calls: 9, answered: 8, could have been recorded: 5", "codecs: PCMA 6, OPUS 2", "SRTP: 1",
        "of 10 legs that told, 1 lost more than 1 %, 0 had more than 30 ms of jitter", "nothing came from the agent: 1",
        "no media at all: 5: it flows past Fairtap, see `fairtap doctor`",
        "no queue named: 1; that matters where the agreement names queues",
        "not recordable, no codec in common that can be kept: 2",
    ]  # fmt: skip
    assert not sees_no_media({"answered": 4, "silent both": 4})
