"""SDP of a call on its way from one party to the other: our ports in place of the sender's, or as it came."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

import structlog

from gateway.call.effects import Effect
from gateway.call.errors import NegotiationError, NoOffer
from gateway.call.model import SdpMessage
from gateway.clock import Clock
from gateway.engine.live_call import LiveCall, Unchanged
from gateway.engine.named_hosts import FindHosts, located, nobody_knows
from gateway.engine.workers import NoPorts, WorkerAway, Workers
from gateway.media.plane import Address, CallRef, FlowId, FlowSpec, is_relay
from gateway.sdp.errors import SdpError
from policy.decision import Side

__all__ = ["Calls", "Describing"]

log = structlog.get_logger()


class Calls(Protocol):
    """What describing asks of the engine."""

    clock: Clock
    workers: Workers
    counters: Counter[str]

    def apply(self, live: LiveCall, effects: Iterable[Effect]) -> None:
        """Do what the core wants."""

    def keep(self, live: LiveCall) -> None:
        """Into the journal."""

    def reconsider(self, live: LiveCall) -> None:
        """Let a call decide anew."""


class Describing:
    """See the module."""

    def __init__(self, calls: Calls, hosts: Mapping[Side, str]) -> None:
        self.find_hosts: FindHosts = nobody_knows
        """Set before the first call."""
        self._calls, self._hosts = calls, hosts

    async def describe(self, live: LiveCall, message: SdpMessage) -> bytes:
        """What goes on; the body itself where the call passes un-anchored, and `live.unchanged` says why."""
        call, calls = live.call, self._calls
        if call.worker is None:
            live.unchanged = Unchanged.NO_WORKER
            return message.body
        try:
            said = replace(message, body=await located(message, self.find_hosts, self._hosts))
            missing = call.negotiation.missing(said)
            if missing and not live.over:
                call.negotiation.ports.update(await self._reserved(call.worker, call.ref, missing))
            if live.over:  # meanwhile: ports that it got now, nobody would give back
                live.unchanged = Unchanged.NO_OFFER
                return message.body
            body, effects = call.describe(said, calls.clock.now())
            calls.apply(live, effects)
            calls.keep(live)
        except (SdpError, NegotiationError, NoPorts, WorkerAway) as error:
            calls.counters["descriptions_passed_unchanged"] += 1
            live.unchanged = _why_unchanged(error)
            if isinstance(error, NoPorts):
                calls.counters["out_of_ports"] += 1
                log.warning("no media ports are left: a call goes on without us, unrecorded", call=call.ref)
                return message.body
            log.warning("description passed unchanged", call=call.ref, fault=type(error).__name__)
            return message.body
        except Exception:  # our fault: the call goes on without us
            calls.counters["faults"] += 1
            live.unchanged = Unchanged.FAULT
            log.exception("description passed unchanged", call=call.ref)
            return message.body
        live.unchanged = None
        calls.reconsider(live)
        return body

    async def _reserved(self, worker: int, ref: CallRef, missing: tuple[FlowSpec, ...]) -> dict[FlowId, Address]:
        """Ports for as much as there are: for what is said before all else. Raises NoPorts, WorkerAway.

        Where only video or fax is missing there is no reason to raise: the audio has its ports and keeps them.
        """
        workers = self._calls.workers
        heard = tuple(spec for spec in missing if not is_relay(spec.flow))
        try:
            return await workers.reserve(worker, ref, missing)
        except (NoPorts, WorkerAway) as error:
            if len(heard) == len(missing) or (heard and isinstance(error, WorkerAway)):
                raise
            self._calls.counters["further_lines_without_ports"] += 1
            log.warning("no media ports for video or fax: it keeps its parties' own addresses", call=ref)
            return await workers.reserve(worker, ref, heard) if heard else {}


def _why_unchanged(error: Exception) -> Unchanged:
    kinds = {NoPorts: Unchanged.NO_PORTS, WorkerAway: Unchanged.NO_WORKER, NoOffer: Unchanged.NO_OFFER}
    return next((why for kind, why in kinds.items() if isinstance(error, kind)), Unchanged.NOT_UNDERSTOOD)
