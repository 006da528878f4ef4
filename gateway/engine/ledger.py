"""Enters legs and draws them: entry durable first, then the draw, then ceiling and caps in log order (crypto.md §4).

Only (epoch, pseudonym, counter) enters the draw. Where the council's share comes from is behind an asynchronous seam,
so that a council's own box can answer later: the decision waits for it, the call doesn't.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from crypto.commitment import new_salt, pseudonym
from crypto.draw import agent_key, combine, draw_output, drawn
from gateway.call.model import EntryResult
from gateway.engine.epoch_book import EpochBook, pseudonym_of
from policy.agreement.schema import Agreement
from policy.decision import CallerAnswer, ConsentState, Reason, Rule
from policy.draw_rules import epoch_of, wish_caps_ok
from policy.epoch_rules import Ruled
from policy.intersection import covering
from policy.log_rules import may_hold, queue_code
from policy.opening import CallOpening, OutOpening
from policy.retention import forget_opening_at
from policy.statistics import rule_name
from policy.terms import OTHER_QUEUES, Lane
from policy.validity import local_time
from storage.council_lists import ForCouncil
from storage.epochs import Epochs, StoredEpoch
from storage.errors import EntryState, EpochStep, StorageUnavailable
from storage.figures import Answered, What
from storage.legs import Admission, EntryKind, LegEntry, Legs, Out, XKind
from storage.log.leg_openings import Owned, Owner
from storage.roster import Agent

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
MAX_CALL_ID: Final = 1024

__all__ = ["CouncilShare", "Entered", "Ledger", "SealedShare", "Wished"]


class CouncilShare(Protocol):
    """Whoever holds the council's part of an epoch's draw."""

    async def draw(self, epoch: StoredEpoch, agent: str, n: int, entry_hash: bytes) -> bytes:
        """y_council for this leg; `entry_hash` only shows that the leg is entered, it never enters the HMAC."""
        ...


class SealedShare:
    """Sealed mode: the council handed its share over after it had cosigned both commitments."""

    async def draw(self, epoch: StoredEpoch, agent: str, n: int, entry_hash: bytes) -> bytes:
        """See `CouncilShare`. Raises EpochStep without the share."""
        if epoch.council is None:
            raise EpochStep("the council's share isn't here")
        return draw_output(agent_key("council", epoch.origin, epoch.name, agent, epoch.council), n)


@dataclass(frozen=True, slots=True)
class Entered:
    """A leg in the books: what the core needs, and what its `out` and manifests will."""

    result: EntryResult
    entry: LegEntry
    admission: Admission
    agreement: Agreement
    owner: Owner | None = None
    """Who may open the entries, where the agent has a recipient."""

    @property
    def lane(self) -> Lane | None:
        """The drawn lane the leg falls under."""
        return self.result.rule.lane if self.result.rule is not None else None

    """The first whose scope holds the leg; where none does, the first that binds."""


@dataclass(frozen=True, slots=True)
class Wished:
    """What was asked for, in the books."""

    entry: LegEntry
    lane: Lane
    agreement: Agreement
    owner: Owner | None = None


@dataclass(frozen=True, slots=True)
class _Said:
    """A leg's end as it goes into the log."""

    entry: LegEntry
    told: OutOpening
    answered: Answered | None
    owner: Owner | None


