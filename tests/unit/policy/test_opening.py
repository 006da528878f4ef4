"""Openings print, read, and open what they were made for, nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import StatementError
from policy.opening import (
    CallOpening,
    OutOpening,
    parse_call_opening,
    parse_openings,
    parse_out_opening,
    print_openings,
)

CALL = CallOpening(17, "0123456789abcdef", "a84b4c76e66710@pbx", "2026-03-04T09:30:00.123Z", bytes(range(32)))
WISH = replace(CALL, lane="agent_request")
OUT = OutOpening(40, "recorded", "sample", ("INDICATOR_STALE",), ("ab" * 32, "cd" * 32), bytes(32))


@pytest.mark.parametrize("opening", [CALL, WISH])
def test_a_leg_prints_reads_and_opens(opening):
    assert parse_call_opening(opening.line()) == opening
    assert opening.fits(opening.commitment().hex())
    assert not replace(opening, call_id="another").fits(opening.commitment().hex())


def test_a_wish_is_no_call():
    assert not WISH.fits(CALL.commitment().hex())


def test_a_file_holds_many():
    sealed = print_openings(b"sealed " + one.line() for one in (CALL, WISH))
    assert b"pbx" not in sealed
    assert list(parse_openings(sealed, lambda data: data.removeprefix(b"sealed "))) == [CALL, WISH]
    opened = b"".join(one.line() + b"\n" for one in (CALL, WISH))
    assert list(parse_openings(opened, lambda _: b"")) == [CALL, WISH]
    assert list(parse_openings(b"", lambda data: data)) == []


def test_an_end_prints_reads_and_opens():
    assert parse_out_opening(OUT.line()) == OUT
    assert OUT.fits(OUT.commitment().hex())
    assert not replace(OUT, manifests=OUT.manifests[:1]).fits(OUT.commitment().hex())


def test_no_opening_shows_itself():
    assert "a84b4c76e66710" not in repr(CALL)


@given(st.binary(max_size=400) | st.sampled_from([CALL.line()[:-1], OUT.line() + b"\n", b'{"entry":1}\n']))
def test_whatever_comes_in_only_the_declared_error_comes_out(data):
    for read in (lambda one: list(parse_openings(one, bytes)), parse_call_opening, parse_out_opening):
        try:
            read(data)
        except StatementError:
            continue
