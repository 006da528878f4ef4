"""The quick way through a passage sends what the thorough one sends, and leaves the packet as it was for a tap."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.passage import Passage
from gateway.media.plane import FlowId, Listen
from gateway.media.prompts.continuity import Continuity
from gateway.rtp.packet import build
from gateway.rtp.telephone_event import Event
from tests.peers.manual_clock import ManualClock

CALLER, AGENT = FlowId("00112233aabbccdd/caller/0"), FlowId("00112233aabbccdd/agent/0")
EVENTS, DICE = 101, bytes(range(10))


class Outlet:
    own_ssrc = False

    def __init__(self, last_header):
        self.last_header = last_header
        self.sent: list[bytes] = []
        self.passing: bytes = b""

    def send(self, packet):
        self.sent.append(bytes(packet))
        return True

    def pass_on(self):
        return self.send(self.passing)


class Way:
    """A passage that something was played in, and that listens for a code; `outlet.sent` is what came out."""

    def __init__(self, first: bytes, *, shaped: bool, listening: bool) -> None:
        self.reports: list[object] = []
        self.passage = Passage(CALLER, AGENT, ManualClock(), self.reports.append)
        self.outlet = self.passage.outlet = Outlet(first[:12])
        if shaped:
            self.passage._continuity = Continuity.after(first[:12], 160, DICE)
            self.passage._continuity.own(160)
        if listening:
            self.passage.listen(Listen(CALLER, True, {EVENTS: 8000}, codes=("*7",)))

    def take(self, packet: bytes | bytearray) -> bool:
        self.outlet.passing = bytes(packet)
        return self.passage(memoryview(packet), 0.0, True)


packets = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 1, 1, 1, 2, 3, 0, -1, -2, -30, 40_000]),
        st.sampled_from(["voice", "voice", "voice", "marked", "event", "other", "stream", "csrc", "short"]),
    ),
    max_size=40,
)


def spelled(seq: int, kind: str) -> bytes:
    ssrc = 8 if kind == "stream" else 7
    if kind == "event":
        return build(EVENTS, seq, seq * 160, ssrc, bytes(Event(3, True, 10, 800)))
    packet = build(
        111 if kind == "other" else 8, seq, seq * 160, ssrc, bytes([seq % 200]) * 160, marker=kind == "marked"
    )
    if kind == "csrc":
        return b"\x81" + packet[1:12] + b"\0\0\0\1" + packet[12:]
    return packet[:11] if kind == "short" else packet


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 65535), packets, st.booleans(), st.booleans())
def test_both_ways_send_the_same(start, steps, shaped, listening):
    first = build(8, start, start * 160, 7, bytes(160))
    quick, thorough = (Way(first, shaped=shaped, listening=listening) for _ in range(2))
    seq = start
    for step, kind in steps:
        seq += step
        packet = spelled(seq, kind)
        kept = bytearray(packet)
        assert quick.take(kept) == thorough.take(packet)
        assert bytes(kept) == packet, "a tap comes after it"
        assert quick.outlet.sent == thorough.outlet.sent
    assert quick.reports == thorough.reports


def test_a_voice_that_goes_on_is_moved_where_it_lies():
    first = build(8, 100, 16000, 7, bytes(160))
    way = Way(first, shaped=True, listening=True)
    for seq in range(101, 110):
        assert way.take(bytearray(build(8, seq, seq * 160, 7, bytes([seq]) * 160)))
    assert way.outlet.sent == [build(8, seq + 1, (seq + 1) * 160, 7, bytes([seq]) * 160) for seq in range(101, 110)]
