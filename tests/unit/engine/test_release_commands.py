"""An agent releases a recording to a coach: everything is verified, everything is told, and a no works at once."""

import base64
import dataclasses
import hashlib
from datetime import timedelta

import pytest

from crypto import age
from crypto.jcs import canonical
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.stream import new_file_key
from crypto.x25519 import Identity
from gateway.control import protocol as p
from gateway.engine.commands import Commands
from gateway.engine.epoch_commands import EpochCommands
from gateway.engine.errors import Refused
from policy.release import RELEASE_NAMESPACE
from policy.terms import Lane, Purpose, Side
from storage.coaches import Coaches
from storage.tables import coach_keys, releases
from tests.peers.engine_bench import EngineBench
from tests.peers.released import UNTIL, Teacher, ask, coach, instant, keep
from tests.peers.stored import AT

REC, OTHER = "4" * 32, "5" * 32
DAY = timedelta(days=1)


@dataclasses.dataclass
class Room:
    """The bench with an enrolled agent, a kept coaching recording of theirs, and a coach."""

    bench: EngineBench
    commands: Commands
    to: Teacher
    identity: Identity
    signing: SigningKey

    def ask(self, of=REC, by=None, **changes):
        bench = self.bench
        return ask(bench.folder, bench.agent, self.signing, self.identity, of, by or self.to, **changes)

    async def do(self, command):
        return await self.commands.command(command)

    async def refused(self, command) -> tuple[str, int]:
        with pytest.raises(Refused) as caught:
            await self.do(command)
        return caught.value.refusal.code, caught.value.refusal.status

    def fetch(self, side="agent", seg=1, recording=REC, purpose=None, to=None):
        return p.FetchReleased((to or self.to).id, recording, side, seg, purpose)

    async def heard(self):
        return (await self.do(p.RecordingAccesses(self.bench.agent, REC)))["accesses"]

    async def change(self, table, **values):
        query = table.update().values(**values)
        await self.bench.folder.database.write(lambda connection: connection.execute(query).rowcount)


@pytest.fixture
async def room(bench) -> Room:
    bench.clock.advance((AT - bench.clock.wallclock()).total_seconds())
    commands = Commands(bench.engine, EpochCommands(bench.epochs, bench.folder.epochs))
    identity, signing = Identity.generate(), SigningKey.generate()
    row = dataclasses.replace(
        bench.site.agents[bench.agent], signing_key=signing.verify_key.line(), recipient=str(identity.recipient)
    )
    bench.site.agents[bench.agent] = row
    await keep(bench.folder, REC, identity, bench.agent)
    return Room(bench, commands, await coach(bench.folder), identity, signing)


# --- the whole way ---------------------------------------------------------------------------------------------------


async def test_a_coach_hears_what_was_released_and_the_agent_sees_it(room):
    told = []
    room.bench.custody.changed = lambda agent, recording: told.append((agent, recording))
    answer = await room.do(room.ask())
    assert (answer["until"], answer["evaluations_left"]) == (instant(UNTIL), 9)
    shown = (await room.do(p.ReleasedTo(room.to.id)))["releases"]
    sides = [{"side": "agent", "seg": 1}, {"side": "caller", "seg": 1}]
    assert shown == [
        {"id": answer["release"], "recording": REC, "purpose": "coaching", "day": "2026-04-06",
         "until": instant(UNTIL), "sides": sides},
    ]  # fmt: skip
    assert room.bench.agent not in str(shown) and "Alma" not in str(shown)
    for side in ("agent", "caller"):
        assert await room.do(room.fetch(side)) == {"release": answer["release"]}
    heard = await room.heard()
    assert [(one["role"], one["name"], one["purpose"], one["side"]) for one in heard] == [
        ("coach", "Carla Coach", "coaching", "agent"), ("coach", "Carla Coach", "coaching", "caller"),
    ]  # fmt: skip
    assert told == [(room.bench.agent, REC)] * 3
    (mine,) = (await room.do(p.RecordingReleases(room.bench.agent, REC)))["releases"]
    assert (mine["name"], mine["revoked_at"], mine["sides"]) == ("Carla Coach", None, sides)


