"""The calls of this gateway: begun, taken up again from the journal, kept in it, and found by what a message names."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from functools import partial

from gateway.call.caller_word import CallerWord
from gateway.call.core import Call
from gateway.call.leg import Leg
from gateway.call.model import DialogTag, NewCall, SipCallId
from gateway.call.negotiation import Negotiation
from gateway.call.snapshot import SnapshotError, read_snapshot, restore, snapshot_of
from gateway.clock import Clock
from gateway.config import Config
from gateway.engine.ids import Ids
from gateway.engine.lights import Lights
from gateway.engine.live_call import LiveCall
from gateway.engine.workers import WorkerAway, Workers
from gateway.journal import CallJournal
from gateway.media.plane import CallRef
from gateway.media.prompts.coding import playable
from policy.decision import Side

__all__ = ["CallTable"]


class CallTable:
    """See the module."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        ids: Ids,
        workers: Workers,
        lights: Lights,
        journal: CallJournal,
        counters: Counter[str],
    ) -> None:
        self.calls: dict[SipCallId, LiveCall] = {}
        self.by_ref: dict[CallRef, LiveCall] = {}
        self.idle = asyncio.Event()
        """Set while there is no call."""
        self.idle.set()
        self._clock, self._ids, self._workers, self._lights = clock, ids, workers, lights
        self._journal, self._counters = journal, counters
        self._plays = playable()
        self._needs_lease = config.sip.identity.placement == "trunk"
        """A PBX between us and the phones hides transfers: who is on a leg could change unseen."""
        sides = {Side.CALLER: config.sip.caller_side, Side.AGENT: config.sip.agent_side}
        self.hosts = {side: part.media_address for side, part in sides.items()}
        """Our media address towards each party."""
        self._networks = {
            side: tuple(str(peer.network) for peer in part.peer_list) if part.allow_nat else ()
            for side, part in sides.items()
        }

    def begin(self, new: NewCall) -> LiveCall:
        """A call that wasn't known; without a worker it passes un-anchored."""
        ref = self._ids.call()
        try:
            worker: int | None = self._workers.choose()
        except WorkerAway:
            worker = None
            self._counters["calls_unanchored"] += 1
        media = Negotiation(ref, nat_networks=self._networks, plays=self._plays, hosts=self.hosts)
        since = self._clock.wallclock()
        made = partial(self._make_leg, ref)
        return self._hold(Call(ref, new, media, worker, since, made, needs_lease=self._needs_lease))

    def adopt(self) -> Iterator[LiveCall]:
        """Take up the calls that the journal has."""
        for entry in self._journal.entries():
            try:
                kept = read_snapshot(entry)
            except SnapshotError:
                self._counters["journal_faults"] += 1
                continue
            yield self._hold(restore(kept, self.hosts, self._networks, partial(self._make_leg, kept.ref)))

    def replace(self, follower: LiveCall) -> None:
        """The call goes on with another leg."""
        self.calls[follower.call.new.call_id] = self.by_ref[follower.call.ref] = follower

    def take(self, call_id: SipCallId) -> LiveCall | None:
        """A call that is over leaves, also the journal."""
        live = self.calls.pop(call_id, None)
        if live is None:
            return None
        live.over = True
        if not self.calls:
            self.idle.set()
        self.by_ref.pop(live.call.ref, None)
        self._journal.erase(live.call.ref)
        if live.call.worker is not None:
            self._workers.note_load(live.call.worker, -1)
        return live

    def keep(self, live: LiveCall) -> None:
        """What a restart needs to know of it."""
        try:
            state = snapshot_of(live.call)
        except ValueError:  # a Call-ID or tag that isn't UTF-8: this call won't outlive a restart
            self._counters["journal_faults"] += 1
            return
        if state is not None and not live.over:
            self._journal.put(live.call.ref, state)

    def flush(self) -> None:
        """What was queued for the journal is written, or given up after a while."""
        self._journal.flush()

    # --- by what a message names -------------------------------------------------------------------------------------

    def dialog(self, call_id: SipCallId, from_tag: str | None, to_tag: str | None) -> DialogTag | None:
        """The dialog that a message is in, by the callee's tag, whoever sent it."""
        live = self.calls.get(call_id)
        if live is None:
            return None
        tag = to_tag if from_tag == live.call.new.uac_tag else from_tag
        return DialogTag(tag) if tag else None

    def is_strange(self, call_id: SipCallId, *tags: str | None) -> bool:
        """Whether a message has a standing call's Call-ID but no tag of it: by accident or guess, and not its own."""
        live = self.calls.get(call_id)
        if live is None or live.call.answered_dialog is None:
            return False
        return not {live.call.new.uac_tag, live.call.answered_dialog}.intersection(tag or "" for tag in tags)

    def is_current(self, call_id: SipCallId, dialog: DialogTag | None) -> bool:
        """Whether this is the branch that was answered first."""
        live = self.calls.get(call_id)
        return live is not None and dialog is not None and live.call.answered_dialog == dialog

    def awaits_answer(self, call_id: SipCallId, dialog: DialogTag | None, party: Side) -> bool:
        """Whether this party was offered something that it hasn't answered."""
        live = self.calls.get(call_id)
        return live is not None and dialog is not None and live.call.negotiation.awaits_answer(dialog, party)

    def _hold(self, call: Call) -> LiveCall:
        live = LiveCall(call, began_at=self._clock.now())
        self.idle.clear()
        self.calls[call.new.call_id] = live
        self.by_ref[call.ref] = live
        if call.worker is not None:
            self._workers.note_load(call.worker, +1)
        return live

    def _make_leg(self, ref: CallRef, agent: str, said: CallerWord) -> Leg:
        live = self.by_ref.get(ref)
        number = 1 if live is None else len(live.before) + 1
        return Leg(ref, agent, self._lights.indicator(agent, ref), self._ids.recording, said, number=number)
