"""Keys of the demo's people: parties and agents, made by what `fairtap keygen` does."""

from dataclasses import dataclass, field
from pathlib import Path

from api.agent_client import ClientKeys
from api.key_files import make_keys, read_signing_key
from api.listen import read_identities

PARTIES = ("employer", "council", "dpo")


@dataclass(frozen=True, slots=True)
class Keys:
    """One person's keys and their files."""

    name: str
    keys: ClientKeys = field(repr=False)
    identity_file: Path
    """`NAME.key`: opens recordings."""
    signing_file: Path
    """`NAME.sign`: signs acts, commitments, cosignatures."""
    public_file: Path
    """`NAME.pub`: what `fairtap init --anchor` takes."""


def new_keys(folder: Path, name: str) -> Keys:
    """Make `NAME.key`, `NAME.sign` and `NAME.pub` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    make_keys(folder / name, f"DEMO {name}")
    identity_file, signing_file, public_file = (folder / f"{name}{suffix}" for suffix in (".key", ".sign", ".pub"))
    keys = ClientKeys(read_identities(identity_file)[0], read_signing_key(signing_file))
    return Keys(name, keys, identity_file, signing_file, public_file)
