"""SRTP through a worker: relayed untouched or ended here, recorded, listened to, played into, and without its keys."""

import itertools
import struct

import numpy as np
import pytest

from gateway.media.plane import (
    DigitHeard,
    Forward,
    KeysLost,
    Listen,
    MediaUnreadable,
    Play,
    PlayEnded,
    Secure,
    SegmentFailed,
    Srtp,
)
from gateway.media.prompts.sounds import Catalogue
from gateway.rtp.packet import Rtp
from gateway.rtp.telephone_event import Event
from tests.peers.media_house import AGENT, CALL, CALLER, WorkerProcess, make_config, worker_here
from tests.peers.media_house import MediaHouse as House
from tests.peers.srtp_party import SrtpParty, make_key

PORTS = (42600, 42699)
HERS, HIS, OURS = make_key(1), make_key(2), make_key(3)
RECEIVER_REPORT = b"\x80\xc9\x00\x01" + bytes(4)


def noise(seed, packets):
    """G.711 bytes that are found again exactly, none of them silence."""
    return np.random.default_rng(seed).integers(0, 0x50, packets * 160, np.uint8).tobytes()


def frames(audio):
    return [audio[at : at + 160] for at in range(0, len(audio), 160)]


KINDS = ["through", "ended"]
"""Both speak SRTP to each other, or only the caller, with us."""


async def secured(house, kind, hers=HERS):
    """Make one party or both speak SRTP."""
    house.caller.close()
    if kind == "ended":
        house.caller = SrtpParty(f"{house.prefix}.11", HERS, OURS, 0xCA11E700)
        order(house, Secure(CALLER, hers, OURS), caller=Srtp.ENDED)
        await house.obeyed()
        return house
    house.agent.close()
    house.caller = SrtpParty(f"{house.prefix}.11", HERS, HIS, 0xCA11E700)
    house.agent = SrtpParty(f"{house.prefix}.12", HIS, HERS, 0xA6E87000)
    order(house, Secure(CALLER, hers, HIS), Secure(AGENT, HIS, hers), caller=Srtp.THROUGH, agent=Srtp.THROUGH)
    await house.obeyed()
    return house


def order(house, *keys, caller, agent=Srtp.NONE):
    house.gateway.order(
        *keys,
        Forward(CALLER, AGENT, house.caller.address, house.caller.rtcp_address, srtp=caller),
        Forward(AGENT, CALLER, house.agent.address, house.agent.rtcp_address, srtp=agent),
    )


@pytest.fixture
async def house(tmp_path):
    async with worker_here(tmp_path, PORTS, "127.10.6") as made:
        await made.call()
        yield made


async def record(house, caller, agent):
    """Say both, the second half with both taps open; what is kept of the caller and the agent."""
    half = len(caller) // 2
    await house.talk(caller[:half], agent[:half])
    await house.record()
    await house.talk(caller[half:], agent[half:])
    house.stop()
    for side in ("caller", "agent"):
        await house.sealed(side)
    # the order to stop may cut the last packet
    assert caller[half:-160] in house.opened("caller")
    assert agent[half:-160] in house.opened("agent")
    assert caller[:160] not in house.opened("caller")


async def test_through_not_a_bit_changes_and_whoever_joins_late_hears_it(house):
    through = await secured(house, "through")
    caller, agent = noise(1, 40), noise(2, 40)
    # the numbers wrap before the taps open
    await record(through, caller, agent)
    assert (through.caller.payloads, through.agent.payloads) == (frames(agent), frames(caller))
    assert [Rtp.parse(one).ssrc for one in through.caller.heard] == [0xA6E87000] * 40


async def test_ended_here_the_other_party_speaks_plain_rtp(house):
    ended = await secured(house, "ended")
    caller, agent = noise(1, 40), noise(2, 40)
    await record(ended, caller, agent)
    assert (ended.caller.payloads, ended.agent.payloads) == (frames(agent), frames(caller))
    to_caller, to_agent = ended.ports[CALLER], ended.ports[AGENT]
    sealed = ended.caller.seal_rtcp(RECEIVER_REPORT)
    ended.caller.rtcp.sendto(sealed, (to_caller.host, to_caller.port + 1))
    ended.agent.rtcp.sendto(RECEIVER_REPORT, (to_agent.host, to_agent.port + 1))
    await ended.agent.until(lambda: ended.agent.reports)
    await ended.caller.until(lambda: ended.caller.reports)
    assert ended.agent.reports == [RECEIVER_REPORT]
    assert ended.caller.open_rtcp(ended.caller.reports[0]) == RECEIVER_REPORT


