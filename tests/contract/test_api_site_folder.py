"""The API's reading of a real data folder: what the gateway wrote is seen, nothing is written, absence is 503."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Update, insert, update

from api.errors import Problem
from api.reads import ObjectKind
from api.site import SiteFolder
from crypto import age
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from demo.agreement import sign_first
from gateway.config import Config
from policy.acts import ACT_NAMESPACE, NewAgreement
from policy.agreement.load import load
from policy.chain import Posted, fold
from policy.state import Anchor as ActsAnchor
from policy.terms import ConsentState, Purpose
from policy.texts import consent_text, text_sha256
from storage.acts import Acts, Anchor
from storage.blobs import Kind, LocalBlobs
from storage.consents import Consents, Statement
from storage.database import Database
from storage.epochs import Epochs
from storage.names import SegmentKey
from storage.roster import NewAgent, Roster
from storage.tables import epochs, recordings, segments
from storage.vault import LocalVault, Secret
from tests.peers.api_server import SetClock
from tests.peers.enacted import ANCHORS, KEYS
from tests.peers.opened_epoch import opened_book
from tests.unit.policy.green import edited

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "deploy" / "agreement.example.yaml"


async def enacted(database: Database, document: bytes, at: datetime) -> None:
    """Anchor the parties and put a document into force."""
    made = sign_first(document.decode(), {role: KEYS[role] for role in ("employer", "council")})
    await Acts(database).set_anchors(ANCHORS, at)
    await Acts(database).append(Posted(made.act.encode(), made.signatures, at, document))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate({"site": {"name": "test", "data_dir": tmp_path}})


@pytest.fixture
async def written(config: Config) -> AsyncIterator[Database]:
    database = await Database.open(config.database_url)
    await database.migrate()
    yield database
    await database.close()


@pytest.fixture
async def site(config: Config) -> AsyncIterator[SiteFolder]:
    async with SiteFolder(config, SetClock()) as folder:
        yield folder


async def test_before_the_gateway_made_its_data_everything_is_503_and_later_it_is_there(
    site: SiteFolder, config: Config
) -> None:
    assert not await site.ready()
    with pytest.raises(Problem) as away:
        await site.agreement()
    assert away.value.status == 503
    database = await Database.open(config.database_url)
    await database.migrate()
    assert await site.ready() and await site.agreement() is None and await site.agents("", 10) == []
    await database.close()


async def test_anchors_of_a_role_are_all_its_keys(site: SiteFolder, written: Database) -> None:
    keys = {role: str(SigningKey.generate().verify_key) for role in ("employer", "council", "council2", "dpo")}
    await Acts(written).set_anchors([Anchor(role, key) for role, key in keys.items()], AT)
    assert set(await site.anchors("council")) == {keys["council"], keys["council2"]}
    assert list(await site.anchors("dpo")) == [keys["dpo"]]


async def test_an_agents_line_holds_seat_and_answers_as_they_count(site: SiteFolder, written: Database) -> None:
    roster, consents = Roster(written), Consents(written)
    now = SetClock().wallclock()
    agent = await roster.add(NewAgent("Ada", "team-a", "hamburg"), now)
    assert (await site.agent(agent)) is not None and await site.agent("00" * 16) is None
    await roster.claim(agent, extension="4711", session="session1", seq=3, statement="{}", signature="-", at=now)
    document = EXAMPLE.read_bytes()
    agreement = load(document)
    shown = text_sha256(consent_text(agreement, Purpose.COACHING, "en"))
    for purpose, text in ((Purpose.COACHING, shown), (Purpose.DISPUTE, "00" * 32)):
        said = Statement("{}", "-", text, "en", 7)
        await consents.set(agent, purpose, ConsentState.YES, now, statement=said)
    await consents.set(agent, Purpose.PROCESS_QUALITY, ConsentState.NO, datetime(2026, 3, 1, 9, tzinfo=UTC))
    await enacted(written, document, AT)
    row = await site.agent(agent)
    assert row is not None
    assert (row.extension, row.seat_seq) == ("4711", 3)
    # a yes to a text that isn't today's doesn't count
    assert row.consents == {"coaching": "yes", "process_quality": "no", "dispute": "unset"}
    assert row.consent_seqs == {"coaching": 7, "process_quality": 1, "dispute": 7}
    # 180 days after the no, and never after anything else
    assert row.ask_again_at == {"process_quality": "2026-08-28T09:00:00.000Z"}
    assert (row.enrolments, row.enrolled_from) == (0, None)
    found = await site.agreement()
    assert found is not None and (found.digest, found.seq) == (agreement.digest, 1)
    coaching = next(one for one in found.consents if one.purpose == "coaching")
    assert coaching.sha256["en"] == shown == text_sha256(coaching.text["en"])


async def test_of_several_agreements_an_agent_reads_and_answers_the_one_about_them(
    site: SiteFolder, written: Database
) -> None:
    roster, documents = Roster(written), (EXAMPLE.read_bytes(), edited({"id": "bv-bremen", "scope/sites": ["bremen"]}))
    here, there = [await roster.add(NewAgent("Ada", "team-a", place), AT) for place in ("hamburg", "bremen")]
    await enacted(written, documents[0], AT)
    first, second = map(load, documents)
    acts = Acts(written)
    before = fold([ActsAnchor(one.role, one.key) for one in ANCHORS], await acts.chain())
    act = before.draft(second.id, NewAgreement(second.digest))
    signed = {role: sign(KEYS[role], ACT_NAMESPACE, act) for role in ("employer", "council")}
    await acts.append(Posted(act, signed, AT, documents[1]))
    for agent, mine, other in ((here, first, second), (there, second, first)):
        found = await site.agreement(agent)
        assert found is not None and found.digest == mine.digest
        for answered, counts in ((mine, "yes"), (other, "unset")):
            text = text_sha256(consent_text(answered, Purpose.COACHING, "en"))
            said = Statement("{}", "-", text, "en", 7 if counts == "yes" else 8)
            await Consents(written).set(agent, Purpose.COACHING, ConsentState.YES, AT, statement=said)
            row = await site.agent(agent)
            assert row is not None and row.consents["coaching"] == counts


async def test_recordings_are_listed_newest_first_and_fetched_as_one_age_file(
    site: SiteFolder, written: Database, tmp_path: Path
) -> None:
    agent = await Roster(written).add(NewAgent("Ada", "team-a", "hamburg"), AT)
    other = await Roster(written).add(NewAgent("Bo", "team-a", "hamburg"), AT)
    states = ["kept", "interrupted", "discarding", "discarded", "open"]
    rows = [_recording(i, agent, state) for i, state in enumerate(states)] + [_recording(9, other, "kept")]
    sealed = {"recording": f"{0:032x}", "seg": 1, "side": "agent", "state": "sealed", "key_commit": "-", "stanzas": 1}
    more = {"container": "wav", "opened_at": AT, "sha256": "cd" * 32, "bytes": 9, "started": AT, "ended": None}

    def work(connection):
        connection.execute(insert(recordings), rows)
        connection.execute(insert(segments), [{**sealed, **more}])

    await written.write(work)
    listed = await site.recordings(agent, "", 10)
    assert [int(row.id, 16) for row in listed] == [4, 1, 0]
    assert [int(row.id, 16) for row in await site.recordings(agent, listed[0].id, 1)] == [1]
    assert (listed[2].sides[0].started, listed[2].started) == ("2026-03-02T09:00:00.000Z",) * 2
    assert await site.recording(f"{2:032x}") is None and (await site.recording(f"{9:032x}")) is not None

    key, identity = SegmentKey(f"{0:032x}", 1, "agent"), Identity.generate()
    header, payload = age.split_header(age.encrypt(bytes(200_000), [identity.recipient]))
    writer = LocalBlobs(tmp_path).payload(key.recording, "agent", 1)
    writer.append(bytes(payload))
    LocalVault(tmp_path).put(key, Secret.HEADER, bytes(header))
    assert await site.fetch(key.recording, "agent", 1, "age") is None  # still being written
    writer.seal()
    LocalBlobs(tmp_path).put(key, Kind.MANIFEST, b"{}")
    pieces = await site.fetch(key.recording, "agent", 1, "age")
    assert pieces is not None
    assert age.decrypt(b"".join([piece async for piece in pieces]), [identity]) == bytes(200_000)
    manifest = await site.fetch(key.recording, "agent", 1, "manifest")
    assert manifest is not None and [piece async for piece in manifest] == [b"{}"]
    assert await site.fetch(key.recording, "agent", 1, "quorum") is None
    LocalVault(tmp_path).put(key, Secret.QUORUM, b"wrapped twice")
    together = await site.fetch(key.recording, "agent", 1, "quorum")
    assert together is not None and [piece async for piece in together] == [b"wrapped twice"]
    await opened_book(Epochs(written, tmp_path), "2026-W10", [])
    for state, hours, served in [("opened", 99, 1), ("closed", 23, 1), ("closed", 25, 0), ("revealed", 25, 1)]:
        over = update(epochs).values(state=state, closed_at=SetClock().wallclock() - timedelta(hours=hours))

        def close(connection: Connection, over: Update = over) -> None:
            connection.execute(over)

        await written.write(close)
        assert (await site.fetch(key.recording, "agent", 1, "age") is not None) is bool(served)
    LocalVault(tmp_path).erase(key)
    kinds: tuple[ObjectKind, ...] = ("age", "quorum")
    for kind in kinds:
        assert await site.fetch(key.recording, "agent", 1, kind) is None
    assert await site.fetch("../../etc", "agent", 1, "age") is None


def _recording(number: int, agent: str, state: str) -> dict[str, object]:
    at = AT + timedelta(seconds=number)
    return {
        "id": f"{number:032x}", "agent": agent, "call_ref": "call", "entry": 1, "epoch": "2026-W10",
        "origin": "test", "pseudonym": "ab" * 16,
        "n": number, "lane": "sample", "purpose": "coaching", "agreement": "cd" * 32, "consents": [], "recipients": [],
        "ingress": "inline", "media": "rtp", "state": state, "erase_at": at + timedelta(days=14), "begun_at": at,
        "ended_at": None,
    }  # fmt: skip
