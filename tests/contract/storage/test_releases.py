"""Releases on disk: logged before their headers lie there, gone with them, and counted for a year."""

from datetime import timedelta

import pytest

from crypto import age
from crypto.commitment import commitment
from crypto.errors import AgeNoMatch
from crypto.jcs import parse
from crypto.ssh_key import SigningKey
from policy.release import EVALUATION_YEAR, PLAY_WINDOW, PLAYS
from storage.accesses import Access, Accesses
from storage.blobs import Kind
from storage.coaches import Coaches, told_of
from storage.consents import Consents
from storage.errors import (
    CoachUnknown,
    EgressLimit,
    EvalCap,
    RecordingState,
    ReleaseExists,
    ReleaseUnknown,
    RosterValueError,
    StorageUnavailable,
)
from storage.log.openings import own_openings
from storage.log.wal import known_logs, waiting
from storage.names import SegmentKey
from storage.releases import Releases
from storage.retention import erase_due
from storage.vault import Secret
from tests.peers.released import UNTIL, ask, coach, keep, stored
from tests.peers.stored import AT, ORIGIN, SIDES

REC, OTHER = "4" * 32, "5" * 32
SIGNING = SigningKey.generate()


async def released(folder, identity, recording=REC, to=None, agent=None, at=AT, until=UNTIL, most=10):
    to = to or await coach(folder)
    agent = await keep(folder, recording, identity, agent)
    made = stored(ask(folder, agent, SIGNING, identity, recording, to), to, at, until)
    await Releases(folder.recordings).add(made, most)
    return made, to, agent


def headers(folder):
    return sorted(path.name for path in folder.root.glob("vault/*/*/releases/*"))


async def told(folder, agent):
    found = await folder.database.read(lambda connection: own_openings(connection, agent, 0, 100))
    return [(one.kind, one.told) for one in found]


async def test_a_released_side_opens_for_its_coach_and_the_owner_s_header_stays(folder, identity):
    made, to, agent = await released(folder, identity)
    assert headers(folder) == [f"{made.id}-agent-1.header", f"{made.id}-caller-1.header"]
    for side in SIDES:
        key = SegmentKey(REC, 1, side.value)
        payload = folder.sealer.blobs.read(key, Kind.PAYLOAD)
        header = folder.sealer.vault.read_release(made.id, key)
        assert age.decrypt(header + payload, [to.identity]) == b"the end"
        with pytest.raises(AgeNoMatch):
            age.decrypt(header + payload, [identity])
        assert age.decrypt(folder.sealer.vault.read(key, Secret.HEADER) + payload, [identity]) == b"the end"
    (entry,) = [fields for kind, fields in await told(folder, agent) if kind == "release"]
    assert (entry["recording"], entry["release"], entry["to"], entry["purpose"]) == (REC, made.id, to.id, "coaching")
    assert [one.id for one in await Releases(folder.recordings).of_coach(to.id, AT)] == [made.id]
    assert folder.sealer.vault.of_recording(REC) == [
        (SegmentKey(REC, 1, side.value), secret) for side in SIDES for secret in (Secret.HEADER, Secret.OPENING)
    ], "a release is no object of the recording's own"


async def test_what_was_taken_back_is_logged_once_and_its_headers_are_gone(folder, identity):
    made, to, agent = await released(folder, identity)
    releases = Releases(folder.recordings)
    for _ in range(2):
        await releases.revoke(REC, made.id, AT + timedelta(hours=1))
    assert headers(folder) == [] and await releases.of_coach(to.id, AT) == []
    assert [kind for kind, _ in await told(folder, agent)] == ["release", "unrelease"]
    assert [one.revoked_at for one in await releases.of_recording(REC)] == [AT + timedelta(hours=1)]
    with pytest.raises(ReleaseUnknown):
        await releases.revoke(REC, "9" * 32, AT)
    with pytest.raises(ReleaseUnknown):
        await releases.revoke(OTHER, made.id, AT)


async def test_a_release_ends_by_itself_and_leaves_no_header(folder, identity):
    _, to, agent = await released(folder, identity)
    releases = Releases(folder.recordings)
    assert await releases.end_due(UNTIL - timedelta(seconds=1)) == 0 and headers(folder)
    assert await releases.of_coach(to.id, UNTIL) == []
    await erase_due(folder.recordings, Consents(folder.database), UNTIL)
    assert headers(folder) == [] and await releases.end_due(UNTIL) == 0
    assert [kind for kind, _ in await told(folder, agent)] == ["release"], "its end stood in it"


@pytest.mark.parametrize("how", ["retention", "side", "discard", "shred"])
async def test_whatever_destroys_a_recording_destroys_its_releases(folder, identity, how):
    made, to, _ = await released(folder, identity)
    if how == "side":
        await folder.recordings.erase_side(REC, "caller")
        assert headers(folder) == [f"{made.id}-agent-1.header"]
        return
    if how == "discard":
        await folder.recordings.intend_discard(REC, AT)
        await folder.recordings.complete_discard(REC, AT)
    elif how == "shred":
        await folder.recordings.erase(REC)
    else:
        await erase_due(folder.recordings, Consents(folder.database), AT + timedelta(days=15))
    assert headers(folder) == [] and not list(folder.root.glob("vault/*/*"))
    assert await Releases(folder.recordings).of_coach(to.id, AT) == []


