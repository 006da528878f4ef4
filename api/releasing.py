"""What an agent's client does to release a recording: check the coach's key, wrap the file key anew, sign.

No I/O. The site may lie about a coach's key; what it can't forge is the log, and what the coach tells in person.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.errors import ApiError
from crypto import age, sshsig
from crypto.commitment import opens
from crypto.errors import CryptoError
from crypto.ssh_key import SigningKey, VerifyKey
from crypto.tlog_proof import TlogProof
from crypto.x25519 import Identity, Recipient
from policy import log_entry
from policy.errors import PolicyError
from policy.key_words import key_words
from policy.release import RELEASE_NAMESPACE, Release
from policy.statements import ENROLMENT_NAMESPACE, Enrolment, parse_enrolment
from policy.terms import Purpose, Side

__all__ = ["CheckedCoach", "CoachDoubt", "check_coach", "release_sides"]


class CoachDoubt(ApiError):
    """The site doesn't prove that a key is this coach's: nothing is released to it."""


@dataclass(frozen=True, slots=True)
class CheckedCoach:
    """A coach whose key is in the log, as the coach enrolled it."""

    id: str
    name: str
    recipient: Recipient
    words: str
    """To compare with the coach in person."""


def check_coach(told: Mapping[str, Any], gateway: VerifyKey) -> CheckedCoach:
    """Check one coach of `GET /v1/coaches` against the log that `gateway` signs. Raises CoachDoubt."""
    try:
        key, entry = told["key"], told["key"]["entry"]
        said = _enrolment(key)
        if entry["proof"] is None:
            raise CoachDoubt("the coach's key isn't published in the log yet: try again in a minute")
        proof = TlogProof.parse(entry["proof"].encode())
        proof.check(entry["entry"].encode(), entry["origin"], gateway)
        leaf = log_entry.parse(entry["entry"].encode())
        if not isinstance(leaf, log_entry.Key) or not opens(
            bytes.fromhex(leaf.c), "key", key["told"], bytes.fromhex(key["salt"])
        ):
            raise CoachDoubt("the log's entry isn't that of the coach's key")
        recipient = key["recipient"]
        if (key["told"]["who"], key["told"]["recipient"]) != (told["id"], recipient):
            raise CoachDoubt("the log says another key of this coach")
        if (said.agent, said.recipient) != (told["id"], recipient):
            raise CoachDoubt("the coach signed another key")
        return CheckedCoach(told["id"], told["name"], Recipient.parse(recipient), key_words(recipient))
    except (CryptoError, PolicyError, KeyError, TypeError, ValueError) as error:
        raise CoachDoubt(f"the coach's key isn't proven: {type(error).__name__}") from None


def release_sides(
    headers: Mapping[tuple[Side, int], bytes],
    recording: str,
    to: CheckedCoach,
    purpose: Purpose,
    until: datetime,
    identities: Sequence[Identity],
    signing: SigningKey,
) -> list[dict[str, Any]]:
    """The body's `sides`, all of one release. `headers`: the agent's own, by side and segment. Raises CryptoError."""
    release, ends = secrets.token_hex(16), until.strftime("%Y-%m-%dT%H:%M:%SZ")
    made = []
    for (side, seg), own in headers.items():
        header = age.make_header(age.open_header(own, identities), [to.recipient])
        said = Release(
            release, recording, side, seg, to.id, str(to.recipient), purpose, ends,
            hashlib.sha256(header).hexdigest(),
        ).canonical()  # fmt: skip
        statement = {"document": said.decode(), "signature": sshsig.sign(signing, RELEASE_NAMESPACE, said)}
        made.append({"statement": statement, "header": base64.b64encode(header).decode()})
    return made


def _enrolment(key: Mapping[str, Any]) -> Enrolment:
    document = key["statement"]["document"].encode()
    sshsig.verify(VerifyKey.parse(key["signing_key"]), ENROLMENT_NAMESPACE, document, key["statement"]["signature"])
    return parse_enrolment(document)
