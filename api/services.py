"""Everything a request may need, made once per process and handed in; no globals."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry

from api.accounts import Accounts
from api.control_client import Control
from api.database import Database
from api.live import ALIVE_S, LiveHub
from api.rates import Rates
from api.reads import SiteReads
from gateway.clock import Clock
from gateway.config import Config

__all__ = ["Services"]


@dataclass(slots=True)
class Services:
    """The parts of a running API."""

    config: Config
    clock: Clock
    database: Database
    site: SiteReads
    control: Control
    hub: LiveHub
    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    rates: Rates = field(default_factory=Rates)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    alive_s: float = ALIVE_S
    resources: Sequence[AbstractAsyncContextManager[object]] = ()
    """What is open while the server runs."""
    accounts: Accounts = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = Accounts(self.database, self.clock, self.hasher)
        self.hub.attach(self.control)

    @property
    def secure(self) -> bool:
        """Whether browsers reach this API by HTTPS, so that cookies may insist on it."""
        api = self.config.api
        return bool(api.tls_cert) or api.behind_proxy or api.public_url.startswith("https://")