class Ledger:
    """The entries of the site of this name."""

    def __init__(
        self,
        site: str,
        legs: Legs,
        epochs: Epochs,
        book: EpochBook,
        share: CouncilShare,
        council: Callable[[datetime], Sequence[str]] = lambda _: (),
    ) -> None:
        """`council`: its recipients (`age1…`) at a time, for whom each leg's opening is sealed."""
        self._site = site
        self._legs = legs
        self._epochs = epochs
        self._book = book
        self._share = share
        self._council = council
        self._leftovers: tuple[LegEntry, ...] = ()
        self._failed: list[tuple[LegEntry, Ruled | None]] = []
        """Entered under this rule, and then the draw or the disk failed."""
        self._unsaid: list[_Said] = []
        """Ends that the disk refused."""
        self._counting = asyncio.Lock()

    async def enter(
        self,
        agent: Agent,
        agreements: Sequence[Agreement],
        *,
        queue: str | None,
        call: str,
        call_id: str,
        wallclock: datetime,
        acts: int | None = None,
    ) -> Entered | None:
        """Enter one agent leg and draw it; durable on return. None in a dark epoch. Raises `StorageError`.

        `acts` is the number of the newest act behind `agreements`; raises TermsChanged where there is a newer one.

        Group and phase are the roster's, as `ecommit` fixed it: who isn't in it is entered and never drawn.
        """
        agreement = agreements[0]
        epoch = self._book.open_for(agreements, wallclock)
        if epoch is None:
            return None
        leaf = epoch.leaf(a := pseudonym_of(agent.salt, epoch))
        scoped = covering(agreements, site=agent.site, queue=queue or "", group=agent.group)
        place, ruled = None, None
        if leaf is not None:
            rules, about = self._book.rules_of(epoch), {"queue": queue or "", "group": leaf.group}
            place, ruled = rules.find(scoped, **about, phase=leaf.phase, wallclock=wallclock) or (None, None)
        day = local_time(agreement, wallclock).date()
        told, owner = _opening(call, call_id, wallclock), _owner(agent, agreements, wallclock)
        try:
            entry = await self._legs.enter(
                epoch=epoch.name,
                pseudonym=a,
                rule=place,
                queue=queue if any(queue in one.scope.queues for one in agreements) and queue else OTHER_QUEUES,
                code=queue_code(agreements, queue or "", self._book.working),
                commitment=told.commitment(),
                day=day,
                rule_name=rule_name(ruled.rule) if ruled is not None else None,
                acts=acts,
                owned=Owned(owner, told) if owner is not None else None,
                shown=ForCouncil(told, self._council(wallclock)),
            )
        except EpochStep:
            return None  # it was closed this very moment
        try:
            await self.close_failed()
            hit = ruled is not None and await self._is_drawn(epoch, entry, ruled)
            admission = await self._legs.admit(entry, drawn=hit, ruled=ruled)
        except BaseException:
            self._failed.append((entry, ruled))
            raise
        rule = ruled.rule if ruled is not None else None
        return Entered(_result(entry, rule, hit, admission), entry, admission, next(iter(scoped), agreement), owner)

    async def wish(
        self,
        agent: Agent,
        agreements: Sequence[Agreement],
        lane: Lane,
        *,
        call: str,
        call_id: str,
        wallclock: datetime,
    ) -> Wished | None:
        """Enter what was asked for; durable on return. None: the week's count is used up. Raises `StorageError`.

        `agreements` are those about the leg. The week is the calendar's, however short the epochs are.
        """
        agreement = agreements[0]
        epoch, day = epoch_of(agreement, wallclock).name, local_time(agreement, wallclock).date()
        told, owner = _opening(call, call_id, wallclock, lane.value), _owner(agent, agreements, wallclock)
        async with self._counting:
            if lane is Lane.CUSTOMER_REQUEST:
                since = await self._legs.wishes_since(lane, day - timedelta(days=day.weekday()))
                origins = await self._epochs.origins(self._site, {e for e, _ in since})
                mine = sum(pseudonym(agent.salt, origins[e], e).hex() == a for e, a in since)
                if not wish_caps_ok(agreements, wishes_this_week=mine):
                    return None
            origin = (await self._epochs.origins(self._site, {epoch}))[epoch]
            entry = await self._legs.enter_wish(
                origin=origin,
                epoch=epoch,
                pseudonym=pseudonym(agent.salt, origin, epoch).hex(),
                commitment=told.commitment(),
                day=day,
                lane=lane,
                owned=Owned(owner, told) if owner is not None else None,
            )
        return Wished(entry, lane, agreement, owner)

    async def enter_x(self, agreements: Sequence[Agreement], kind: XKind, wallclock: datetime) -> None:
        """Count a leg that has no agent; in a dark epoch nothing is counted."""
        epoch = self._book.open_for(agreements, wallclock)
        if epoch is not None:
            await self._legs.enter_x(epoch.name, kind)

    async def leave(
        self,
        entered: Entered | Wished,
        told_as: str,
        reasons: tuple[str, ...],
        manifests: tuple[str, ...],
        answer: CallerAnswer | None = None,
    ) -> Out:
        """The leg's single `out`, kept or not; its commitment is of equal size whatever came of it.

        Raises `StorageError`; what the disk refuses is said by `close_failed` as it was to be said now.
        """
        lane = entered.lane.value if entered.lane is not None else None
        told = OutOpening(0, told_as, lane, reasons, manifests, new_salt())
        said = _Said(entered.entry, told, _answered(entered.entry.origin, answer), entered.owner)
        try:
            return await self._say(said)
        except StorageUnavailable:
            self._unsaid.append(said)
            raise

    async def _say(self, said: _Said) -> Out:
        return await self._legs.out(said.entry, said.told, said.answered, said.owner)

    async def forget_openings(self, at: datetime) -> None:
        """Destroy the agents' and the council's openings whose time is over. Raises `StorageError`."""
        await self._legs.forget_openings(at)
        await self._epochs.forget_lists(at)

    async def note_leftovers(self) -> None:
        """On start, before anything is entered: remember what an earlier run entered and never closed."""
        self._leftovers = tuple(await self._legs.without_out())

    async def close_leftovers(self) -> int:
        """Close what was noted; how many. Raises `StorageError`, and may be called again then.

        An entry that was not admitted yet is drawn now, from the same epoch, pseudonym and counter, under the rule that
        it names: a crash must not turn a hit into a miss.
        """
        left, closed = self._leftovers, 0
        for entry in left:
            await self._close(entry, await self._ruled_by(entry))
            closed += 1
            self._leftovers = left[closed:]
        return closed

    async def close_failed(self) -> None:
        """Say the ends that the disk refused, and close the legs that `enter` left behind. Raises `StorageError`.

        Without, an epoch couldn't be closed, and legs after these would wait for their admission.
        """
        while self._unsaid:
            said = self._unsaid.pop()
            try:
                await self._say(said)
            except EntryState:
                pass  # it was written after all
            except BaseException:
                self._unsaid.append(said)
                raise
        while self._failed:
            failed = min(self._failed, key=lambda one: one[0].entry)
            self._failed.remove(failed)
            try:
                await self._close(*failed)
            except EntryState:
                pass  # closed meanwhile
            except BaseException:
                self._failed.append(failed)
                raise

    async def _close(self, entry: LegEntry, ruled: Ruled | None) -> None:
        if entry.kind is EntryKind.CALL and entry.admitted is None:
            hit = ruled is not None and await self._is_drawn(await self._epoch(entry), entry, ruled)
            await self._legs.admit(entry, drawn=hit, ruled=ruled)
        lane, manifests = await self._legs.recorded(entry.entry)
        told = OutOpening(0, "interrupted", lane.value if lane is not None else None, (), manifests, new_salt())
        await self._legs.out(entry, told)

    async def _epoch(self, entry: LegEntry) -> StoredEpoch:
        return self._book.rows.get(entry.epoch) or await self._epochs.get(entry.epoch)

    async def _ruled_by(self, entry: LegEntry) -> Ruled | None:
        """What an entry's `r` stands for, as whoever checks the log reads it: by the acts that stood before it."""
        if entry.rule is None or entry.queue is None or entry.admitted is not None:
            return None
        epoch, state = await self._epoch(entry), self._book.state_after(entry.acts)
        leaf, span = epoch.leaf(entry.pseudonym), (epoch.start, epoch.end)
        if leaf is None or state is None:
            return None
        rules = self._book.rules_of(epoch)
        return may_hold(rules, state, span, entry.queue, leaf.group, leaf.phase).get(entry.rule)

    async def _is_drawn(self, epoch: StoredEpoch, entry: LegEntry, ruled: Ruled) -> bool:
        if epoch.host is None:
            raise EpochStep("the host's share isn't here")
        host = draw_output(agent_key("host", epoch.origin, epoch.name, entry.pseudonym, epoch.host), entry.n)
        council = await self._share.draw(epoch, entry.pseudonym, entry.n, entry.leaf)
        return drawn(combine(host, council), ruled.rule.ppm)


