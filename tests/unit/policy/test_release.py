"""A release's bytes, and every condition of agreements, lane, purpose, sides and time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from crypto.x25519 import Identity
from policy.errors import StatementError
from policy.key_words import WORDS, key_words
from policy.release import (
    Release,
    Released,
    ReleaseFault,
    evaluations_left,
    latest_until,
    may_hear,
    parse_release,
    release_fault,
)
from policy.terms import Lane, Purpose, Side
from tests.unit.policy.green import agreement, example

NOW = datetime(2026, 4, 6, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = "age1" + "q" * 58
RECIPIENT = str(Identity.generate().recipient)
ENDS = "2026-04-09T09:30:00Z"
SAID = Release("1" * 32, "2" * 32, Side.AGENT, 1, "3" * 32, RECIPIENT, Purpose.COACHING, ENDS, "4" * 64)
KEPT = Released(Lane.SAMPLE, Purpose.COACHING, NOW + 14 * DAY, frozenset(Side))


def test_a_release_s_bytes() -> None:
    said = (
        f'{{"header_sha256":"{"4" * 64}","id":"{"1" * 32}","purpose":"coaching","rec":"{"2" * 32}","seg":1,'
        f'"side":"agent","to":"{"3" * 32}","to_key":"{RECIPIENT}","until":"{ENDS}","v":1}}'
    )
    assert SAID.canonical() == said.encode()
    assert parse_release(SAID.canonical()) == SAID


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"v":1', '"v":2'), ('"seg":1', '"seg":0'), ('"seg":1', '"seg":10000'), ('"side":"agent"', '"side":"both"'),
        ('"purpose":"coaching"', '"purpose":"ranking"'), ("2026-04-09T09:30:00Z", "2026-04-09"), ("1" * 32, "1" * 31),
        (RECIPIENT, KEY), ('"v":1', '"v":1,"w":1'), ('{"header', '{ "header'),
    ],
    ids=lambda text: text if len(text) < 40 else f"{len(text)} characters",  # keys are other ones in each worker
)  # fmt: skip
def test_what_isn_t_a_release_is_refused_by_one_error(old: str, new: str) -> None:
    assert old in SAID.canonical().decode()
    with pytest.raises(StatementError):
        parse_release(SAID.canonical().decode().replace(old, new, 1).encode())


ROLES = ("agent", "coach", "quorum")


@pytest.mark.parametrize(("role", "named", "purpose"), list(product(ROLES, Purpose, Purpose)))
def test_only_the_role_and_purpose_that_a_line_names(role: str, named: Purpose, purpose: Purpose) -> None:
    """Every pair: what no coach's line names is nobody's."""
    line = next(line for line in example().access if line.role == role)
    terms = replace(example(), access=(replace(line, purposes=(named,)),))
    right = role == "coach" and named is purpose
    assert may_hear([terms], purpose) is right
    found = release_fault([terms], replace(KEPT, purpose=purpose), _both(purpose=purpose), NOW)
    assert found is (None if right else ReleaseFault.ROLE_NOT_NAMED)


def _both(**changes: object) -> list[Release]:
    return [replace(SAID, side=side, **changes) for side in Side]  # type: ignore[arg-type]  # any field


def test_every_agreement_in_force_has_to_let_the_coach_hear() -> None:
    silent = replace(example(), access=example().access[:1])
    for agreements in ([], [silent], [example(), silent]):
        assert release_fault(agreements, KEPT, [SAID], NOW) is ReleaseFault.ROLE_NOT_NAMED
        assert not may_hear(agreements, Purpose.COACHING)
    assert release_fault([example(), example()], KEPT, [SAID], NOW) is None


def test_the_shortest_of_all_periods_and_the_retention_bound_its_end() -> None:
    shorter = agreement(access__1__ttl="P3D")
    assert latest_until([example()], KEPT, NOW) == NOW + 7 * DAY
    assert latest_until([example(), shorter], KEPT, NOW) == NOW + 3 * DAY
    assert latest_until([example()], replace(KEPT, erase_at=NOW + DAY), NOW) == NOW + DAY
    assert release_fault([shorter], KEPT, [SAID], NOW) is None
    assert release_fault([shorter], KEPT, [SAID], NOW - timedelta(seconds=1)) is ReleaseFault.UNTIL_LATE
    assert release_fault([example()], KEPT, [SAID], NOW + 3 * DAY) is ReleaseFault.UNTIL_PAST
    assert release_fault([example()], KEPT, [SAID], NOW + 3 * DAY - timedelta(seconds=1)) is None


def test_what_an_agent_had_recorded_for_themselves_and_another_purpose_are_refused() -> None:
    assert release_fault([example()], replace(KEPT, lane=Lane.AGENT_REQUEST), [SAID], NOW) is ReleaseFault.LANE_PRIVATE
    for lane in set(Lane) - {Lane.AGENT_REQUEST}:
        assert release_fault([example()], replace(KEPT, lane=lane), [SAID], NOW) is None
    other = replace(SAID, purpose=Purpose.DISPUTE)
    assert release_fault([example()], KEPT, [other], NOW) is ReleaseFault.PURPOSE_DIFFERS


def test_one_side_alone_is_never_for_a_dispute() -> None:
    terms = [agreement(access__1__purposes=["coaching", "dispute"])]
    dispute, both = replace(KEPT, purpose=Purpose.DISPUTE), _both(purpose=Purpose.DISPUTE)
    assert release_fault(terms, dispute, both, NOW) is None
    assert release_fault(terms, dispute, both[:1], NOW) is ReleaseFault.ONE_SIDED
    assert release_fault(terms, replace(dispute, kept=frozenset({Side.AGENT})), both, NOW) is ReleaseFault.ONE_SIDED
    assert release_fault(terms, KEPT, [SAID], NOW) is None, "for coaching one side may be released"


def test_evaluations_are_counted_against_the_strictest_agreement() -> None:
    assert evaluations_left([example()], 0) == 10 and evaluations_left([example()], 10) == 0
    assert evaluations_left([example(), agreement(evaluations={"per_agent_per_year": 3})], 2) == 1
    assert evaluations_left([], 0) == 0 and evaluations_left([example()], 99) == 0


def test_words_of_a_key_are_six_and_the_key_s_own() -> None:
    assert key_words(KEY) == "pado guje karu sosa hofe zuru"
    assert key_words(RECIPIENT) != key_words(KEY) and len(key_words(RECIPIENT).split()) == WORDS
