"""A worker that listens for codes tells of nothing else: a card number that is typed meanwhile stays where it was."""

from gateway.media.passage import Ear
from gateway.media.plane import CodeHeard, DigitHeard, FlowId, Listen
from gateway.rtp.telephone_event import Press

FLOW = FlowId("00112233aabbccdd/caller/0")
CARD = "4111111111111111#"


def told(order: Listen, keys: str) -> list[object]:
    ear = Ear(order, b"")
    reports = [ear.report(FLOW, Press(key, float(place), 100)) for place, key in enumerate(keys)]
    return [report for report in reports if report is not None]


def test_only_the_code_is_told():
    order = Listen(FLOW, True, {101: 8000}, codes=("*9",))
    assert told(order, CARD) == []
    assert told(order, f"{CARD}*9{CARD}") == [CodeHeard(FLOW, "*9")]


def test_without_codes_every_key_is():
    assert told(Listen(FLOW, True, {101: 8000}), "19") == [
        DigitHeard(FLOW, "1", 100, 0.0, "rfc4733"),
        DigitHeard(FLOW, "9", 100, 1.0, "rfc4733"),
    ]
