"""Anchors are set once; acts form one chain; an agreement in force is verified each time it is loaded."""

import asyncio
import hashlib

import pytest

from crypto import jcs
from storage.acts import MAX_DOCUMENT, Act, Acts, Anchor
from storage.errors import ActError, AnchorsSet, StaleAct
from tests.peers.stored import AT

ANCHORS = [Anchor("council", "ssh-ed25519 BBBB", "age1council"), Anchor("employer", "ssh-ed25519 AAAA")]


@pytest.fixture
def acts(folder):
    return Acts(folder.database)


def act(seq=1, prev=None, **change):
    fields = {"v": 1, "type": "agreement", "agreement": "bv-nord", "seq": seq, "prev": prev, "body": {"document": "x"}}
    return jcs.canonical({**fields, **change})


def digest(data):
    return hashlib.sha256(data).hexdigest()


async def activate(acts, data, document=b"version: 1"):
    return await acts.activate(document=document, act=data, signatures={"council": "sig"}, at=AT)


def accept(act: Act, anchors: list[Anchor]) -> None:
    assert act.signatures == {"council": "sig"} and anchors == ANCHORS


async def test_anchors_are_set_once(acts):
    assert await acts.anchors() == []
    await acts.set_anchors(ANCHORS, AT)
    assert await acts.anchors() == ANCHORS
    with pytest.raises(AnchorsSet):
        await acts.set_anchors([Anchor("dpo", "ssh-ed25519 CCCC")], AT)
    assert await acts.anchors() == ANCHORS


async def test_acts_follow_one_another(acts):
    await acts.set_anchors(ANCHORS, AT)
    assert await acts.in_force(accept) is None and await acts.head() == (1, None)
    first = await activate(acts, act())
    assert first.digest == digest(act()) and await acts.head() == (2, first.digest)
    second = await activate(acts, act(2, first.digest), b"version: 2")
    assert await acts.in_force(accept) == second and second.document == b"version: 2"
    assert await acts.history() == [first, second]


async def test_what_does_not_follow_is_stale(acts):
    first = await activate(acts, act())
    for data in (act(), act(2), act(2, "0" * 64), act(3, first.digest), act(1, first.digest)):
        with pytest.raises(StaleAct):
            await activate(acts, data)
    assert len(await acts.history()) == 1


async def test_of_two_successors_posted_at_once_one_is_stale(acts):
    results = await asyncio.gather(
        activate(acts, act(body={"n": 1})), activate(acts, act(body={"n": 2})), return_exceptions=True
    )
    assert [type(result) for result in results] == [Act, StaleAct]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        act() + b"\n",
        act(v=2),
        act(v=True),
        act(type="suspend"),
        act(type=1),
        act(seq="1"),
        act(seq=True),
        act(agreement=None),
        act(more=1),
    ],
)
async def test_other_bytes_are_refused(acts, data):
    with pytest.raises(ActError):
        await activate(acts, data)


async def test_an_overlong_document_is_refused(acts):
    with pytest.raises(ActError):
        await activate(acts, act(), bytes(MAX_DOCUMENT + 1))


async def test_a_row_whose_signatures_no_longer_hold_is_not_loaded(acts):
    await activate(acts, act())

    def refuse(act: Act, anchors: list[Anchor]) -> None:
        raise PermissionError("signature")

    with pytest.raises(PermissionError):
        await acts.in_force(refuse)
