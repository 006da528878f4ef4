"""What the council does at a site: copy, verify, cosign, hand over its share, commit to the epochs ahead, lower rates.

In this order: nothing is cosigned that has a finding, and no share is handed over before a checkpoint is cosigned
that holds both commitments.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from council import mirror
from council.errors import Unreachable, WrongUse
from council.folder import LogFolder, logs_in, read_file
from council.home import Home, write_private
from council.inspect import Outcome, inspect, log_key, log_origin
from council.site import SiteClient
from council.verify import Verified
from crypto.checkpoint import Checkpoint
from crypto.cosignature import cosign, cosignatures
from crypto.jcs import canonical, parse_json
from crypto.signed_note import MAX_NOTE, SignedNote
from crypto.sshsig import sign
from policy.acts import ACT_NAMESPACE, Rates, parse_act
from policy.epoch_statement import EPOCH, commit
from policy.epochs import MAX_ROSTER, EpochState
from policy.errors import ActError
from policy.log_block import LogBlock, is_origin
from policy.log_rules import span_of
from policy.opening import print_openings
from policy.percent import parse_percent
from policy.retention import COUNCIL_LISTS

AHEAD: Final = 13
TURNS: Final = 3
COSIGN_EVERY: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Told:
    """An epoch as the site tells it."""

    name: str
    origin: str
    state: str
    inventory: bool
    """There is one to fetch."""


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
            client = SiteClient(self.home.settings.url, self.home.settings.ca, self.home.settings.language)
            client.sign_in(self.home.settings.role, self.home.signing_key())
            self._client = client
        return self._client

    # -- copy

    def sync(self) -> bool:
        """The logs, acts and lists of the site; False where a log contradicts the copy, which is kept as evidence.

        An act that comes meanwhile would look like one that the log lacks: then the logs are copied once more.
        """
        alike, acts = True, self._acts()
        for _ in range(TURNS):
            alike = self._sync_logs()
            if (later := self._acts()) == acts:
                break
            acts = later
        for one in self._epochs():  # after the logs, so that no `ecommit` is here without its roster
            self._lists(one)
        self._forget()
        return alike

    def _sync_logs(self) -> bool:
        folder = self.home.path / "mirror"
        known = {path.relative_to(folder).as_posix() for path in logs_in(folder)}
        origins = {*(one.origin for one in self._epochs()), *known}
        alike = [self._sync_log(one, one in known) for one in sorted(origins, key=LogBlock.parse, reverse=True)]
        return all(alike)

    def sync_folder(self, source: Path) -> bool:
        """The logs in a folder, without a network."""
        logs = {origin: path for path in logs_in(source) if (origin := log_origin(path)) is not None}
        newest_first = sorted(logs, key=LogBlock.parse, reverse=True)
        alike = [self._copy(mirror.from_folder(logs[origin]), origin) for origin in newest_first]
        if not alike:
            raise Unreachable(f"no log of a site in `{source}`")
        return all(alike)

    def _sync_log(self, origin: str, known: bool) -> bool:
        def fetch(name: str) -> bytes | None:
            return self.site.get(f"/v1/log/{origin}/{name}")

        ahead = not known and fetch("checkpoint") is None  # an epoch that lies ahead, whose log hasn't begun
        return ahead or self._copy(fetch, origin)

    def _copy(self, fetch: mirror.Fetch, origin: str) -> bool:
        stamp = f"{self.now():%Y%m%dT%H%M%S}"
        evidence = self.home.path / "evidence" / f"{origin.replace('/', '_')}-{stamp}"
        key, folder = log_key(self.home.settings.log_key), self.home.path / "mirror"
        copies = [LogBlock.parse(path.relative_to(folder).as_posix()) for path in logs_in(folder)]
        ended = any(one.follows(LogBlock.parse(origin)) for one in copies)
        found = mirror.sync(fetch, origin, key, folder / origin, evidence, ended=ended)
        if found.evidence is not None:
            self.say(f"FORK: log {origin} contradicts what was seen before; both are kept in {found.evidence}")
        else:
            self.say(f"log {origin}: {found.checkpoint.size} entries, {found.fetched} files fetched")
        return found.evidence is None

    def _acts(self) -> list[bytes]:
        found = self.site.get_json("/v1/acts").get("acts")
        acts = [canonical(one) for one in found] if isinstance(found, list) else []
        for number, act in enumerate(acts, 1):
            path = self.home.path / "acts" / f"{number:06}.json"
            if (seen := read_file(path, len(act))) != act:
                if seen is not None:  # a restored site has another one in its place: what was seen stays
                    path.rename(path.with_name(f"{number:06}-{self.now():%Y%m%dT%H%M%S}.json"))
                write_private(path, act)
        return acts

    def _lists(self, one: Told) -> None:
        """What the site has of an epoch beside its log: roster, inventory, and openings while they are kept."""
        path = f"/v1/epochs/{one.name}"
        if one.state not in (EpochState.NONE, EpochState.PROMISED):
            again = LogBlock.parse(one.origin).restores  # an epoch that is committed to anew has another roster
            told = f"{one.name}-r{again}.json" if again else f"{one.name}.json"
            self._once("rosters", told, lambda: canonical(self.site.get_json(f"{path}/roster", MAX_ROSTER)))
        if one.inventory:
            told = f"{one.name}.inventory"
            self._once("inventories", told, lambda: canonical(self.site.get_json(f"{path}/inventory")))
        if one.state in (EpochState.CLOSED, EpochState.FROZEN, EpochState.REVEALED) and not self._forgotten(one.name):
            self._once("openings", one.name, lambda: print_openings(self.site.openings(path)))

    def _once(self, folder: str, name: str, fetch: Callable[[], bytes]) -> None:
        path = self.home.path / folder / name
        if not path.exists() and (data := fetch()):
            write_private(path, data)

    def _forget(self) -> None:
        """Openings and names go when the site's own go."""
        for path in (self.home.path / "openings").glob("*"):
            if self._forgotten(path.name):
                path.unlink()
        for path in (self.home.path / "rosters").glob("*.json"):
            told = parse_json(read_file(path, MAX_ROSTER) or b"{}", limit=MAX_ROSTER)
            if self._forgotten(path.stem) and isinstance(told, dict) and told.pop("names", None):
                write_private(path, canonical(told))

    def _forgotten(self, epoch: str) -> bool:
        span = span_of(epoch, UTC)
        return span is None or self.now() >= span[1] + COUNCIL_LISTS

    def _epochs(self) -> Iterator[Told]:
        """What the site says of its epochs; names that could lead out of a folder are left out."""
        found = self.site.get_json("/v1/epochs").get("epochs")
        for one in found if isinstance(found, list) else []:
            if isinstance(one, dict):
                name, origin, state = (str(one.get(field)) for field in ("epoch", "origin", "state"))
                if EPOCH.fullmatch(name) and is_origin(origin):
                    yield Told(name, origin, state, one.get("inventory") is True)

    # -- verify

    def verify(self, progress: Callable[[int], None] = lambda _: None, **changes: Any) -> Outcome:
        """Everything in the folder; `changes` are other `Sources`."""
        return inspect(replace(self.home.sources(), now=self.now(), **changes), progress)

    # -- cosign and share

    def cosign(self, outcome: Outcome, *, if_due: bool = False) -> None:
        """Cosign the newest checkpoint of each log and hand it over. Nothing that has a finding.

        `if_due`: only where an epoch waits for it, or the last cosignature is some hours old.
        """
        if not outcome.clean:
            raise Unreachable("nothing is cosigned while there are findings")
        for one in outcome.logs:
            if one.checkpoint is not None and (not if_due or self._due(one)):
                self._cosign(one.checkpoint)

    def _due(self, one: Verified) -> bool:
        if one.followed_by is not None:
            return False  # nothing comes to it any more
        seen = self._seen(one.origin)
        if any(book.state is EpochState.COMMITTED and book.ecommit_at >= seen for book in one.epochs.values()):
            return True
        note = read_file(self._note(one.origin, seen), MAX_NOTE)
        if note is None:
            return True
        times = [at for _, at in cosignatures(SignedNote.parse(note), [self.home.signing_key().verify_key]) if at]
        return self.now() - datetime.fromtimestamp(max(times, default=0), UTC) >= COSIGN_EVERY

    def _note(self, origin: str, size: int) -> Path:
        return self.home.path / "seen" / f"{origin.replace('/', '_')}-{size}.note"

    def _cosign(self, checkpoint: Checkpoint) -> None:
        origin, key = checkpoint.origin, self.home.signing_key()
        note = SignedNote.parse(LogFolder(self.home.path / "mirror" / origin).checkpoint() or b"")
        name = f"{origin.partition('/')[0]}/{self.home.settings.role}"
        line = cosign(str(checkpoint), name, key, int(self.now().timestamp()))
        both = SignedNote(note.text, (*note.signatures[:1], line))
        write_private(self._note(origin, checkpoint.size), bytes(both))  # kept before anybody else has it
        self.site.send("POST", "/v1/log/cosignatures", {"note": bytes(both).decode()})
        self.say(f"cosigned {origin} at {checkpoint.size} entries")

    def share(self, outcome: Outcome) -> None:
        """Hand over the share of each epoch whose two commitments a checkpoint holds that was cosigned here."""
        logs = {log.origin: log for log in outcome.logs}
        for one in self._epochs():
            if one.state != EpochState.COMMITTED or one.origin not in logs:
                continue
            share, book = self.home.share(one.origin, one.name), logs[one.origin].epochs.get(one.name)
            if share is None or book is None or book.ecommit is None or book.ecommit_at >= self._seen(one.origin):
                continue
            said, _ = commit(one.origin, one.name, share, self.home.signing_key())
            if said.c != book.ecommit.c:
                self.say(f"the log holds another commitment for {one.name} than yours: the share stays here")
                continue
            self.site.send("POST", f"/v1/epochs/{one.name}/share", {"share": share.hex()})
            self.say(f"handed over the share of {one.name}")

    def _seen(self, origin: str) -> int:
        """Size of the largest checkpoint that was cosigned here."""
        prefix = origin.replace("/", "_") + "-"
        sizes = [path.stem.removeprefix(prefix) for path in (self.home.path / "seen").glob(f"{prefix}*.note")]
        return max((int(size) for size in sizes if size.isdigit()), default=0)

    def hand_over(self, outcome: Outcome, ahead: int, *, if_due: bool = False) -> None:
        """All that the site waits for, after a clean verification."""
        self.cosign(outcome, if_due=if_due)
        self.share(outcome)
        self.open_epochs(min(ahead, AHEAD))

    # -- epochs ahead

    def open_epochs(self, ahead: int) -> None:
        """Draw shares for epochs that nobody has committed to, keep them here, sign and hand over the commitments."""
        over = (EpochState.CLOSED, EpochState.FROZEN, EpochState.REVEALED, EpochState.SHREDDED)
        coming = [one for one in self._epochs() if one.state not in over]
        for one in coming[: ahead + 1]:
            if one.state == EpochState.NONE:
                share = self.home.draw_share(one.origin, one.name)
                said, csig = commit(one.origin, one.name, share, self.home.signing_key())
                self.site.send("POST", f"/v1/epochs/{one.name}/commitment", {"c": said.c, "csig": csig})
                self.say(f"committed to {one.name}")

    # -- the agreement (agreement.md §3)

    def suspend(self, agreement: str) -> None:
        """Stop every recording within a second; the session is enough. Raises Unreachable."""
        self.site.send("POST", f"/v1/agreements/{quote(agreement, safe='')}/suspend", {})
        self.say(f"suspended: {agreement}")

    def put_rates(self, agreement: str, rates: Sequence[str]) -> None:
        """Sign other percentages and hand them over. What is signed is read first: these rates and nothing else.

        Raises WrongUse for what isn't RULE=PERCENT, Unreachable where the site refuses or drafts something else.
        """
        wanted = dict(_rate(text) for text in rates)
        path = f"/v1/agreements/{quote(agreement, safe='')}/rates"
        draft = self.site.get_json(f"{path}/draft?{urlencode([('rates', text) for text in rates])}")
        document = str(draft.get("act") or draft.get("document") or "")
        try:
            act = parse_act(document.encode())
        except ActError:
            raise Unreachable("the site's draft isn't an act") from None
        if act.agreement != agreement or not isinstance(act.body, Rates) or dict(act.body.rates) != wanted:
            raise Unreachable("the site drafted something else than was asked for: nothing was signed")
        signature = sign(self.home.signing_key(), ACT_NAMESPACE, document.encode())
        self.site.send("PUT", path, {"document": document, "signatures": {self.home.settings.role: signature}})
        self.say(f"changed: {', '.join(rates)}")


def _rate(text: str) -> tuple[str, int]:
    rule, _, percent = text.rpartition("=")
    ppm = parse_percent(percent)
    if not rule or ppm is None:
        raise WrongUse(f"`{text}`: write RULE=PERCENT, such as sample/team-a/regular=2")
    return rule, ppm