async def test_a_release_that_was_taken_back_or_is_over_is_refused_at_once(room):
    answer = await room.do(room.ask())
    await room.do(room.fetch())
    await room.do(p.RevokeRelease(room.bench.agent, REC, answer["release"]))
    assert await room.refused(room.fetch()) == ("not_released", 403)
    assert (await room.do(p.ReleasedTo(room.to.id)))["releases"] == []
    await room.do(room.ask())
    room.bench.clock.advance((UNTIL - room.bench.clock.wallclock()).total_seconds())
    assert await room.refused(room.fetch()) == ("not_released", 403)
    assert len(await room.heard()) == 1, "a refusal is no access"


async def test_without_a_release_a_coach_is_told_nothing_of_any_recording(room):
    other = await coach(room.bench.folder, "Conny Coach")
    await room.do(room.ask(sides=(Side.AGENT,)))
    for fetch in (
        room.fetch(to=other), room.fetch("caller"), room.fetch(seg=2), room.fetch(recording="9" * 32),
    ):  # fmt: skip
        assert await room.refused(fetch) == ("not_released", 403)
    assert (await room.do(p.ReleasedTo(other.id)))["releases"] == []
    unknown = p.FetchReleased("9" * 32, REC, "agent", 1)
    assert await room.refused(unknown) == ("coach_unknown", 404)


async def test_the_purpose_is_bound_in_what_was_signed(room):
    await room.do(room.ask())
    assert await room.refused(room.fetch(purpose="dispute")) == ("purpose_differs", 403)
    assert await room.do(room.fetch(purpose="coaching"))
    forged = room.ask()
    sides = []
    for one in forged.sides:
        document = one.statement.document.replace('"coaching"', '"dispute"')
        sides.append(dataclasses.replace(one, statement=p.Signed(document, one.statement.signature)))
    code, status = await room.refused(dataclasses.replace(forged, sides=tuple(sides)))
    assert (code, status) == ("sshsig_error", 422)


# --- what isn't taken ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"until": instant(AT)}, "until_past"),
        ({"until": instant(AT + 8 * DAY)}, "until_late"),
        ({"purpose": Purpose.DISPUTE}, "purpose_differs"),
        ({"purpose": Purpose.PROCESS_QUALITY}, "purpose_differs"),
        ({"recording": OTHER}, "statement_differs"),
        ({"to": "9" * 32}, "coach_unknown"),
        ({"recipient": str(Identity.generate().recipient)}, "other_key"),
        ({"header_sha256": "0" * 64}, "header_differs"),
        ({"seg": 2}, "recording_state"),
    ],
)
async def test_a_release_that_says_something_else_is_refused(room, changes, code):
    assert (await room.refused(room.ask(**changes)))[0] == code
    assert (await room.do(p.RecordingReleases(room.bench.agent, REC)))["releases"] == []
    assert not list(room.bench.folder.root.glob("vault/*/*/releases/*"))


async def test_only_the_recording_s_own_agent_releases_it_and_only_with_their_own_key(room):
    made = room.ask()
    stranger = dataclasses.replace(made, agent="colleague-1")
    assert await room.refused(stranger) == ("recording_unknown", 404)
    other = dataclasses.replace(room, signing=SigningKey.generate())
    assert (await other.refused(other.ask()))[1] == 422
    assert await room.refused(p.RevokeRelease("colleague-1", REC, "9" * 32)) == ("recording_unknown", 404)
    assert await room.refused(p.RecordingReleases("colleague-1", REC)) == ("recording_unknown", 404)


async def test_sides_of_two_releases_are_not_one(room):
    one, other = room.ask(), room.ask()
    mixed = dataclasses.replace(one, sides=(one.sides[0], other.sides[1]))
    twice = dataclasses.replace(one, sides=(one.sides[0], one.sides[0]))
    for wrong in (mixed, twice):
        assert await room.refused(wrong) == ("statement_differs", 422)
    assert await room.refused(dataclasses.replace(one, sides=())) == ("nothing_released", 422)


