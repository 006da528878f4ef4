"""`init`: the data folder, gateway key, database, anchors and the list of protected parties. Run once, repeatable.

`keys/allowed_signers` is what `ssh-keygen -Y verify -I gateway` checks manifests and receipts with.
Anchors come from their owners' hands as KEYFILEs (`OUT.pub`: one `ssh-ed25519` line, one `age1…` line) and are set once
in the life of a data folder.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey, allowed_signers_line
from crypto.x25519 import Recipient
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.engine.protected import EMERGENCY, protect
from gateway.errors import AnchorError
from policy.consent import RECEIPT_NAMESPACE
from storage import durable, manifest
from storage.acts import Acts, Anchor
from storage.database import Database
from storage.durable import declared
from storage.gateway_key import load_or_create, vkey
from storage.lock import WriterLock
from storage.named_file import read_named

__all__ = ["AnchorError", "Made", "initialise"]

ROLES = ("employer", "council", "council2", "council3", "dpo")
NEEDS_RECIPIENT = frozenset({"council", "dpo"})


@dataclass(frozen=True, slots=True)
class Made:
    """What is there now: fingerprints to be compared by voice or on paper."""

    gateway: str
    log_key: str
    """`name+hash+base64`: what the council's tool takes, and verifies every checkpoint with."""
    anchors: dict[str, str]


async def initialise(config: Config, anchors: dict[str, Path], numbers: Iterable[str]) -> Made:
    """Make what is missing; raises `AnchorError`, `StorageError`."""
    read = [_read(role, path) for role, path in sorted(anchors.items())]
    if len({anchor.key for anchor in read}) < len(read):
        raise AnchorError("--anchor: two parties have the same key, so one hand could sign for both")
    data_dir = config.site.data_dir.absolute()
    with declared("make the data folder"):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with WriterLock(data_dir):
        key = load_or_create(data_dir)
        protect(data_dir, (*EMERGENCY, *numbers))
        line = allowed_signers_line("gateway", key.verify_key, (manifest.NAMESPACE, RECEIPT_NAMESPACE))
        durable.put(data_dir / "keys" / "allowed_signers", f"{line}\n".encode(), data_dir, replace=True)
        database = await Database.open(config.database_url)
        try:
            await database.migrate()
            acts = Acts(database)
            if read:
                await acts.set_anchors(read, SystemClock().wallclock())
            known = await acts.anchors()
        finally:
            await database.close()
    return Made(
        gateway=key.verify_key.fingerprint(),
        log_key=vkey(f"{config.site.name}/fairtap", key.verify_key),
        anchors={anchor.role: VerifyKey.parse(anchor.key).fingerprint() for anchor in known},
    )


def _read(role: str, path: Path) -> Anchor:
    if role not in ROLES:
        raise AnchorError(f"--anchor {role}=…: the role is one of {', '.join(ROLES)}")
    try:
        lines = read_named(path).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise AnchorError(f"--anchor {role}: `{path}` can't be read") from None
    try:
        keys = [VerifyKey.parse(line) for line in lines if line.startswith("ssh-")]
        recipients = [str(Recipient.parse(line.strip())) for line in lines if line.startswith("age1")]
    except CryptoError as error:
        raise AnchorError(f"--anchor {role}: `{path}`: {error}") from None
    if len(keys) != 1 or (role in NEEDS_RECIPIENT and len(recipients) != 1):
        raise AnchorError(f"--anchor {role}: `{path}` must hold one ssh-ed25519 key and one age1… recipient")
    return Anchor(role, keys[0].line(), recipients[0] if recipients else None)
