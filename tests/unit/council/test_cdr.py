"""Call records of three telephone systems read, and compared with legs."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from council.cdr import Leg, compare, read, repeated, steering
from council.errors import CdrError
from policy.opening import CallOpening

ASTERISK = (
    '"","100","200","from-trunk","""Nobody"" <100>","PJSIP/t-1","PJSIP/200-2","Dial","PJSIP/200","2026-03-04 10:29:50",'
    '"2026-03-04 10:30:00","2026-03-04 10:33:00",190,180,"ANSWERED","DOCUMENTATION","1772616590.1","id-1@pbx"\n'
    '"","100","200","from-trunk","<100>","PJSIP/t-3","","Dial","","2026-03-04 10:35:00",,"2026-03-04 10:35:20",20,0,'
    '"NO ANSWER","DOCUMENTATION","1772616900.3",""\n'
)
FREESWITCH = (
    '"x","100","200","public","2026-03-04 09:29:50","2026-03-04 09:30:00","2026-03-04 09:33:00","190","180",'
    '"NORMAL_CLEARING","u-1","u-2","","PCMA","PCMA"\n'
    '"x","100","200","public","2026-03-04 09:34:50","","2026-03-04 09:35:00","10","0","NO_ANSWER","u-3","","","",""\n'
)
KAMAILIO = (
    "id,method,from_tag,to_tag,callid,sip_code,sip_reason,time\n"
    "1,INVITE,a,b,id-1@pbx,200,OK,2026-03-04 09:30:00\n"
    "2,INVITE,a,b,id-2@pbx,486,Busy Here,2026-03-04 09:31:00\n"
)
KAMAILIO_CDRS = "cdr_id,call_start_time,duration,sip_call_id\n1,2026-03-04 09:30:00,180,id-1@pbx\n"
START = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
DAY = [(START - timedelta(hours=9), START + timedelta(hours=14))]


def leg(entry, call_id, after=0, *, hit=False):
    start = (START + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Leg(entry, CallOpening(entry, f"{entry:016x}", call_id, start, bytes(32)), hit)


@pytest.mark.parametrize(
    ("text", "zone", "call_id", "seconds"),
    [
        (ASTERISK, "Europe/Berlin", "id-1@pbx", 180),
        (FREESWITCH, "UTC", None, 180),
        (KAMAILIO, "UTC", "id-1@pbx", 0),
        (KAMAILIO_CDRS, "UTC", "id-1@pbx", 180),
    ],
)
def test_answered_calls_are_read(text, zone, call_id, seconds):
    (row,) = read(text.encode(), ZoneInfo(zone))
    assert (row.call_id, row.answered, row.seconds) == (call_id, START, seconds)


def test_asterisk_without_a_userfield_has_no_call_id():
    short = "".join(line.rpartition(",")[0] + "\n" for line in ASTERISK.splitlines())
    assert read(short.encode(), ZoneInfo("Europe/Berlin"))[0].call_id is None


def test_legs_and_calls_that_fit_leave_nothing():
    found = compare(read(KAMAILIO.encode()), [leg(3, "id-1@pbx"), leg(9, "id-1@pbx", 60)], DAY)
    assert (found.rows, found.matched, found.without_entry, found.without_row) == (1, 1, (), ())


def test_a_call_beside_the_gateway_and_an_invented_leg_are_seen():
    found = compare(read(KAMAILIO.encode()), [leg(3, "id-7@pbx")], DAY)
    assert [row.line for row in found.without_entry] == [2]
    assert [one.entry for one in found.without_row] == [3]


def test_without_a_call_id_the_moment_decides():
    later = FREESWITCH.replace("09:3", "09:4")
    rows = read((FREESWITCH + later).encode())
    assert compare(rows, [leg(3, "id-1@pbx", 2)], DAY).without_row == ()
    assert len(compare(rows, [leg(3, "id-1@pbx", 60)], DAY).without_row) == 1


def test_nothing_is_said_of_a_time_that_only_one_side_tells_of():
    rows = read(KAMAILIO_CDRS.encode())
    found = compare(rows, [leg(3, "id-1@pbx"), leg(9, "id-9@pbx", 3600)], DAY)
    assert (found.without_row, found.uncovered) == ((), 1)
    other = [(start + timedelta(days=1), end + timedelta(days=1)) for start, end in DAY]
    assert (compare(rows, [], DAY).without_entry, compare(rows, [], other).without_entry) == (tuple(rows), ())
    assert compare(rows, [], other).rows == 0
    assert compare([], [leg(3, "a")], DAY).uncovered == 1


def test_two_legs_need_two_calls_without_a_call_id():
    found = compare(read(FREESWITCH.encode()), [leg(3, "a"), leg(4, "b", 1)], DAY)
    assert len(found.pairs) == 1
    assert len(found.without_row) == 1


def test_a_leg_written_down_twice_is_seen():
    twice = leg(3, "a")
    again = Leg(4, CallOpening(4, twice.opening.call, "a", twice.opening.start, bytes(32)), False)
    assert [one.entry for one in repeated([twice, again, leg(5, "b", 5)])] == [3, 4]


def test_values_for_the_rank_sum():
    pairs = compare(read(KAMAILIO_CDRS.encode()), [leg(3, "id-1@pbx", hit=True)], DAY).pairs
    assert steering(pairs) == {"seconds": ([180.0], []), "time_of_day": ([34200.0], [])}


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "callid,time\nx,yesterday\n", "callid,time,duration\nx,2026-03-04,1e999\n"]
)
def test_what_isnt_a_record_is_refused(text):
    with pytest.raises(CdrError):
        read(text.encode())


@given(st.binary(max_size=300) | st.text(alphabet='",\n\r0123456789-: aANSWERED', max_size=300).map(str.encode))
def test_whatever_comes_in_only_the_declared_error_comes_out(data):
    for head in (b"", b"callid,time,duration\n"):
        try:
            read(head + data)
        except CdrError:
            continue