def _opening(call: str, call_id: str, wallclock: datetime, lane: str | None = None) -> CallOpening:
    """Its entry gets its place later. Of a Call-ID that isn't text, what can be told as text."""
    told = call_id.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:MAX_CALL_ID]
    start = wallclock.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return CallOpening(0, call, _UNPRINTABLE.sub("\ufffd", told), start, new_salt(), lane)


def _owner(agent: Agent, agreements: Sequence[Agreement], wallclock: datetime) -> Owner | None:
    if agent.recipient is None:
        return None
    return Owner(agent.id, agent.recipient, forget_opening_at(agreements, wallclock.date()))


def _answered(origin: str, answer: CallerAnswer | None) -> Answered | None:
    if answer is None or answer.channel is None or answer.answer is ConsentState.UNSET:
        return None
    return Answered(origin, answer.channel, What(answer.answer.value))


def _result(entry: LegEntry, rule: Rule | None, hit: bool, admission: Admission) -> EntryResult:
    return EntryResult(
        entry=entry.entry,
        rule=rule,
        drawn=hit,
        ceiling_ok=Reason.CEILING not in admission.reasons,
        caps_ok=Reason.AGENT_CAP not in admission.reasons,
        campaign_full=Reason.CAMPAIGN_FULL in admission.reasons,
    )
