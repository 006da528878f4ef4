"""ng commands as the four verbs of the engine: whose side a message is from, who is on the call, when it is answered.

A proxy's `answer` doesn't say whether it was a 183 or the 200, so a leg counts as answered only with a `start
recording` that follows an answer: a wish, never a consent. `record-call` may come with a 183: it begins nothing.
Metadata of offer or wish names the agent (`agent:7001|queue:sales|outside:+4930…|called:+4940…`, `outside:` empty where
it is withheld, `called:` for nothing but the question's language); without the first and the third protected parties
couldn't be told, and nothing is recorded. A call belongs to the host that made it.
"""

import ipaddress
from collections.abc import Awaitable, Callable

from gateway.call.model import DialogTag, NewCall, Private, SdpMessage, SipCallId
from gateway.clock import Clock
from gateway.config import Config, Peer
from gateway.engine.call_facts import facts_unwished
from gateway.engine.engine import Engine
from gateway.engine.leg_figures import spoken
from gateway.engine.live_call import LiveCall, Unchanged
from gateway.ingress.ng_media import NgMedia
from gateway.ingress.ng_records import ProxyCall, ProxyCalls
from gateway.ingress.ng_report import report
from gateway.media.plane import FlowCount, FlowId
from gateway.media.prompts.plain_sounds import plain_folder
from gateway.ng import message
from gateway.ng.description import as_rtpengine, refuse_other_profile, refuse_unsupported, understood
from gateway.ng.errors import LoadLimit, NgError
from gateway.ng.message import NgRequest, ReplyBody
from gateway.sdp.errors import SdpError
from policy.decision import Side

__all__ = ["NgCalls"]

NOT_FOUND = "Call-ID not found or tags didn't match"
NEVER = frozenset({"subscribe request", "subscribe answer", "unsubscribe", "publish", "start forwarding"})
"""Silent live listening: in no build."""
KNOWN_ELSEWHERE = frozenset({"play DTMF", "stop forwarding"})
WORDS = {
    Unchanged.NO_PORTS: message.OUT_OF_PORTS,
    Unchanged.NOT_UNDERSTOOD: message.INCOMPLETE,
    Unchanged.NO_OFFER: message.NO_ASSOCIATION,
    Unchanged.FAULT: message.REWRITING,
}
SPOKEN = 50
"""Packets: a second of speech."""
NOT_HERE = "not supported: a relay that presses no keys of its own"


