"""`fairtap quorum`: the council's step in opening a recording together with the data-protection officer, offline.

The same as `age -d -i council.key X.quorum > X.inner`; the officer then runs `fairtap listen` over the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api import listen as listening
from api.commands.saying import AsJson, read_bytes, tell
from api.errors import CommandError
from crypto import quorum as together
from crypto.errors import CryptoError

__all__ = ["quorum"]


def quorum(
    folder: Annotated[Path, typer.Argument(help="A folder of the recording's *.quorum files.")],
    identity: Annotated[Path, typer.Option("-i", "--identity", help="The council's OUT.key.")],
    as_json: AsJson = False,
) -> None:
    """Open the council's part of a recording; what is left in *.inner opens with the officer's key only."""
    identities = listening.read_identities(identity)
    found = sorted(folder.glob("*.quorum"))
    if not found:
        raise CommandError(f"`{folder}` holds no *.quorum file")
    made = []
    for path in found:
        try:
            inner = together.open_outer(read_bytes(path), identities)
        except CryptoError as error:
            raise CommandError(f"`{path.name}` can't be opened: {error}") from None
        target = path.with_suffix(".inner")
        target.touch(mode=0o600)
        target.write_bytes(inner)
        made.append(str(target))
    said = "hand these to the data-protection officer, who runs `fairtap listen` with the *.age files beside them"
    tell(as_json, {"files": made}, *made, said)
