"""What the council does in a round: copy, verify, cosign, hand over its share, commit to the epochs ahead.

In this order: nothing is cosigned that has a finding, and no share is handed over before a checkpoint is cosigned
that holds both commitments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from council import mirror
from council.errors import Unreachable
from council.folder import LogFolder, logs_in, read_file
from council.home import Home, write_private
from council.inspect import Outcome, inspect, log_key
from council.site import SiteClient
from council.verify import Verified
from crypto.checkpoint import Checkpoint
from crypto.cosignature import cosign, cosigner, find_cosignature
from crypto.jcs import canonical
from crypto.signed_note import MAX_NOTE, SignedNote
from policy.epoch_statement import EPOCH, commit
from policy.errors import LogEntryError
from policy.log_block import LogBlock

AHEAD: Final = 13
COSIGN_EVERY: Final = timedelta(hours=6)
_NONE: Final = "none"
_COMMITTED: Final = "committed"


@dataclass(slots=True)
class Round:
    """One round of one council. `say` hears what is done, in a line each."""

    home: Home
    now: Callable[[], datetime]
    say: Callable[[str], None]
    _client: SiteClient | None = None

    @property
    def site(self) -> SiteClient:
        """The signed-in session. Raises Unreachable."""
        if self._client is None:
            client = SiteClient(self.home.settings.url, self.home.settings.ca)
            client.sign_in(self.home.settings.role, self.home.signing_key())
            self._client = client
        return self._client

    # -- copy

    def sync(self) -> list[mirror.Synced]:
        """The logs, acts and rosters of the site. A log that contradicts the copy is kept apart as evidence."""
        epochs = self._epochs()
        origins = sorted({str(one["origin"]) for one in epochs})
        known = {path.relative_to(self.home.path / "mirror").as_posix() for path in self._mirrors()}
        self._acts()
        for one in epochs:
            self._roster(str(one.get("epoch")), str(one.get("state")))
        found = [self._sync_log(origin, origin in known) for origin in sorted({*origins, *known})]
        return [one for one in found if one is not None]

    def sync_folder(self, source: Path) -> list[mirror.Synced]:
        """The same from a folder that holds logs, without a network."""
        return [self._copy(mirror.from_folder(path), _origin_of(path)) for path in logs_in(source)]

    def _sync_log(self, origin: str, known: bool) -> mirror.Synced | None:
        def fetch(name: str) -> bytes | None:
            return self.site.get(f"/v1/log/{origin}/{name}")

        if not known and fetch("checkpoint") is None:
            return None  # an epoch that lies ahead, whose log hasn't begun
        return self._copy(fetch, origin)

    def _copy(self, fetch: mirror.Fetch, origin: str) -> mirror.Synced:
        stamp = f"{self.now():%Y%m%dT%H%M%S}"
        evidence = self.home.path / "evidence" / f"{origin.replace('/', '_')}-{stamp}"
        key = log_key(self.home.settings.log_key)
        found = mirror.sync(fetch, origin, key, self.home.path / "mirror" / origin, evidence)
        if found.evidence is not None:
            self.say(f"FORK: log {origin} contradicts what was seen before; both are kept in {found.evidence}")
        else:
            self.say(f"log {origin}: {found.checkpoint.size} entries, {found.fetched} files fetched")
        return found

    def _mirrors(self) -> list[Path]:
        return logs_in(self.home.path / "mirror")

    def _acts(self) -> None:
        acts = self.site.get_json("/v1/acts").get("acts")
        for number, one in enumerate(acts if isinstance(acts, list) else [], 1):
            write_private(self.home.path / "acts" / f"{number:06}.json", canonical(one))

    def _roster(self, epoch: str, state: str) -> None:
        path = self.home.path / "rosters" / f"{epoch}.json"
        if state in ("none", "promised") or path.exists():
            return
        write_private(path, canonical(self.site.get_json(f"/v1/epochs/{epoch}/roster")))

    def _epochs(self) -> list[dict[str, Any]]:
        """What the site says of its epochs; names that could lead out of a folder are left out."""
        found = self.site.get_json("/v1/epochs").get("epochs")
        told = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return [one for one in told if EPOCH.fullmatch(str(one.get("epoch"))) and _is_log(str(one.get("origin")))]

    # -- verify

    def verify(self, progress: Callable[[int], None] = lambda _: None, **changes: Any) -> Outcome:
        """Everything in the folder; `changes` are other `Sources`."""
        return inspect(replace(self.home.sources(), now=self.now(), **changes), progress)

    # -- cosign and share

    def cosign(self, outcome: Outcome, *, if_due: bool = False) -> int:
        """Cosign the newest checkpoint of each log and hand it over; how many. Nothing that has a finding.

        `if_due`: only where an epoch waits for it, or the last cosignature is some hours old.
        """
        if not outcome.clean:
            raise Unreachable("nothing is cosigned while there are findings")
        done = 0
        for one in outcome.logs:
            if one.checkpoint is not None and (not if_due or self._due(one)):
                self._cosign(one.checkpoint, self._folder(one))
                done += 1
        return done

    def _due(self, one: Verified) -> bool:
        if one.followed_by is not None:
            return False  # nothing comes to it any more
        seen = self._seen(one.origin)
        if any(not book.open and book.ecommit is not None and book.ecommit_at >= seen for book in one.epochs.values()):
            return True
        note = read_file(self._note(one.origin, seen), MAX_NOTE)
        if note is None:
            return True
        name = f"{one.origin.partition('/')[0]}/{self.home.settings.role}"
        _, at = find_cosignature(SignedNote.parse(note), cosigner(name, self.home.signing_key().verify_key))
        return self.now() - datetime.fromtimestamp(at, UTC) >= COSIGN_EVERY

    def _note(self, origin: str, size: int) -> Path:
        return self.home.path / "seen" / f"{origin.replace('/', '_')}-{size}.note"

    def _cosign(self, checkpoint: Checkpoint, folder: Path) -> None:
        key = self.home.signing_key()
        note = SignedNote.parse(LogFolder(folder).checkpoint() or b"")
        site = checkpoint.origin.partition("/")[0]
        line = cosign(str(checkpoint), f"{site}/{self.home.settings.role}", key, int(self.now().timestamp()))
        both = SignedNote(note.text, (*note.signatures[:1], line))
        write_private(self._note(checkpoint.origin, checkpoint.size), bytes(both))  # kept before anybody else has it
        self.site.send("POST", "/v1/log/cosignatures", {"note": bytes(both).decode()})
        self.say(f"cosigned {checkpoint.origin} at {checkpoint.size} entries")

    def _folder(self, one: Verified) -> Path:
        return self.home.path / "mirror" / one.origin

    def share(self, outcome: Outcome) -> int:
        """Hand over the share of each epoch whose two commitments a checkpoint holds that was cosigned here."""
        done = 0
        told = [one for one in self._epochs() if one.get("state") == _COMMITTED]
        waiting = {(str(one.get("epoch")), str(one.get("origin"))) for one in told}
        for log in outcome.logs:
            for name, book in log.epochs.items():
                share = self.home.share(log.origin, name)
                seen = self._seen(log.origin)
                if (
                    (name, log.origin) not in waiting
                    or share is None
                    or book.ecommit is None
                    or book.ecommit_at >= seen
                ):
                    continue
                said, _ = commit(log.origin, name, share, self.home.signing_key())
                if said.c != book.ecommit.c:
                    self.say(f"the log holds another commitment for {name} than yours: the share stays here")
                    continue
                self.site.send("POST", f"/v1/epochs/{name}/share", {"share": share.hex()})
                self.say(f"handed over the share of {name}")
                done += 1
        return done

    def _seen(self, origin: str) -> int:
        """Size of the largest checkpoint that was cosigned here."""
        prefix = origin.replace("/", "_") + "-"
        sizes = [path.stem.removeprefix(prefix) for path in (self.home.path / "seen").glob(f"{prefix}*.note")]
        return max((int(size) for size in sizes if size.isdigit()), default=0)

    # -- epochs ahead

    def open_epochs(self, ahead: int) -> int:
        """Draw shares for epochs that nobody has committed to, keep them here, sign and hand over the commitments."""
        done = 0
        key = self.home.signing_key()
        for one in self._epochs()[: ahead + 1]:
            name, origin = str(one.get("epoch")), str(one.get("origin"))
            if one.get("state") != _NONE:
                continue
            said, csig = commit(origin, name, self.home.draw_share(origin, name), key)
            self.site.send("POST", f"/v1/epochs/{name}/commitment", {"c": said.c, "csig": csig})
            self.say(f"committed to {name}")
            done += 1
        return done


def _is_log(origin: str) -> bool:
    try:
        return str(LogBlock.parse(origin)) == origin
    except LogEntryError:
        return False


def _origin_of(path: Path) -> str:
    """What the log in a folder says it is; `sync` checks that its key signed that."""
    note = LogFolder(path).checkpoint() or b""
    origin = note.partition(b"\n")[0].decode("utf-8", errors="replace")
    if not _is_log(origin):
        raise Unreachable(f"no log of a site in `{path}`")
    return origin
