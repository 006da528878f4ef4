"""TLS of one side (RFC 3261 §26.3.1): its certificates, their renewal without a restart, whom to trust.

TLS 1.2 and 1.3. Phones show no certificate of their own; a neighbour that we connect to is verified, name and chain.
"""

import ssl
from collections.abc import Iterable
from pathlib import Path

import structlog

from gateway.config import ConfigError, SideConfig

__all__ = ["SideTls"]

log = structlog.get_logger()


class SideTls:
    """The contexts of one side; raises `ConfigError` where its files can't be used."""

    def __init__(self, side: str, config: SideConfig) -> None:
        self._side = side
        self._certificate, self._key = config.tls_cert, config.tls_key
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.client = ssl.create_default_context(cafile=_existing(side, config.tls_ca))
        for context in (self.server, self.client):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._seen = self._stamps()
        try:
            self._load()
        except (OSError, ssl.SSLError) as error:
            said = f"sip.{side}: tls_cert and tls_key can't be used: {_reason(error)}: name a pair in PEM"
            raise ConfigError(said) from None

    def refresh(self) -> bool:
        """Load the pair again where its files changed; False where they can't be used, then the old one stays."""
        stamps = self._stamps()
        if stamps == self._seen:
            return True
        self._seen = stamps
        try:
            self._load()
        except (OSError, ssl.SSLError) as error:
            log.error("a renewed certificate can't be used: the old one stays", side=self._side, fault=_reason(error))
            return False
        log.info("certificate renewed", side=self._side)
        return True

    def _load(self) -> None:
        # a throw-away context first: a pair that doesn't fit must not spoil the one in use
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
        for context in (self.server, self.client):
            context.load_cert_chain(self._certificate, self._key)

    def _stamps(self) -> tuple[int | None, ...]:
        return tuple(_stamp((self._certificate, self._key)))


def _stamp(files: Iterable[str]) -> Iterable[int | None]:
    for file in files:
        try:
            yield Path(file).stat().st_mtime_ns
        except OSError:
            yield None


def _existing(side: str, file: str) -> str | None:
    if file and not Path(file).is_file():
        raise ConfigError(f"sip.{side}.tls_ca: `{file}` doesn't exist")
    return file or None


def _reason(error: OSError) -> str:
    return (error.strerror or getattr(error, "reason", "") or str(error)).lower()