@pytest.mark.parametrize("kind", KINDS)
async def test_reports_are_read_also_where_they_are_encrypted_and_go_through_untouched(house, kind):
    await secured(house, kind)
    await house.talk(noise(4, 5), noise(5, 5))
    (to_caller, to_agent), party = (house.ports[CALLER], house.ports[AGENT]), house.caller
    report = struct.pack("!BBHI IIIIII", 0x81, 201, 7, 0xCA11E700, house.agent.ssrc, 64 << 24, 0, 80, 0, 0)
    sealed = party.seal_rtcp(report)
    party.rtcp.sendto(sealed, (to_caller.host, to_caller.port + 1))
    await house.agent.until(lambda: house.agent.reports)
    assert house.agent.reports == [sealed if kind == "through" else report]
    heard = (await house.obeyed()).flows[CALLER].heard
    assert heard is not None and (heard.loss, heard.jitter_ms) == (0.25, 10.0)
    worse = party.seal_rtcp(report.replace(bytes([64, 0, 0, 0]), bytes([255, 0, 0, 0])))
    party.rtcp.sendto(worse[:-1] + bytes([worse[-1] ^ 1]), (to_caller.host, to_caller.port + 1))
    plain = RECEIVER_REPORT if kind == "ended" else house.agent.seal_rtcp(RECEIVER_REPORT)
    house.agent.rtcp.sendto(plain, (to_agent.host, to_agent.port + 1))
    await house.caller.until(lambda: house.caller.reports)
    again = (await house.obeyed()).flows[CALLER].heard
    assert again == heard, "what isn't the party's own counts for nothing"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_is_heard_and_held_back(house, kind):
    await secured(house, kind)
    house.gateway.order(Listen(CALLER, True, {101: 8000}, hold_back=True))
    await house.obeyed()
    await house.talk(noise(3, 3), b"")
    stamp = house.caller.timestamp
    for lasted, over in ((160, False), (320, False), (480, True), (480, True), (480, True)):
        house.caller.timestamp = stamp
        house.caller.say(house.ports[CALLER], bytes(Event(1, over, 10, lasted)), payload_type=101)
    heard = await house.gateway.report(DigitHeard)
    assert (heard.flow, heard.digit) == (CALLER, "1")
    await house.talk(noise(4, 1), b"")
    await house.agent.hears(4)
    assert house.agent.payloads == frames(noise(3, 3)) + frames(noise(4, 1))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_prompt_and_what_comes_behind_it_is_one_stream(house, kind):
    await secured(house, kind)
    before, meanwhile, after = noise(1, 5), noise(2, 10), noise(3, 5)
    await house.talk(b"", before)
    await house.caller.hears(5)
    house.gateway.order(Play("p1", CALLER, "tone-start", "instead", "PCMA", 8))
    await house.obeyed()
    await house.talk(b"", meanwhile)
    assert (await house.gateway.report(PlayEnded)).complete
    await house.talk(b"", after)
    tone = Catalogue().frames("tone-start", "PCMA", 20)
    await house.caller.hears(5 + len(tone) + 5)
    assert house.caller.payloads == frames(before) + tone + frames(after)
    read = [Rtp.parse(packet) for packet in house.caller.clear]
    # under the agent's own key our packets must not take the agent's numbers
    assert (read[5].ssrc != read[4].ssrc) == (kind == "through")
    assert (read[4].seq, read[5].seq) == (65534, 0 if kind == "through" else 65535)
    for one, other in itertools.pairwise(read[5:]):
        assert one.ssrc == other.ssrc
        assert (other.seq - one.seq) & 0xFFFF == 1


