"""sipp calls through the gateway, on UDP and TCP: every end of a call, hold, load with its own counters, recordings."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from demo.agreement import QUEUE
from demo.correlate import find
from demo.g711 import RATE
from demo.speech import speech
from demo.tones import tone
from gateway.control.protocol import RunningCalls
from tests.peers.pcap import count_packets, read_speech, write_speech
from tests.peers.running_site import RunningSite, until
from tests.peers.sipp import SPEECH, Sipp

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONE = 60
"""The number of a phone of sipp's, within the agent side's network."""
MANY = 50
MISCOUNTED = 10
"""sipp's threads count what they send without a lock: of twelve thousand packets it may miss some."""
PAUSE_MS = 16_000
"""From the answer to the BYE: long enough that a machine that stood still for seconds doesn't cut the speech off."""
AT_ONCE = 8
ROUNDS = 3
PRESS_S, TALK_S = 5.5, 11.0
"""In the sound of each caller: the key after the site's short question, the talk after its notice."""
"""When the caller answers the question, and when both speak on, after the call was answered."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory, program):
    program("sipp")
    if not SPEECH.exists():
        pytest.skip(f"`{SPEECH}` isn't there: it comes with Debian's sip-tester")
    async with RunningSite(tmp_path_factory.mktemp("sipp"), desks=1) as running:
        yield running


@pytest.fixture
def caller(site, program, tmp_path):
    """Makes a sipp that calls through the gateway."""

    def make(scenario, callee, **more):
        gateway = f"{site.at.gateway_caller}:5060"
        return Sipp(
            program("sipp"), tmp_path / "caller", scenario, site.at.pbx, to=gateway, callee=callee, **more
        )  # fmt: skip

    return make


@pytest.fixture
def phone(site, program, tmp_path):
    """Makes a sipp that is called."""
    return lambda scenario, **more: Sipp(program("sipp"), tmp_path / "phone", scenario, site.at.phone(PHONE), **more)


def place(site, transport):
    return f"{site.at.phone(PHONE)}:5060" + (";transport=tcp" if transport == "tcp" else "")


@pytest.mark.quiet
async def test_fifty_calls_at_once_lose_nothing(site, caller, phone):
    await site.quiet()
    before = await site.counters()
    each = MANY * count_packets(SPEECH)
    how = {"calls": MANY, "rate": MANY}
    async with (
        phone("phone", **how) as end,
        caller("caller", place(site, "udp"), pause_ms=PAUSE_MS, **how) as beginning,
    ):

        async def all_up() -> bool:
            return (await site.status())["calls"] == MANY

        await until(all_up)
        sent = await asyncio.gather(*(one.rtp_sent(each - MISCOUNTED) for one in (beginning, end)))
        drops = dropped(site.at.gateway_caller) + dropped(site.at.gateway_agent)
        await asyncio.gather(beginning.done(), end.done())
    await site.quiet()

    packets: list[int] = []

    async def all_counted() -> bool:
        now = await site.counters() - before
        packets[:] = now["packets_relayed"], now["packets_from_wrong_source"]
        return sum(packets) >= 2 * each

    with contextlib.suppress(TimeoutError):
        await until(all_counted)
    assert max(sent) <= each
    assert len(drops) >= 4 * MANY
    assert set(drops) == {0}
    assert packets == [2 * each, 0]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("calling", "called"),
    [
        ("caller", "phone"),
        ("caller_waits", "phone_hangs_up"),
        ("caller_holds", "phone_held"),
        ("caller_cancels", "phone_rings"),
        ("caller_refused", "phone_busy"),
    ],
)
async def test_sipp_calls_sipp(site, caller, phone, calling, called, transport):
    how = {"transport": transport, "calls": 3, "pause_ms": 300}
    async with phone(called, **how) as end, caller(calling, place(site, transport), **how) as beginning:
        await asyncio.gather(beginning.done(), end.done())
    await site.quiet()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_phone_hears_what_sipp_says(site, caller, transport):
    desk = site.desks[0]
    async with caller("caller", where(desk, transport), transport=transport, pause_ms=2500) as calling:
        taken = await pick_up(desk)
        async with asyncio.timeout(5):
            await taken.hears(read_speech(SPEECH)[RATE : RATE * 2], 0.95)
        await calling.done()
        assert taken.ended.is_set()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_sipp_hears_a_phone_but_not_while_it_holds_it(site, caller, transport, tmp_path):
    """What comes back from sipp it has heard."""
    desk, short = site.desks[0], tmp_path / "short.pcap"
    write_speech(short, tone(400, 0.1))
    how = {"transport": transport, "echo": True, "pause_ms": 1500, "speech": short}
    async with caller("caller_holds", where(desk, transport), **how) as calling, asyncio.timeout(15):
        taken = await pick_up(desk)
        taken.play(tone(1100, 1.0))
        await taken.hears(tone(1100, 0.8), 0.9)
        await taken.renegotiated.wait()
        taken.renegotiated.clear()
        assert (taken.remote_terms.direction, taken.line.speaking) == ("sendonly", False)
        before = len(taken.line.arrivals)
        await taken.renegotiated.wait()
        assert len(taken.line.arrivals) - before < 5
        assert (taken.remote_terms.direction, taken.line.speaking) == ("sendrecv", True)
        taken.play(tone(1500, 1.0))
        await taken.hears(tone(1500, 0.8), 0.9)
        await taken.ended.wait()
        await calling.done()


async def test_sipp_at_both_ends_is_recorded_where_its_caller_agreed(site, caller, phone, tmp_path):
    """The caller says yes to whoever asks; only calls that were drawn and asked are recorded."""
    desk = site.desks[0]
    silence = np.zeros(round(TALK_S * RATE), np.int16)
    his, hers = speech("caller")[: 4 * RATE], read_speech(SPEECH)[: 4 * RATE]
    write_speech(tmp_path / "his.pcap", np.concatenate((silence, his)), [(PRESS_S, "1")], ssrc=0xCA11)
    write_speech(tmp_path / "hers.pcap", np.concatenate((silence, hers)), ssrc=0xA6E7)
    await desk.be_ready()
    outcomes: dict[str, Any] = {}
    for _ in range(ROUNDS):
        outcomes |= await agree(site, desk, caller, phone, tmp_path)
        if any(said["drawn"] for said in outcomes.values()):
            break
    recorded = [ref for ref, said in outcomes.items() if said["outcome"] == "recorded"]
    assert recorded
    others = [said for ref, said in outcomes.items() if said["drawn"] and ref not in recorded]
    assert [said for said in others if "CEILING" not in said["reasons"]] == []
    left, right = await site.opened(desk, recorded[0])
    for sound, own, other in ((hers, left, right), (his, right, left)):
        assert find(sound, own).strength > 0.9
        assert find(sound, other).strength < 0.2


def where(desk, transport):
    host, port = desk.phone.address
    return f"{host}:{port}" + (";transport=tcp" if transport == "tcp" else "")


async def pick_up(desk):
    async with asyncio.timeout(5):
        taken = await desk.phone.incoming.get()
        taken.answer()
        await taken.answered
    return taken


async def agree(site, desk, caller, phone, folder):
    """Some calls at once whose callers press the key; what became of each."""
    how = {"calls": AT_ONCE, "extension": desk.extension, "queue": QUEUE}
    pause_ms = round((TALK_S + 4.5) * 1000)
    async with (
        phone("phone", calls=AT_ONCE, speech=folder / "hers.pcap") as end,
        caller("caller", place(site, "udp"), pause_ms=pause_ms, speech=folder / "his.pcap", **how) as beginning,
    ):

        async def running() -> list[str] | None:
            calls = (await site.command(RunningCalls()))["calls"]
            return [call["call"] for call in calls] if len(calls) == AT_ONCE else None

        refs = await until(running)
        await asyncio.gather(beginning.done(), end.done())
    return {ref: await site.outcome(desk, ref) for ref in refs}


def dropped(host: str) -> list[int]:
    """The kernel's drop counter of each UDP socket on an address (`/proc/net/udp`)."""
    wanted = "".join(f"{int(part):02X}" for part in reversed(host.split(".")))
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return [int(line[-1]) for line in lines if line[1].startswith(wanted)]