def with_header(room, header: bytes) -> p.ReleaseRecording:
    """A release that is signed over this header."""
    made = room.ask(sides=(Side.AGENT,), header_sha256=hashlib.sha256(header).hexdigest())
    side = dataclasses.replace(made.sides[0], header=base64.b64encode(header).decode())
    return dataclasses.replace(made, sides=(side,))


async def test_a_header_is_for_the_coach_alone(room):
    key = new_file_key()
    two = age.make_header(key, [room.to.identity.recipient, Identity.generate().recipient])
    assert await room.refused(with_header(room, two)) == ("header_invalid", 422)
    for wrong in (b"", b"no header", age.make_header(key, [room.to.identity.recipient]) + b"x", bytes(5000)):
        assert (await room.refused(with_header(room, wrong)))[1] == 422
    broken = room.ask()
    side = dataclasses.replace(broken.sides[0], header="*")
    assert await room.refused(dataclasses.replace(broken, sides=(side,))) == ("header_invalid", 422)


@pytest.mark.parametrize("role", ["agent", "quorum"])
@pytest.mark.parametrize("purpose", list(Purpose))
async def test_only_a_coach_s_line_lets_a_coach_hear(room, role, purpose):
    """The agreement's other lines name the purpose, and help nothing."""
    agreements = room.bench.site.agreements
    room.bench.site.agreements = tuple(
        dataclasses.replace(one, access=tuple(line for line in one.access if line.role == role)) for one in agreements
    )
    await keep(room.bench.folder, OTHER, room.identity, room.bench.agent, purpose=purpose)
    assert await room.refused(room.ask(OTHER, purpose=purpose)) == ("role_not_named", 403)


async def test_an_agreement_that_names_no_coach_any_more_ends_what_was_released(room):
    await room.do(room.ask())
    site, before = room.bench.site, room.bench.site.agreements
    silent = tuple(
        dataclasses.replace(one, access=tuple(line for line in one.access if line.role != "coach")) for one in before
    )
    for agreements in (silent, (), (*before, *silent)):
        site.agreements = agreements
        assert await room.refused(room.fetch()) == ("role_not_named", 403)
        assert await room.refused(room.ask()) == ("role_not_named", 403)
    site.agreements = before
    assert await room.do(room.fetch())


async def test_what_an_agent_had_recorded_for_themselves_stays_theirs(room):
    await keep(room.bench.folder, OTHER, room.identity, room.bench.agent, lane=Lane.AGENT_REQUEST)
    assert await room.refused(room.ask(OTHER)) == ("lane_private", 403)


async def test_one_side_alone_is_never_for_a_dispute(room):
    room.bench.enact(access__1__purposes=["coaching", "dispute"])
    said = {"purpose": Purpose.DISPUTE}
    await keep(room.bench.folder, OTHER, room.identity, room.bench.agent, purpose=Purpose.DISPUTE)
    assert await room.refused(room.ask(OTHER, sides=(Side.AGENT,), **said)) == ("one_sided_not_evidence", 403)
    await room.do(room.ask(OTHER, **said))
    await room.do(room.fetch(recording=OTHER))
    await room.bench.folder.recordings.erase_side(OTHER, "caller")
    assert await room.refused(room.fetch(recording=OTHER)) == ("one_sided_not_evidence", 403)


async def test_a_recording_that_goes_on_can_t_be_released_before_its_agent_has_it(room):
    await keep(room.bench.folder, OTHER, room.identity, room.bench.agent)
    made = room.ask(OTHER)
    await room.bench.folder.recordings.intend_discard(OTHER, AT)
    assert await room.refused(made) == ("recording_unknown", 404)


# --- figures ---------------------------------------------------------------------------------------------------------


async def test_the_eleventh_recording_of_a_year_is_refused_with_the_agreement_s_number(room):
    room.bench.enact(evaluations={"per_agent_per_year": 1})
    assert (await room.do(room.ask()))["evaluations_left"] == 0
    await keep(room.bench.folder, OTHER, room.identity, room.bench.agent)
    with pytest.raises(Refused, match="permits 1 ") as caught:
        await room.do(room.ask(OTHER))
    assert (caught.value.refusal.code, caught.value.refusal.status) == ("eval_cap", 409)
    assert (await room.do(room.ask()))["evaluations_left"] == 0, "the same recording again"
    room.bench.enact(evaluations={"per_agent_per_year": 0})
    await keep(room.bench.folder, "6" * 32, room.identity, room.bench.agent)
    assert await room.refused(room.ask("6" * 32)) == ("eval_cap", 409)