async def test_what_comes_behind_a_prompt_leaves_the_agents_numbers_once_both_speak_srtp(house):
    """Moved by as much as was played, they would be the agent's own of a little later, under the agent's own key."""
    await house.talk(b"", noise(1, 5))
    house.gateway.order(Play("p1", CALLER, "tone-start", "instead", "PCMA", 8))
    assert (await house.gateway.report(PlayEnded)).complete
    await secured(house, "through")
    await house.talk(b"", noise(2, 5))
    await house.caller.hears(5)
    assert house.caller.payloads == frames(noise(2, 5))
    assert house.agent.ssrc not in {Rtp.parse(packet).ssrc for packet in house.caller.clear}


async def test_new_keys_count_at_once_and_the_former_ones_until_they_are_used(house):
    ended = await secured(house, "ended")
    await ended.talk(noise(1, 5), b"")
    fresh, ours = make_key(8), make_key(9)
    order(ended, Secure(CALLER, fresh, ours), caller=Srtp.ENDED)
    await ended.obeyed()
    await ended.talk(noise(2, 3), b"")
    ended.caller.take(fresh, ours)
    await ended.talk(noise(3, 5), noise(4, 5))
    await ended.agent.hears(13)
    await ended.caller.hears(5)
    assert ended.agent.payloads == frames(noise(1, 5) + noise(2, 3) + noise(3, 5))
    assert ended.caller.payloads == frames(noise(4, 5))


@pytest.mark.parametrize("wrong", [make_key(7), None])
async def test_what_can_t_be_read_is_relayed_and_said_and_nothing_is_kept(house, wrong):
    through = await secured(house, "through", hers=wrong)
    await through.record()
    await through.talk(noise(1, 60), b"", ptime_s=0.002)
    assert (await through.gateway.report(MediaUnreadable)).flow == CALLER
    await through.agent.hears(60)
    assert through.agent.payloads == frames(noise(1, 60))
    through.stop()
    assert (await through.gateway.report(SegmentFailed, side="caller")).reason == "no_media"
    assert (await through.obeyed()).flows[CALLER].forwarded == 60


@pytest.fixture
async def process(tmp_path):
    made = House(make_config(tmp_path, PORTS), "127.10.7")
    made.process = WorkerProcess(made.config)
    await made.connect()
    await made.call()
    yield made
    made.gateway.close()
    assert made.process.stop() == 0
    made.close()


async def restarted(house):
    """Kill the worker once its journal knows the latches, and connect to the next one."""
    await house.talk(noise(2, 5), noise(3, 5))
    for folder in house.config.run_dir.glob("*.journal"):
        said = "".join(file.read_text() for file in folder.iterdir())
        assert "forward" in said
        assert all(key.key not in said for key in (HERS, HIS, OURS))
    house.process.kill_and_restart()
    await house.connect()


async def test_a_worker_without_keys_says_so_and_drops_what_it_would_have_to_open_or_seal(process):
    await secured(process, "ended")
    await process.talk(noise(1, 3), noise(2, 3))
    await restarted(process)
    assert (await process.gateway.report(KeysLost)).call == CALL
    heard = len(process.agent.heard), len(process.caller.heard)
    await process.talk(noise(3, 3), noise(4, 3))
    counted = await process.obeyed()
    assert [(count.received, count.send_failed) for count in counted.flows.values()] == [(3, 3), (3, 3)]
    assert (len(process.agent.heard), len(process.caller.heard)) == heard
    # the next offer and answer bring new ones
    process.caller.take(HERS, HIS)
    process.gateway.order(Secure(CALLER, HERS, HIS))
    await process.obeyed()
    process.caller.heard.clear()
    await process.talk(noise(5, 3), noise(6, 3))
    await process.caller.hears(3)
    assert process.caller.payloads == frames(noise(6, 3))


async def test_a_worker_without_keys_relays_what_goes_through_and_records_nothing_of_it(process):
    await secured(process, "through")
    await process.talk(noise(1, 3), noise(2, 3))
    await restarted(process)
    await process.record()
    await process.talk(noise(3, 3), noise(4, 3))
    await process.agent.until(lambda: process.agent.payloads[-3:] == frames(noise(3, 3)))
    assert (await process.gateway.report(MediaUnreadable)).flow in (CALLER, AGENT)
    process.stop()
    assert (await process.gateway.report(SegmentFailed, side="caller")).reason == "no_media"
