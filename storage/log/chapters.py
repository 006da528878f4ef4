"""What a log says about the parties: an `anchor` entry for each key, an `act` entry for each act, in their order.

A log of a new block begins with all of them, so that it can be checked without the ones before it.
"""

import hashlib
from typing import Any

from sqlalchemy import Connection, Row, select

from crypto.ssh_key import VerifyKey
from policy.acts import WITH_RECIPIENT, NewKey, parse_act
from policy.log_entry import Act, Anchor, Entry, encode
from storage.tables import acts, anchors


def chapters(connection: Connection) -> list[list[Entry]]:
    """First the anchors as they were set, then what each act adds: itself, and the anchor it brings."""
    rows = connection.execute(select(anchors).order_by(anchors.c.role)).all()
    newest = {row.role: _first(row) for row in rows}
    found: list[list[Entry]] = [list(newest.values())]
    for data in connection.execute(select(acts.c.act).order_by(acts.c.seq)).scalars():
        act = parse_act(bytes(data))
        found.append([Act(act.digest, act.type.value, act.seq)])
        if isinstance(act.body, NewKey):
            newest[act.body.role] = _next(newest.get(act.body.role), act.body)
            found[-1].append(newest[act.body.role])
    return found


def _first(row: Row[Any]) -> Anchor:
    return Anchor(row.role, str(VerifyKey.parse(row.key)), _recipient(row.role, row.rkey), 1, None)


def _next(before: Anchor | None, new: NewKey) -> Anchor:
    prev = None if before is None else hashlib.sha256(encode(before)).hexdigest()
    seq = 1 if before is None else before.seq + 1
    return Anchor(new.role, new.key, _recipient(new.role, new.recipient), seq, prev)


def _recipient(role: str, recipient: str | None) -> str | None:
    """An employer's recipient, which nothing is ever encrypted to, isn't logged."""
    return recipient if role in WITH_RECIPIENT else None