class NgCalls:
    """The table of commands over one engine."""

    def __init__(self, config: Config, engine: Engine, clock: Clock) -> None:
        self.draining = False
        self._engine = engine
        self._clock = clock
        self._sides: dict[Side, tuple[Peer, ...]] = {
            Side.CALLER: config.sip.caller_side.peer_list,
            Side.AGENT: config.sip.agent_side.peer_list,
        }
        self._interfaces = dict.fromkeys(config.ng.caller_interfaces, Side.CALLER)
        self._interfaces.update(dict.fromkeys(config.ng.agent_interfaces, Side.AGENT))
        self._hosts = {
            Side.CALLER: config.sip.caller_side.media_address,
            Side.AGENT: config.sip.agent_side.media_address,
        }
        self._known_calls = ProxyCalls(engine.calls)
        self._media = NgMedia(engine, plain_folder(config.site.data_dir.absolute()))
        self._table: dict[str, Callable[[NgRequest, str], Awaitable[ReplyBody]]] = {
            "ping": self._ping,
            "offer": self._offer,
            "answer": self._answer,
            "delete": self._delete,
            "query": self._query,
            "list": self._list,
            "statistics": self._statistics,
            "start recording": self._start_recording,
            "pause recording": self._pause_recording,
            "stop recording": self._stop_recording,
            "block DTMF": self._withhold,
            "unblock DTMF": self._withhold,
            "block media": self._withhold,
            "unblock media": self._withhold,
            "silence media": self._withhold,
            "unsilence media": self._withhold,
            "play media": self._play_media,
            "stop media": self._stop_media,
        }

    async def handle(self, request: NgRequest, host: str) -> ReplyBody:
        """The reply to one request of a proxy at `host`; raises `NgError`."""
        command = self._table.get(request.command)
        if command is None:
            self._engine.counters["ng_refused"] += 1
            if request.command in NEVER:
                raise NgError("not supported: nobody listens in on a call")
            raise NgError(NOT_HERE if request.command in KNOWN_ELSEWHERE else message.UNRECOGNIZED)
        self._note(request, host)
        return await command(request, host)

    def _note(self, request: NgRequest, host: str) -> None:
        """For the ladder: before a `delete` takes the call away; a first offer makes it and is noted by itself."""
        live = self._mine(SipCallId(request.call_id), host)
        if live is not None and request.from_tag:
            answering = request.command == "answer"
            by = self._party(live, request.to_tag if answering else request.from_tag)
            self._engine.passed(live.call.new.call_id, by, f"ng {request.command}", described=bool(request.sdp))

    async def _ping(self, request: NgRequest, host: str) -> ReplyBody:
        return {"result": "pong"}

    # --- offer, answer, delete ---------------------------------------------------------------------------------------

    async def _offer(self, request: NgRequest, host: str) -> ReplyBody:
        request.needs("call-id", "from-tag", "sdp")
        self._refuse_unsupported(request)
        call_id = SipCallId(request.call_id)
        live = self._mine(call_id, host)
        if live is None and call_id in self._engine.calls:
            raise NgError(message.UNKNOWN_CALL)  # somebody else's
        if live is None and self.draining:
            raise _no_more(request)
        dialog = self._dialog(request) if live is not None and request.to_tag else None
        if live is None or dialog is None:
            party = live.call.new.uac if live is not None else self._offerer(request)
            new = self._new_call(request, party)
            body = self._understood(request, party, live)
            known = self._known_calls.of(call_id) if live is not None else self._known_calls.begin(call_id, host)
            known.name(request.label, request.from_tag)
            known.offered(request.via_branch)
            described = await self._engine.offer(new, _offered(request, party, None, body))
            self._engine.passed(call_id, party, "ng offer", described=True)
        else:
            party = self._party(live, request.from_tag)
            body = self._understood(request, party, live)
            described = await self._engine.answer(call_id, _offered(request, party, dialog, body))
        return self._described(request, described, self._engine.calls.get(call_id))

    async def _answer(self, request: NgRequest, host: str) -> ReplyBody:
        request.needs("call-id", "from-tag", "to-tag", "sdp")
        self._refuse_unsupported(request)
        live, dialog = self._known(request, host), self._dialog(request)
        # the offerer is named by from-tag, whoever called: the other one answers
        party = self._party(live, request.to_tag)
        body = self._understood(request, party, live)
        known = self._known_calls.of(live.call.new.call_id)
        known.name(request.label, request.to_tag)
        known.answered(dialog, request.via_branch)
        said = SdpMessage(party, dialog, "answer", body, source=request.received_from)
        described = await self._engine.answer(live.call.new.call_id, said)
        self._media.renew(live, known)
        return self._described(request, described, live)

    async def _delete(self, request: NgRequest, host: str) -> ReplyBody:
        request.needs("call-id")
        live = self._mine(SipCallId(request.call_id), host)
        if live is None or request.from_tag not in self._tags(live):
            if "fatal" in request.flags:
                raise NgError(NOT_FOUND)
            return {"warning": NOT_FOUND, "result": "ok"}
        call_id = live.call.new.call_id
        known = self._known_calls.of(call_id)
        if self._is_lost_branch(live, known, request):
            return {"result": "ok"}
        self._engine.ending(call_id)
        counts = await self._engine.reports.counts(live)
        said = [count.received for count in spoken(counts).values()]
        if live.call.answered_dialog is None and said and min(said) >= SPOKEN:
            live.facts = facts_unwished(live.call)
        self._engine.hang_up(call_id)
        self._known_calls.forget(call_id)
        return {**self._report(live, known, counts), "result": "ok"}

    def _is_lost_branch(self, live: LiveCall, known: ProxyCall, request: NgRequest) -> bool:
        """Whether a `delete` is of one branch of a forked call, and the call goes on with another."""
        answered = live.call.answered_dialog
        if request.via_branch and (answered is None or not request.to_tag):
            return known.lost_branch(request.via_branch, answered)
        # where nobody wished for a recording, the branch whose media flows stands for the one that was answered
        current = answered or live.call.negotiation.chosen
        return bool(request.to_tag) and current not in (None, self._dialog(request))

    def _refuse_unsupported(self, request: NgRequest) -> None:
        try:
            refuse_unsupported(request)
        except SdpError:
            raise NgError("Failed to parse SDP") from None
        except NgError:
            self._engine.counters["ng_unsupported"] += 1
            raise

    def _understood(self, request: NgRequest, party: Side, live: LiveCall | None) -> bytes:
        """The description as this party means it."""
        family = "IP6" if ":" in self._hosts[_other(party)] else "IP4"
        if request.address_family not in (None, family):
            self._engine.counters["ng_unsupported"] += 1
            raise NgError("Address family can't be changed: it is that of the side's media_address")
        if request.record_call:
            self._engine.counters["ng_recording_asked_before_answer"] += 1
        elif request.record_call is False and live is not None:
            self._engine.give_up(live)
        try:
            return understood(request)
        except NgError:
            self._engine.counters["ng_unsupported"] += 1
            raise

    def _described(self, request: NgRequest, body: bytes, live: LiveCall | None) -> ReplyBody:
        why = live.unchanged if live is not None else Unchanged.NO_OFFER  # it ended meanwhile
        if why is not None:  # the proxy goes on without us, or with another node
            self._engine.counters["ng_unanchored"] += 1
            raise _no_more(request) if why is Unchanged.NO_WORKER else NgError(WORDS[why])
        refuse_other_profile(request, body)
        return {"sdp": as_rtpengine(body, request), "result": "ok"}

    # --- recording: wishes, never consents ---------------------------------------------------------------------------

    async def _start_recording(self, request: NgRequest, host: str) -> ReplyBody:
        """May come with its tags swapped or without to-tag: the branch is the one that was answered."""
        request.needs("call-id")
        live = self._known(request, host)
        chosen = live.call.negotiation.chosen
        if live.call.answered_dialog is None and chosen is not None:
            self._engine.answered(live.call.new.call_id, chosen, self._named(live.call.new, request))
            self._engine.confirmed(live.call.new.call_id)
        elif chosen is None:
            self._engine.counters["ng_recording_asked_before_answer"] += 1
        else:
            self._engine.pause(live, "pbx", False)
        return {"result": "ok"}

    async def _pause_recording(self, request: NgRequest, host: str) -> ReplyBody:
        request.needs("call-id")
        self._engine.pause(self._known(request, host), "pbx", True)
        return {"result": "ok"}

    async def _stop_recording(self, request: NgRequest, host: str) -> ReplyBody:
        request.needs("call-id")
        self._engine.give_up(self._known(request, host))
        return {"result": "ok"}

    # --- forwarding --------------------------------------------------------------------------------------------------

    async def _withhold(self, request: NgRequest, host: str) -> ReplyBody:
        """block, unblock, silence, unsilence: what one party (or both) says, as the other one gets it."""
        request.needs("call-id")
        live = self._known(request, host)
        known = self._known_calls.of(live.call.new.call_id)
        for side in self._selected(live, request):
            self._media.withhold(known, side, request.command)
        self._media.renew(live, known)
        return {"result": "ok"}

    async def _play_media(self, request: NgRequest, host: str) -> ReplyBody:
        """To the party that is named; to both where nobody is."""
        request.needs("call-id")
        live = self._known(request, host)
        if request.file is None:
            raise NgError("No media file specified: give `file`, the name of a WAV in the folder `sounds`")
        parties = self._selected(live, request)
        known = self._known_calls.of(live.call.new.call_id)
        lasts = [await self._media.play(live, known, side, request.file, request.repeat_times) for side in parties]
        return {"result": "ok", "duration": max(lasts)}

    async def _stop_media(self, request: NgRequest, host: str) -> ReplyBody:
        request.needs("call-id")
        live = self._known(request, host)
        for side in self._selected(live, request):
            self._media.stop_playing(live, self._known_calls.of(live.call.new.call_id), side)
        return {"result": "ok"}

    def _selected(self, live: LiveCall, request: NgRequest) -> tuple[Side, ...]:
        """Whom a command is about: by label, address or from-tag; everybody where it names nobody, or says `all`."""
        if "all" in request.flags:
            return tuple(Side)
        if request.label is not None:
            tag = self._known_calls.of(live.call.new.call_id).tags.get(request.label)
            if tag is None:
                raise NgError("No matching label in call")
            return (self._party(live, tag),)
        if request.address is not None:
            found = live.call.negotiation.side_at(request.address)
            if found is None:
                raise NgError("No matching address in call")
            return (found,)
        if not request.from_tag:
            return tuple(Side)
        if request.from_tag not in self._tags(live):
            raise NgError("From-tag given, but no such tag exists")
        return (self._party(live, request.from_tag),)

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _query(self, request: NgRequest, host: str) -> ReplyBody:
        request.needs("call-id")
        live = self._known(request, host)
        known = self._known_calls.of(live.call.new.call_id)
        return {**self._report(live, known, await self._engine.reports.counts(live)), "result": "ok"}

    async def _list(self, request: NgRequest, host: str) -> ReplyBody:
        mine = [call_id for call_id in self._engine.calls if self._known_calls.is_of(call_id, host)]
        return {"calls": [call_id.encode("utf-8", "surrogateescape") for call_id in mine[:32]], "result": "ok"}

    async def _statistics(self, request: NgRequest, host: str) -> ReplyBody:
        counters = self._engine.counters
        return {
            "statistics": {
                "currentstatistics": {"sessionstotal": len(self._engine.calls)},
                "totalstatistics": {"relayedpackets": counters["packets_relayed"]},
            },
            "result": "ok",
        }

    def _report(self, live: LiveCall, known: ProxyCall, counts: dict[FlowId, FlowCount]) -> ReplyBody:
        return report(live, self._tags(live), known, counts, self._clock.wallclock())

    # --- who and where -----------------------------------------------------------------------------------------------

    def _mine(self, call_id: SipCallId, host: str) -> LiveCall | None:
        return self._engine.calls.get(call_id) if self._known_calls.is_of(call_id, host) else None

    def _known(self, request: NgRequest, host: str) -> LiveCall:
        live = self._mine(SipCallId(request.call_id), host)
        if live is None:
            raise NgError(message.UNKNOWN_CALL)
        return live

    def _dialog(self, request: NgRequest) -> DialogTag | None:
        return self._engine.table.dialog(SipCallId(request.call_id), request.from_tag, request.to_tag or None)

    @staticmethod
    def _tags(live: LiveCall) -> frozenset[str]:
        return frozenset({live.call.new.uac_tag, *live.call.negotiation.dialogs})

    @staticmethod
    def _party(live: LiveCall, tag: str) -> Side:
        uac = live.call.new.uac
        if tag == live.call.new.uac_tag:
            return uac
        return Side.AGENT if uac is Side.CALLER else Side.CALLER

    def _offerer(self, request: NgRequest) -> Side:
        """Named interfaces first, else the sender's network; the caller's side where neither tells."""
        for name, turned in zip(request.direction[:2], (False, True), strict=False):
            side = self._interfaces.get(name)
            if side is not None:
                return _other(side) if turned else side
        return self._network_side(request.received_from) or Side.CALLER

    def _network_side(self, address: str | None) -> Side | None:
        try:
            source = ipaddress.ip_address(address or "")
        except ValueError:
            return None
        return next(
            (side for side, peers in self._sides.items() if any(source in peer.network for peer in peers)), None
        )

    def _new_call(self, request: NgRequest, party: Side) -> NewCall:
        bare = NewCall(SipCallId(request.call_id), request.from_tag, party, None, None, None)
        return self._named(bare, request)

    def _named(self, known: NewCall, request: NgRequest) -> NewCall:
        """The call with what this request's metadata says about it."""
        told = request.metadata
        if "agent" not in told or "outside" not in told:
            return known
        queue = told.get("queue") or None
        return NewCall(
            known.call_id,
            known.uac_tag,
            known.uac,
            Private(told["agent"]) if told["agent"] else None,
            queue if queue is not None and len(queue) <= 64 else None,
            Private(told["outside"]) if told["outside"] else None,
            called=Private(told["called"]) if told.get("called") else None,
        )


def _no_more(request: NgRequest) -> LoadLimit:
    """In the words that this proxy knows: it takes another node."""
    told = "load limit" in request.supports
    return LoadLimit(message.LOAD_LIMIT if told else message.SESSION_LIMIT, understood=told)


def _offered(request: NgRequest, party: Side, dialog: DialogTag | None, body: bytes) -> SdpMessage:
    """With the profile that the request names for the other party."""
    asked = (request.transport or "").upper()
    source = request.received_from
    return SdpMessage(party, dialog, "offer", body, asked or None, strict=bool(asked), source=source)


def _other(side: Side) -> Side:
    return Side.AGENT if side is Side.CALLER else Side.CALLER
