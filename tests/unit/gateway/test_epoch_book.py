"""The engine's mirror of the epochs: whose rules are counted from the acts that were kept, and from no other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.engine.epoch_book import EpochBook
from policy.epochs import EpochState
from policy.terms import Phase
from storage.epochs import StoredEpoch
from tests.peers.opened_epoch import state_of
from tests.unit.policy.green import agreement

START = datetime(2026, 3, 2, tzinfo=UTC)
EPOCH = StoredEpoch(
    "2026-W10", "hamburg/fairtap/2026-01", EpochState.OPENED, START, START + timedelta(days=7), b"", "", acts=1
)
LINES = [{"group": "team-a", "phase": phase, "percent": "5"} for phase in ("regular", "onboarding")]
LINES[1]["max_days"] = 42  # type: ignore[assignment]  # a whole number
ONE = agreement(lanes__campaigns=[], lanes__sample__rates=LINES[:1])
OTHER = agreement(version=2, lanes__campaigns=[], lanes__sample__rates=LINES[1:])
THIRD = agreement(id="bv-sued", lanes__campaigns=[], lanes__sample__rates=LINES)


def place(book: EpochBook, terms, phase: Phase = Phase.REGULAR) -> int | None:
    rules = book.rules_of(EPOCH)
    found = rules.find([terms], queue="service-gas", group="team-a", phase=phase, wallclock=START)
    return None if found is None else found[0]


def test_acts_before_the_epoch_was_opened_count_as_they_ended():
    book = EpochBook(rows={EPOCH.name: EPOCH})
    for seq, terms in enumerate(((OTHER,), (ONE,), (THIRD,))):
        book.enact(replace(state_of(*terms), seq=seq))
    assert [place(book, ONE), place(book, THIRD), place(book, THIRD, Phase.ONBOARDING)] == [0, 1, 2]


def test_what_an_act_that_was_not_kept_would_have_added_is_gone():
    """A suspension holds before the disk has it; where the disk refuses it, the next act may be another one."""
    book = EpochBook(rows={EPOCH.name: EPOCH})
    first = state_of(ONE)
    book.enact(first)
    book.enact(replace(state_of(ONE, THIRD), seq=2))
    assert place(book, THIRD) == 1
    book.enact(first)
    assert place(book, THIRD) is None
    book.enact(replace(state_of(OTHER), seq=2))
    assert [place(book, ONE), place(book, OTHER, Phase.ONBOARDING)] == [0, 1]
    assert book.state_after(1) == first and book.state_after(None) == book.states[-1]
