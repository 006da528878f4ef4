"""Every type of entry, written by what writes it, about people and calls full of canaries: no leaf holds one."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from gateway.build import build_entry
from gateway.config import Config
from gateway.engine.ledger import Ledger, SealedShare
from policy.errors import LogEntryError
from policy.log_entry import KINDS, Call, Out, Wish, encode, parse
from policy.terms import Lane
from storage.accesses import Access, Accesses
from storage.erasures import Erasures, Hold
from storage.legs import XKind
from storage.log import wal
from storage.releases import Releases
from tests.peers.canary import Text
from tests.peers.enacted import House
from tests.peers.log_check import personal
from tests.peers.log_house import every_leaf
from tests.peers.log_samples import SAMPLES
from tests.peers.opened_epoch import LIMITS, opened_book
from tests.peers.released import ask, coach, keep, stored
from tests.peers.stored import AT, EPOCH
from tests.unit.policy.green import edited

NAMES = ("Alma Beispiel", "Carla Kanarienvogel")
NUMBER, CALL_ID, REASON = "+4940111222333", "a84b4c76e66710@192.0.2.77", "the caller of half past nine complained"
CALL = "0123456789abcdef"
REC, OTHER = "4" * 32, "5" * 32
CANARIES = [Text("number", NUMBER), Text("call-id", CALL_ID), Text("reason", REASON), *(Text("name", n) for n in NAMES)]
WEEKS = edited({"lanes/campaigns": []})


@pytest.fixture
async def leaves(folder) -> list[bytes]:
    """What a site's log holds after everything has happened once."""
    house, identity = House.over(folder, protected=None), Identity.generate()
    house.clock.step((AT - house.at).total_seconds())
    await house.enact(WEEKS)  # anchors, act
    agent = await house.hire("200", key=identity)  # key
    book = await opened_book(folder.epochs, EPOCH, [house.site.agents[agent]], terms=house.site.agreements)
    ledger = Ledger("hamburg", folder.legs, folder.epochs, book, SealedShare())
    line, terms = house.site.agents[agent], house.site.agreements
    entered = await ledger.enter(line, terms, queue="service-strom", call=CALL, call_id=CALL_ID, wallclock=house.at)
    assert entered is not None
    await ledger.leave(entered, "recorded", (), ())
    later = house.at + timedelta(days=1)
    wished = await ledger.wish(line, terms, Lane.AGENT_REQUEST, call=CALL, call_id=CALL_ID, wallclock=later)
    assert wished is not None
    await ledger.leave(wished, "not_recorded", ("CALLER_REFUSED",), ())
    await ledger.enter_x(terms, XKind.PROTECTED, house.at)
    await folder.epochs.turn_day(EPOCH, 1)
    await about_recordings(folder, identity, agent)
    await ledger.note_leftovers()
    await ledger.close_leftovers()
    assert await folder.epochs.close(EPOCH, LIMITS, house.at, halted=True)
    await folder.epochs.reveal(EPOCH)
    config = Config.model_validate({"site": {"data_dir": folder.root}})
    build = build_entry(config)
    await folder.database.write(lambda connection: wal.append(connection, wal.open_logs(connection)[-1], build))
    return await every_leaf(folder.root)


async def about_recordings(folder, identity, agent) -> None:
    """Held, fetched, released, taken back, erased."""
    to = await coach(folder, NAMES[1])
    for recording in (REC, OTHER):
        await keep(folder, recording, identity, agent)
    erasures, accesses, releases = Erasures(folder.recordings), Accesses(folder.database), Releases(folder.recordings)
    await erasures.hold(Hold(REC, "dpo", REASON, AT, AT + timedelta(days=1)))
    await erasures.lift(REC, "dpo")
    fetched = Access(REC, AT, "coach", "age", "coaching", "agent", 1, to.id)
    await accesses.add(fetched)
    await accesses.add(replace(fetched, role="council", what="quorum", who=None))
    made = stored(ask(folder, agent, SigningKey.generate(), identity, REC, to), to)
    await releases.add(made, 10)
    await releases.revoke(REC, made.id, AT)
    await erasures.execute(await erasures.request(OTHER, "caller", AT))


async def test_no_leaf_of_any_type_holds_a_name_a_number_a_time_or_an_address(leaves):
    entries = [parse(leaf) for leaf in leaves]
    assert {entry.t for entry in entries} == set(KINDS)
    assert personal(leaves, CANARIES) == []
    assert [encode(entry) for entry in entries] == leaves, "exactly the fields of the table"
    begun = [(one.e, one.a, one.n, one.t) for one in entries if isinstance(one, Call | Wish)]
    outs = [one for one in entries if isinstance(one, Out)]
    ended = [(one.e, one.a, one.n, "wish" if one.o == "wish" else "call") for one in outs]
    assert len(begun) == 4 and sorted(begun) == sorted(ended), "exactly one `out` for each"


@pytest.mark.parametrize("entry", SAMPLES, ids=lambda entry: entry.t)
def test_no_field_of_any_type_takes_one(entry):
    for field in fields(entry):
        for canary in (NUMBER, CALL_ID, REASON, *NAMES):
            with pytest.raises(LogEntryError):
                encode(replace(entry, **{field.name: canary}))