async def test_only_what_is_kept_can_be_released_and_an_id_only_once(local, identity):
    made, to, agent = await released(local, identity)
    releases = Releases(local.recordings)
    with pytest.raises(ReleaseExists):
        await releases.add(made, 10)
    await local.recordings.erase_side(REC, "agent")
    again = stored(ask(local, agent, SIGNING, identity, REC, to, sides=(SIDES[1],)), to)
    with pytest.raises(RecordingState):
        await releases.add(again, 10)  # `stored` names the agent's side
    assert len(await releases.of_recording(REC)) == 1


async def test_a_disk_that_refuses_the_headers_leaves_nothing_that_is_served(local, identity):
    folder = local
    to, agent = await coach(folder), await keep(folder, REC, identity)
    made = stored(ask(folder, agent, SIGNING, identity, REC, to), to)
    (folder.root / "vault" / REC[:2] / REC / "releases").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        await Releases(folder.recordings).add(made, 10)
    assert [kind for kind, _ in await told(folder, agent)] == ["release", "unrelease"], "logged before it is done"
    assert await Releases(folder.recordings).of_coach(to.id, AT) == []


# --- evaluations -----------------------------------------------------------------------------------------------------


async def test_a_year_permits_so_many_recordings_of_an_agent_and_no_more(folder, identity):
    made, to, agent = await released(folder, identity, most=2)
    releases, other = Releases(folder.recordings), await coach(folder, "Conny Coach")
    await releases.revoke(REC, made.id, AT)
    again = stored(ask(folder, agent, SIGNING, identity, REC, to), to)
    assert await releases.add(again, 2) == 1, "the same recording to the same coach is the same evaluation"
    second = stored(ask(folder, agent, SIGNING, identity, REC, other), other)
    assert await releases.add(second, 2) == 2
    await keep(folder, OTHER, identity, agent)
    third = stored(ask(folder, agent, SIGNING, identity, OTHER, to), to)
    with pytest.raises(EvalCap, match="permits 2"):
        await releases.add(third, 2)
    assert [one.recording for one in await releases.of_coach(to.id, AT)] == [REC]
    await folder.recordings.erase(REC)
    with pytest.raises(EvalCap):
        await releases.add(third, 2)
    stranger, _, _ = await released(folder, identity, "6" * 32, to=to, most=1)
    assert stranger.agent != agent, "each agent is counted alone"
    later = AT + EVALUATION_YEAR
    assert await releases.add(stored(ask(folder, agent, SIGNING, identity, OTHER, to), to, later, later), 2) == 1


# --- accesses --------------------------------------------------------------------------------------------------------


def fetched(to, recording, at=AT, side="agent"):
    return Access(recording, at, "coach", "age", "coaching", side, 1, to.id)


async def test_the_twenty_first_recording_of_an_hour_is_refused_and_isn_t_told_as_heard(folder, identity):
    _, to, agent = await released(folder, identity)
    accesses, other = Accesses(folder.database), await coach(folder, "Conny Coach")
    for _ in range(PLAYS):
        for side in SIDES:  # both sides of a recording are one play
            await accesses.add(fetched(to, REC, side=side.value))
    with pytest.raises(EgressLimit, match="20 recordings"):
        await accesses.add(fetched(to, REC))
    assert len(await accesses.of(REC)) == 2 * PLAYS
    await accesses.add(fetched(other, REC))
    await accesses.add(Access(REC, AT, "dpo", "age", "coaching", "agent", 1))
    await accesses.add(fetched(to, REC, AT + PLAY_WINDOW))
    seen = await accesses.of(REC)
    assert [(one.access.role, one.name) for one in seen[-3:]] == [
        ("coach", "Conny Coach"), ("dpo", None), ("coach", "Carla Coach"),
    ]  # fmt: skip
    (last,) = [fields for kind, fields in await told(folder, agent) if kind == "access"][-1:]
    assert last["who"] == to.id


# --- coaches ---------------------------------------------------------------------------------------------------------


async def test_a_coach_s_key_stands_in_the_log_and_its_opening_with_the_coach(local):
    to, coaches = await coach(local), Coaches(local.database)
    found = await coaches.get(to.id)
    assert found.key is not None and found.key.recipient == str(to.identity.recipient)
    size = (await local.database.read(known_logs))[ORIGIN]
    rows = dict(await local.database.read(lambda connection: waiting(connection, ORIGIN, 0, size)))
    leaf = parse(rows[found.key.index])
    assert leaf == {"v": 1, "t": "key", "c": commitment("key", told_of(to.id, found.key), found.key.salt).hex()}
    assert "Carla" not in str(rows)


async def test_only_enrolled_coaches_are_listed_and_a_disabled_one_hears_nothing_more(local, identity):
    _, to, agent = await released(local, identity)
    coaches, releases = Coaches(local.database), Releases(local.recordings)
    await coaches.add("Not Enrolled", AT)
    assert [one.id for one in await coaches.list()] == [to.id]
    await coaches.disable(to.id)
    await releases.end_all_of(to.id, AT)
    assert await coaches.list() == () and headers(local) == []
    assert [kind for kind, _ in await told(local, agent)] == ["release", "unrelease"]
    said = to.statement()
    for unknown in (to.id, "9" * 32):
        with pytest.raises(CoachUnknown):
            await coaches.enrol(
                unknown, recipient="age1", signing_key="k", statement=said.document, signature="s", at=AT
            )


@pytest.mark.parametrize("name", ["", " Carla", "Carla\n", "x" * 201])
async def test_a_coach_needs_a_name(local, name):
    with pytest.raises(RosterValueError):
        await Coaches(local.database).add(name, AT)
