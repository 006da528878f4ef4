"""A taken act as one file that travels: the signed bytes, the signatures, when it was taken, the document it carried.

Canonical JSON; the document as canonical JSON too, so that a reader of it needs no YAML library.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from crypto.errors import CryptoError
from crypto.jcs import canonical, parse
from policy.acts import ROLES
from policy.agreement.load import canonical_document
from policy.chain import Posted
from policy.errors import ActFault, MalformedAct

MAX_BYTES: Final = 1 << 20
_NAMES: Final = {"act", "signatures", "at", "document", "session"}
_AT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?\+00:00", re.ASCII)


def act_fields(posted: Posted) -> dict[str, object]:
    """As JSON fields; raises `AgreementRefused` for a document that isn't one."""
    document = None if posted.document is None else canonical_document(posted.document).decode()
    return {
        "act": posted.act.decode(),
        "signatures": dict(posted.signatures),
        "at": posted.at.isoformat(),
        "document": document,
        "session": posted.session,
    }


def print_act(posted: Posted) -> bytes:
    """The file's bytes; raises as `act_fields`."""
    return canonical(act_fields(posted))


def parse_act_file(data: bytes) -> Posted:
    """Read the file; raises `MalformedAct`, and nothing else. What it says is proven by `chain.take` only."""
    try:
        found = parse(data, limit=MAX_BYTES)
    except CryptoError:
        raise _malformed("json") from None
    if not isinstance(found, dict) or set(found) != _NAMES:
        raise _malformed("json")
    act, signatures, at, document = found["act"], found["signatures"], found["at"], found["document"]
    if not isinstance(act, str):
        raise _malformed("act")
    if not isinstance(signatures, dict) or not all(r in ROLES and isinstance(s, str) for r, s in signatures.items()):
        raise _malformed("signatures")
    if not (document is None or isinstance(document, str)):
        raise _malformed("document")
    if found["session"] not in (None, "council", "employer"):
        raise _malformed("session")
    kept = {role: str(armored) for role, armored in signatures.items()}
    session = None if found["session"] is None else str(found["session"])
    return Posted(act.encode(), kept, _instant(at), None if document is None else document.encode(), session)


def _instant(value: object) -> datetime:
    if isinstance(value, str) and _AT.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise _malformed("at")


def _malformed(field: str) -> MalformedAct:
    return MalformedAct(ActFault.MALFORMED, field=field)
