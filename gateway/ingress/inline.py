"""The inline way in as a whole: sockets, proxy core and the glue between them, made from the configuration."""

import asyncio
import ipaddress
import secrets

from gateway.clock import Clock
from gateway.config import Config, SideConfig
from gateway.engine.engine import Engine
from gateway.ingress.identity import Identity
from gateway.ingress.locator import Locator
from gateway.ingress.names import KnownNames, SystemNames
from gateway.ingress.next_hop import NextHops
from gateway.ingress.sip_proxy import SipProxy
from gateway.ingress.sip_transport import SipTransport
from gateway.ingress.source_limits import SourceLimits
from gateway.sip.hop import Side
from gateway.sip.proxy_core import ProxyCore
from gateway.sip.timers import SipTimers

__all__ = ["Inline"]


class Inline:
    """Both sides' SIP. Without listeners it does nothing; what it counts is told with the engine's own counters."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        clock: Clock,
        timers: SipTimers = SipTimers.RFC3261,
        names: KnownNames | None = None,
    ) -> None:
        self._sides = {Side.CALLER: config.sip.caller_side, Side.AGENT: config.sip.agent_side}
        self._engine = engine
        self._clock = clock
        self._timers = timers
        self._identity = Identity(config.sip.identity)
        self._limits = SourceLimits(config.sip.limits, clock)
        self._transport = SipTransport(self._sides, self._limits)
        self._transport.counters = self._limits.counters = engine.counters
        self._names = names or KnownNames(SystemNames(), clock)
        self._proxy: SipProxy | None = None
        self._probing: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Bind and serve; raises `ConfigError` where an address can't be bound."""
        hops = {side: self._next_hops(side, config) for side, config in self._sides.items()}
        self._transport.bind()
        names = self._transport.addresses()
        core = ProxyCore(names, self._timers, lambda: secrets.token_hex(8), refuses=self._limits.refuses)
        self._proxy = SipProxy(core, self._engine, self._identity, hops, self._clock)
        self._proxy.transport = self._transport
        self._proxy.counters = self._engine.counters
        await self._transport.serve(self._proxy)
        for side, config in self._sides.items():
            if hops[side].configured and config.listen and config.probe_s:
                self._probing.append(asyncio.create_task(self._proxy.probing.run(side, config.probe_s)))

    def _next_hops(self, side: Side, config: SideConfig) -> NextHops:
        versions = frozenset(ipaddress.ip_address(listener.host).version for listener in config.listeners)
        return NextHops.of(side, config, Locator(self._names, versions))

    def drain(self) -> None:
        """Take no new calls."""
        if self._proxy is not None:
            self._proxy.draining = True

    async def close(self) -> None:
        """Close every socket."""
        for task in self._probing:
            task.cancel()
        await asyncio.gather(*self._probing, return_exceptions=True)
        if self._proxy is not None:
            await self._proxy.close()
        await self._transport.close()
