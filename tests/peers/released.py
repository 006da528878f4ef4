"""A kept recording, a coach with keys, and the releases that the recording's agent signs."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crypto import age
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from gateway.control.protocol import ReleasedSide, ReleaseRecording, Signed
from policy.release import RELEASE_NAMESPACE, Release
from policy.statements import ENROLMENT_NAMESPACE, Enrolment
from policy.terms import Lane, Purpose, Side
from storage.coaches import Coaches
from storage.names import AgentId, SegmentKey
from storage.releases import Part, StoredRelease
from storage.vault import Secret
from tests.peers.stored import AT, SIDES, Folder, begin, open_side

UNTIL = AT.replace(microsecond=0) + timedelta(days=3)


def instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Teacher:
    """A coach, with their keys."""

    id: str
    identity: Identity = field(default_factory=Identity.generate)
    signing: SigningKey = field(default_factory=SigningKey.generate)

    def statement(self, **changes: str) -> Signed:
        said = replace(Enrolment(self.id, str(self.identity.recipient), instant(AT)), **changes).canonical()
        return Signed(said.decode(), sign(self.signing, ENROLMENT_NAMESPACE, said))


async def coach(folder: Folder, name: str = "Carla Coach") -> Teacher:
    """One who is enrolled."""
    coaches = Coaches(folder.database)
    found = Teacher(await coaches.add(name, AT))
    said = found.statement()
    await coaches.enrol(
        found.id, recipient=str(found.identity.recipient), signing_key=found.signing.verify_key.line(),
        statement=said.document, signature=said.signature, at=AT,
    )  # fmt: skip
    return found


async def keep(
    folder: Folder,
    recording: str,
    identity: Identity,
    agent: AgentId | None = None,
    *,
    lane: Lane = Lane.SAMPLE,
    purpose: Purpose = Purpose.COACHING,
    sides: tuple[Side, ...] = SIDES,
    segments: tuple[int, ...] = (1,),
) -> AgentId:
    """A kept recording; whose."""
    await begin(folder, recording, identity, agent=agent, lane=lane, purpose=purpose)
    for seg in segments:
        for side in sides:
            worker = await open_side(folder, SegmentKey(recording, seg, side), identity)
            await folder.recordings.seal(recording, seg, side.value, worker.finish(), "normal")
    return (await folder.recordings.close(recording, AT)).agent


def header_for(folder: Folder, key: SegmentKey, identity: Identity, to: Teacher) -> bytes:
    """The owner's client: unwrap, wrap anew."""
    own = folder.sealer.vault.read(key, Secret.HEADER)
    return age.make_header(age.open_header(own, [identity]), [to.identity.recipient])


def ask(
    folder: Folder,
    agent: str,
    signing: SigningKey,
    identity: Identity,
    of: str,
    by: Teacher,
    *,
    sides: tuple[Side, ...] = SIDES,
    segment: int = 1,
    **changes: object,
) -> ReleaseRecording:
    """As the agent's client makes it, `of` a recording, heard `by` a coach, with `changes` in what is signed."""
    release, made = secrets.token_hex(16), []
    for side in sides:
        header = header_for(folder, SegmentKey(of, segment, side.value), identity, by)
        digest, recipient = hashlib.sha256(header).hexdigest(), str(by.identity.recipient)
        said = Release(release, of, side, segment, by.id, recipient, Purpose.COACHING, instant(UNTIL), digest)
        document = replace(said, **changes).canonical()  # type: ignore[arg-type]  # any field
        signed = Signed(document.decode(), sign(signing, RELEASE_NAMESPACE, document))
        made.append(ReleasedSide(signed, base64.b64encode(header).decode()))
    return ReleaseRecording(agent, of, tuple(made))


def stored(command: ReleaseRecording, to: Teacher, at: datetime = AT, until: datetime = UNTIL) -> StoredRelease:
    """The same as storage takes it; its statements aren't read there."""
    parts = tuple(
        Part(side.value, 1, one.statement.document, one.statement.signature, base64.b64decode(one.header))
        for side, one in zip(SIDES, command.sides, strict=False)
    )
    release = secrets.token_hex(16)
    return StoredRelease(release, command.recording, command.agent, to.id, "coaching", at, until, parts)
