"""Kills backup and restore at durable steps in turn: `python -m tests.peers.backup_kill DIR FIRST STRIDE`.

After each death either nothing was begun, or nothing serves from the folder, or all of it is there; and the same
command goes on to the same end. Prints how many deaths there were of each.
"""

import asyncio
import shutil
import sys
from pathlib import Path

from crypto.x25519 import Identity
from storage.backup import contents
from storage.errors import RestoreUnfinished
from storage.lock import WriterLock, restoring_mark
from storage.log import wal
from tests.peers.backed_up import FIRST, SECOND, Site
from tests.peers.crash_points import Fuse, forked
from tests.peers.stored import ORIGIN


def site_in(root: Path, identity: Identity) -> Site:
    """The one whose files lie in `root`."""
    return Site(root, f"sqlite:///{root}/site.db", identity)


def prepared(site: Site) -> None:
    """Filled, with a backup beside it."""
    asyncio.run(site.fill())
    site.back_up()


def dying_backup(site: Site, number: int) -> None:
    """A backup with its fuse lit."""
    Fuse(number).install()
    site.back_up("second")


def dying_restore(site: Site, number: int) -> None:
    """A restore with its fuse lit."""
    Fuse(number).install()
    site.restore()


def checked_backup(site: Site) -> None:
    """There is none, or a whole one; another try makes it."""
    if not (site.root / "second").exists():
        site.back_up("second")
    contents.check(site.root / "second", contents.read(site.root / "second")[1])
    assert not (site.root / "second.part").exists()


def checked_restore(site: Site) -> None:
    """Nothing serves before the end, and the same command comes to it."""
    if restoring_mark(site.data).exists():
        try:
            WriterLock(site.data).acquire()
        except RestoreUnfinished:
            site.restore()
        else:
            raise AssertionError("a half-restored folder would be served")
    elif not (site.root / "site.db").exists():
        site.restore()
    assert not restoring_mark(site.data).exists()
    asyncio.run(_whole(site))


async def _whole(site: Site) -> None:
    folder = await site.open()
    for recording in (FIRST, SECOND):
        assert all(site.opens(folder, recording, side) for side in ("agent", "caller"))
    origins = await folder.database.read(wal.open_logs)
    assert ORIGIN not in origins and any(origin.startswith(f"{ORIGIN}-r") for origin in origins), origins
    assert await folder.epochs.restored()
    await folder.database.close()


def main(base: Path, first: int, stride: int) -> None:
    """Every `stride`-th step from `first` on, until both live through."""
    identity = Identity.generate()
    start = site_in(base / "start", identity)
    start.root.mkdir()
    forked(lambda: prepared(start))
    deaths = []
    for dying, checked in ((dying_backup, checked_backup), (dying_restore, checked_restore)):
        number, died = first, 0
        while True:
            site = site_in(base / str(number), identity)
            shutil.copytree(start.root, site.root)
            if dying is dying_restore:
                site.lose()
            lived = forked(lambda site=site, number=number, dying=dying: dying(site, number))  # type: ignore[misc]  # bound now
            forked(lambda site=site, checked=checked: checked(site))  # type: ignore[misc]  # bound now
            shutil.rmtree(site.root)
            if lived:
                break
            number, died = number + stride, died + 1
        deaths.append(died)
    print(*deaths)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
