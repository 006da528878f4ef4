"""Anchors are set once; acts form one chain, whatever is posted at once."""

import asyncio
import hashlib

import pytest

from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from policy import log_entry
from policy.acts import Act, NewAgreement, NewKey, Resume, Suspend, type_of
from policy.chain import Posted
from policy.errors import ActError as MalformedAct
from storage.acts import MAX_DOCUMENT, Acts, Anchor
from storage.errors import ActError, AnchorsSet, StaleAct
from storage.log import wal
from tests.peers.stored import AT, ORIGIN

COUNCIL, EMPLOYER, NEXT = (str(SigningKey.generate().verify_key) for _ in range(3))
RECIPIENT = str(Identity.generate().recipient)
ANCHORS = [Anchor("council", COUNCIL, RECIPIENT), Anchor("employer", EMPLOYER)]


@pytest.fixture
def acts(folder):
    return Acts(folder.database)


def act(seq=1, prev=None, body=None):
    body = body or NewAgreement("ab" * 32)
    return Act(type_of(body), "bv-nord", seq, prev, body)


def posted(made, document=b"version: 1", **more):
    return Posted(made.canonical(), {"council": "sig"}, AT, document, **more)


async def test_anchors_are_set_once(acts):
    assert await acts.anchors() == []
    await acts.set_anchors(ANCHORS, AT)
    assert await acts.anchors() == ANCHORS
    with pytest.raises(AnchorsSet):
        await acts.set_anchors([Anchor("dpo", "ssh-ed25519 CCCC")], AT)
    assert await acts.anchors() == ANCHORS


async def test_acts_follow_one_another_and_come_back_as_they_were(acts):
    first, suspension = act(), act(2, act().digest, Suspend())
    kept = [posted(first), posted(suspension, None, session="council")]
    for one in kept:
        await acts.append(one)
    assert await acts.chain() == kept


async def test_the_log_tells_acts_and_the_anchors_they_bring(acts, folder):
    await acts.set_anchors(ANCHORS, AT)
    made = [act()]
    for key in (NEXT, EMPLOYER):
        made.append(act(len(made) + 1, made[-1].digest, NewKey("employer", key, None)))
    for one in made:
        await acts.append(posted(one, None))
    with pytest.raises(StaleAct):
        await acts.append(posted(made[-1], None))
    rows = await folder.database.read(lambda connection: wal.waiting(connection, ORIGIN, 0, 99))
    council, first = log_entry.Anchor("council", COUNCIL, RECIPIENT, 1, None), _employer(EMPLOYER)
    second = _employer(NEXT, first)
    assert [log_entry.parse(leaf) for _, leaf in rows] == [
        council,
        first,
        log_entry.Act(made[0].digest, "agreement", 1),
        log_entry.Act(made[1].digest, "key", 2),
        second,
        log_entry.Act(made[2].digest, "key", 3),
        _employer(EMPLOYER, second),
    ]


def _employer(key, before=None):
    if before is None:
        return log_entry.Anchor("employer", key, None, 1, None)
    prev = hashlib.sha256(log_entry.encode(before)).hexdigest()
    return log_entry.Anchor("employer", key, None, before.seq + 1, prev)


async def test_what_does_not_follow_is_stale(acts):
    await acts.append(posted(act()))
    first = act().digest
    for made in (act(), act(2, "0" * 64), act(3, first)):
        with pytest.raises(StaleAct):
            await acts.append(posted(made))
    assert len(await acts.chain()) == 1


async def test_of_two_successors_posted_at_once_one_is_stale(acts):
    await acts.append(posted(act()))
    rivals = [act(2, act().digest, body) for body in (Suspend(), Resume())]
    results = await asyncio.gather(*(acts.append(posted(one, None)) for one in rivals), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), StaleAct]


@pytest.mark.parametrize("data", [b"", b"{}", act().canonical() + b"\n"])
async def test_other_bytes_are_refused(acts, data):
    with pytest.raises(MalformedAct):
        await acts.append(Posted(data, {}, AT))
    assert await acts.chain() == []


async def test_an_overlong_document_is_refused(acts):
    with pytest.raises(ActError):
        await acts.append(posted(act(), bytes(MAX_DOCUMENT + 1)))