async def test_the_twenty_first_recording_of_an_hour_is_refused(room):
    await room.do(room.ask())
    for _ in range(20):
        await room.do(room.fetch())
    assert await room.refused(room.fetch()) == ("egress_limit", 429)
    await room.do(room.fetch("caller"))
    room.bench.clock.advance(3600.0)
    await room.do(room.fetch())


# --- a row isn't a word ----------------------------------------------------------------------------------------------


async def test_rows_that_somebody_wrote_by_hand_let_nobody_hear_anything(room):
    answer = await room.do(room.ask())
    await room.change(releases, until=UNTIL + DAY)
    assert await room.refused(room.fetch()) == ("not_released", 403)
    await room.change(releases, until=UNTIL)
    assert (await room.do(room.fetch()))["release"] == answer["release"]
    thief = Teacher(room.to.id)
    await room.change(coach_keys, recipient=str(thief.identity.recipient))
    assert await room.refused(room.fetch()) == ("not_released", 403)
    assert (await room.refused(room.ask(by=thief)))[0] == "other_key"


async def test_new_keys_of_agent_or_coach_end_what_was_released_under_the_old(room):
    await room.do(room.ask())
    again = Teacher(room.to.id)
    await room.do(p.EnrolCoach(again.id, again.signing.verify_key.line(), again.statement()))
    assert await room.refused(room.fetch()) == ("not_released", 403)
    await room.do(room.ask(by=again))
    assert await room.do(room.fetch())
    site, agent = room.bench.site, room.bench.agent
    site.agents[agent] = dataclasses.replace(site.agents[agent], signing_key=SigningKey.generate().verify_key.line())
    assert await room.refused(room.fetch()) == ("not_released", 403)


async def test_a_coach_enrols_with_a_statement_of_their_own_key_and_id(room):
    new = Teacher((await room.do(p.AddCoach("Conny Coach")))["id"])
    line = new.signing.verify_key.line()
    assert (await room.refused(p.EnrolCoach(new.id, line, new.statement(agent=room.to.id))))[0] == "statement_differs"
    assert (await room.refused(p.EnrolCoach(new.id, SigningKey.generate().verify_key.line(), new.statement())))[
        1
    ] == 422
    assert await room.do(p.EnrolCoach(new.id, line, new.statement())) == {"key_seq": 1}
    await room.do(room.ask(by=new))
    await room.do(p.DisableCoach(new.id))
    assert await room.refused(room.fetch(to=new)) == ("coach_unknown", 404)
    assert await room.refused(room.ask(by=new)) == ("coach_unknown", 404)
    assert (await Coaches(room.bench.folder.database).get(new.id)).disabled
    assert not list(room.bench.folder.root.glob("vault/*/*/releases/*"))


async def test_what_cannot_be_noted_is_not_handed_out(room):
    await room.do(room.ask())
    mend = room.bench.break_database()
    try:
        assert await room.refused(room.fetch()) == ("storage_unavailable", 503)
    finally:
        mend()


async def test_a_statement_under_another_name_is_no_release(room):
    made = room.ask(sides=(Side.AGENT,))
    document = made.sides[0].statement.document.encode()
    signed = p.Signed(document.decode(), sign(room.signing, "fairtap-consent@v1", document))
    wrong = dataclasses.replace(made, sides=(dataclasses.replace(made.sides[0], statement=signed),))
    assert (await room.refused(wrong))[1] == 422
    more = canonical({"v": 1})
    signed = p.Signed(more.decode(), sign(room.signing, RELEASE_NAMESPACE, more))
    wrong = dataclasses.replace(made, sides=(dataclasses.replace(made.sides[0], statement=signed),))
    assert await room.refused(wrong) == ("statement_error", 422)
