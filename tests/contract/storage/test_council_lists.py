"""What the council gets of an epoch for a while: sealed to it, after the epoch, and gone 14 days later."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from crypto.age import decrypt
from crypto.errors import CryptoError
from crypto.x25519 import Identity
from policy.opening import CallOpening, parse_call_opening
from storage.council_lists import MAX_FORGOTTEN, UNSAVED, ForCouncil, openings_of
from storage.legs import Legs
from storage.tables import council_openings
from tests.peers.opened_epoch import LIMITS, epoch_named, open_epoch
from tests.peers.stored import EPOCH, TOLD, Folder, pseudonym

COUNCIL, SECOND = Identity.generate(), Identity.generate()
END = epoch_named(EPOCH).end


def told(number: int = 0) -> CallOpening:
    return CallOpening(0, f"{number:016x}", f"{number}@pbx", "2026-04-06T09:30:00Z", bytes([number]) * 32)


async def enter(legs: Legs, number: int, *recipients: Identity, epoch: str = EPOCH) -> int:
    """One leg, entered and over; its index."""
    shown = ForCouncil(told(number), [str(one.recipient) for one in recipients])
    c = shown.told.commitment()
    day = epoch_named(epoch).start.date()
    leg = await legs.enter(
        epoch=epoch, pseudonym=pseudonym(1), rule=None, queue="other", commitment=c, day=day, shown=shown
    )
    await legs.admit(leg, drawn=False, ruled=None)
    await legs.out(leg, TOLD)
    return leg.index


async def openings(folder: Folder, after: int = 0, limit: int = 99) -> list[tuple[int, bytes]] | None:
    return await folder.database.read(lambda connection: openings_of(connection, EPOCH, after, limit))


async def test_each_key_of_the_council_opens_a_leg_once_its_epoch_is_over(folder):
    await open_epoch(folder.epochs, EPOCH)
    indices = [await enter(folder.legs, number, COUNCIL, SECOND) for number in range(3)]
    assert await openings(folder) is None
    assert await folder.epochs.close(EPOCH, LIMITS, END)
    found = await openings(folder)
    assert found is not None
    assert [index for index, _ in found] == indices
    for number, (index, sealed) in enumerate(found):
        for key in (COUNCIL, SECOND):
            opened = parse_call_opening(decrypt(sealed, [key]))
            assert (opened.entry, opened.call_id, opened.salt) == (index, f"{number}@pbx", bytes([number]) * 32)
        with pytest.raises(CryptoError):
            decrypt(sealed, [Identity.generate()])
    assert await openings(folder, after=indices[0], limit=1) == found[1:2]


async def test_at_rest_nobody_reads_which_call_is_whose(folder):
    await open_epoch(folder.epochs, EPOCH)
    await enter(folder.legs, 7, COUNCIL)
    rows = await folder.database.read(lambda connection: connection.execute(select(council_openings)).all())
    assert len(rows) == 1
    for secret in (told(7).call, told(7).call_id, "09:30", told(7).salt.hex()):
        assert secret not in repr(rows) and secret.encode() not in rows[0].sealed


async def test_without_an_anchored_recipient_and_of_a_wish_nothing_is_kept(folder):
    await open_epoch(folder.epochs, EPOCH)
    await enter(folder.legs, 0)
    await folder.epochs.close(EPOCH, LIMITS, END)
    assert await openings(folder) == []


async def test_both_lists_end_fourteen_days_after_the_epoch(folder):
    for epoch in (EPOCH, "2026-W16"):
        await open_epoch(folder.epochs, epoch, [])
        await enter(folder.legs, 1, COUNCIL, epoch=epoch)
        await folder.epochs.close(epoch, LIMITS, epoch_named(epoch).end)
    many = [{"e": EPOCH, "idx": 1000 + number, "sealed": b""} for number in range(MAX_FORGOTTEN)]
    await folder.database.write(lambda connection: connection.execute(council_openings.insert(), many).rowcount)

    async def count() -> list[int]:
        queries = [select(func.count()).select_from(table) for table in UNSAVED]
        return await folder.database.read(lambda connection: [connection.execute(q).scalar_one() for q in queries])

    before = await count()
    await folder.epochs.forget_lists(END + timedelta(days=14, seconds=-1))
    assert await count() == before == [2, 2 + MAX_FORGOTTEN]
    await folder.epochs.forget_lists(END + timedelta(days=14))
    assert await count() == [1, 1]
    assert await openings(folder) == [] and await folder.epochs.names(EPOCH) == ()
    assert (await folder.epochs.get(EPOCH)).name == EPOCH  # roster, counts and the log stay
