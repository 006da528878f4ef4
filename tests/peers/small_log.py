"""A log's checkpoint and hash tiles of any size, made at once from numbered leaves; a fork differs from one leaf on."""

import base64
from dataclasses import dataclass

from crypto.checkpoint import Checkpoint
from crypto.merkle import leaf_hash, node_hash, root_of
from crypto.signed_note import VerifierKey
from crypto.ssh_key import SigningKey
from crypto.tlog_tiles import HEIGHT, WIDTH, encode_hashes, tiles_of

KEY = SigningKey.generate()
ORIGIN = "hamburg/fairtap/2026-14"
VKEY = str(VerifierKey("hamburg/fairtap", KEY.verify_key))


@dataclass(frozen=True)
class SmallLog:
    """The first `size` leaves; those from `forked` on are others."""

    size: int
    forked: int | None = None
    origin: str = ORIGIN

    def checkpoint(self, key: SigningKey = KEY) -> str:
        """Signed."""
        return bytes(Checkpoint(self.origin, self.size, root_of(self._leaves())).signed(key)).decode()

    def head(self) -> dict[str, object]:
        """Size and root as the pages have them."""
        return {"size": self.size, "root": root_of(self._leaves()).hex()}

    def files(self) -> dict[str, str]:
        """Hash tiles in base64 by their path below `tile/`."""
        levels = [self._leaves()]
        while len(levels[-1]) > 1:
            below = levels[-1]
            levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
        made = {}
        for tile in tiles_of(self.size):
            if tile.level is not None:
                first = tile.index * WIDTH
                hashes = levels[tile.level * HEIGHT][first : first + tile.width]
                made[tile.path.removeprefix("tile/")] = base64.b64encode(encode_hashes(hashes)).decode()
        return made

    def _leaves(self) -> list[bytes]:
        forked = self.size if self.forked is None else self.forked
        return [leaf_hash(b"%d %d" % (i, i >= forked)) for i in range(self.size)]
