"""What became of legs is known for a day, and of not too many."""

from datetime import UTC, datetime

from gateway.engine import memory
from gateway.engine.memory import Memory, Remembered

SINCE = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
DAY_S = 24 * 3600.0


def leg(call: str, ended_at: float, told_as: str = "not_recorded") -> Remembered:
    return Remembered(call, "agent", SINCE, ended_at, told_as, ("NOT_DRAWN",), False, None)


def test_a_leg_is_known_for_a_day():
    kept = Memory()
    kept.add(leg("a", 0.0))
    kept.add(leg("b", DAY_S))
    assert kept.get("a") == leg("a", 0.0)
    kept.add(leg("c", DAY_S + 0.1))
    assert kept.get("a") is None
    assert kept.get("b") is not None and kept.get("c") is not None


def test_a_leg_that_is_told_again_is_new_again():
    kept = Memory()
    kept.add(leg("a", 0.0))
    kept.add(leg("b", 1.0))
    kept.add(leg("a", 2.0, "recorded"))
    kept.add(leg("c", DAY_S + 1.5))
    found = kept.get("a")
    assert found is not None and found.told_as == "recorded"
    assert kept.get("b") is None


def test_the_oldest_goes_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(memory, "MOST", 2)
    kept = Memory()
    for number, call in enumerate("abc"):
        kept.add(leg(call, float(number)))
    assert [kept.get(call) is not None for call in "abc"] == [False, True, True]


def test_an_unknown_call_is_nothing():
    assert Memory().get("x") is None
