"""`fairtap.toml`: where things listen and lie, and who the peers are. Nothing in it that the works agreement states.

Every key also as `FAIRTAP_SECTION__KEY`, secrets also as `…_FILE`. An unknown key is refused, and so is what this
version cannot do (SIPREC, the kernel datapath, OIDC): silently not doing it would be worse.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gateway.errors import GatewayError
from policy.agreement.faults import printable
from storage.named_file import read_named, why_not

__all__ = ["Config", "ConfigError", "InternalNumbers", "Listener", "Peer", "SideConfig", "load_config"]

ENV_PREFIX = "FAIRTAP_"
SECRETS = frozenset({"STORAGE__DATABASE"})
OUTSIDE_SECTIONS = frozenset({"DRAIN_S"})
"""Keys that stand before the first section; any other variable without `__` is somebody else's."""


class ConfigError(GatewayError):
    """The configuration cannot be used; the message says which key and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`udp:192.0.2.1:5060`: one address on which SIP arrives."""

    transport: Literal["udp", "tcp", "tls"]
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Listener":
        """Read `transport:host:port`; IPv6 in brackets; raises `ValueError`."""
        transport, _, rest = text.partition(":")
        if transport not in ("udp", "tcp", "tls"):
            raise ValueError(f"`{text}`: write udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT")
        host, _, port = rest.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        ipaddress.ip_address(host)
        if not port.isdecimal() or not 0 <= int(port) < 65536:
            raise ValueError(f"`{text}`: the port must be a number below 65536")
        return cls(transport, host, int(port))  # type: ignore[arg-type]  # narrowed by the test above


@dataclass(frozen=True, slots=True)
class Peer:
    """`network` or `network:port`: whom a side takes requests from; then what is to be known of its media."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    port: int | None = None
    downgrade: bool = False
    """It speaks plain RTP: SRTP of the other party ends here."""
    srtp: bool = False
    """It takes SRTP only: what comes from a `downgrade` peer is offered to it with keys of ours."""

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """Read `198.51.100.0/24`, `198.51.100.7:5060 downgrade` or `[2001:db8::/32]:5060 srtp`; raises `ValueError`."""
        place, *words = text.split() or [""]
        if words not in ([], ["downgrade"], ["srtp"]):
            raise ValueError(f"`{text}`: behind the network may stand `downgrade` or `srtp`")
        network, port = place, ""
        if place.startswith("["):
            network, _, port = place[1:].partition("]")
            port = port.removeprefix(":")
        elif place.count(":") == 1:
            network, _, port = place.partition(":")
        if port and not (port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"`{text}`: the port must be a number below 65536")
        parsed = ipaddress.ip_network(network, strict=True)
        return cls(parsed, int(port) if port else None, "downgrade" in words, "srtp" in words)

    def admits(self, host: str, port: int) -> bool:
        """Whether a packet from there is this peer's."""
        address = ipaddress.ip_address(host)
        return address.version == self.network.version and address in self.network and self.port in (None, port)

    def overlaps(self, other: "Peer") -> bool:
        """Whether some source would count as both."""
        if self.network.version != other.network.version or not self.network.overlaps(other.network):
            return False
        return self.port is None or other.port is None or self.port == other.port


@dataclass(frozen=True, slots=True)
class InternalNumbers:
    """Which numbers are the house's own: `1xx` (x: any digit), `+49401234*` (any further digits), `200-299`."""

    pattern: re.Pattern[str] | None = None
    low: int = 0
    high: int = -1
    length: int = 0

    @classmethod
    def parse(cls, text: str) -> "InternalNumbers":
        """Read one entry; raises `ValueError`."""
        if bounds := re.fullmatch(r"([0-9]{1,15})-([0-9]{1,15})", text):
            low, high = bounds.groups()
            if len(low) != len(high) or low > high:
                raise ValueError(f"`{text}`: both ends need as many digits, the lower one first")
            return cls(low=int(low), high=int(high), length=len(low))
        if not re.fullmatch(r"\+?[0-9][0-9x]{0,14}\*?|x{1,15}", text):
            raise ValueError(f"`{text}`: write 1xx (x: any digit), +49401234* (any further digits) or 200-299")
        shape = text.removeprefix("+").replace("x", "[0-9]").replace("*", "[0-9]*")
        return cls(pattern=re.compile(shape, re.ASCII))

    def __contains__(self, number: str) -> bool:
        """By the number's digits alone: `+`, spaces, dashes and parameters don't count."""
        digits = re.sub(r"[^0-9]", "", number.split("@")[0].split(";")[0])
        if self.pattern is not None:
            return self.pattern.fullmatch(digits) is not None
        return len(digits) == self.length and self.low <= int(digits) <= self.high


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteConfig(_Section):
    """Name of the site and where its data lies."""

    name: str = Field(default="site", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    data_dir: Path = Path("var")


class SideConfig(_Section):
    """One side of the gateway: caller side (carrier or PBX) or agent side (PBX or phones)."""

    listen: list[str] = []
    peers: list[str] = []
    next_hops: list[str] = []
    media_address: str = "127.0.0.1"
    advertised: str = ""
    allow_nat: bool = False
    probe_s: float = Field(default=10.0, ge=0.0, le=600.0)
    """How often each next hop is asked by OPTIONS whether it is there; 0: never."""
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    """Whom to trust when we connect to a next hop; empty: the system's authorities."""

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: list[str]) -> list[str]:
        for text in value:
            Listener.parse(text)
        return value

    @field_validator("peers")
    @classmethod
    def _peers(cls, value: list[str]) -> list[str]:
        for text in value:
            Peer.parse(text)
        return value

    @field_validator("media_address")
    @classmethod
    def _media(cls, value: str) -> str:
        address = ipaddress.ip_address(value)
        if address.is_unspecified or address.is_multicast or "%" in value:
            raise ValueError(f"`{value}` is no address that peers can send media to: name the one of this machine")
        return value

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The parsed `listen`."""
        return tuple(Listener.parse(text) for text in self.listen)

    @property
    def peer_list(self) -> tuple[Peer, ...]:
        """The parsed `peers`."""
        return tuple(Peer.parse(text) for text in self.peers)


class IdentityConfig(_Section):
    """Where a leg's extension and queue are read, which side the PBX is on, which numbers are the house's own."""

    extension: list[str] = ["header:X-Fairtap-Extension", "p-asserted-identity", "request-uri"]
    queue: str = "header:X-Fairtap-Queue"
    called: list[str] = ["header:X-Fairtap-Called", "request-uri"]
    """Where the number that was called is read, first hit counts."""
    placement: Literal["phones", "trunk"] = "phones"
    internal: list[str] = Field(default=[], max_length=256)
    """Numbers of the house: a call with one of them is never recorded (PARTY_INTERNAL)."""

    @field_validator("extension")
    @classmethod
    def _extension(cls, value: list[str]) -> list[str]:
        for source in value:
            if source not in ("p-asserted-identity", "request-uri") and not source.startswith("header:X-Fairtap-"):
                raise ValueError(f"`{source}`: use header:X-Fairtap-…, p-asserted-identity or request-uri")
        return value

    @field_validator("called")
    @classmethod
    def _called(cls, value: list[str]) -> list[str]:
        for source in value:
            if source != "request-uri" and not source.startswith("header:X-Fairtap-"):
                raise ValueError(f"`{source}`: use header:X-Fairtap-… or request-uri")
        return value

    @field_validator("internal")
    @classmethod
    def _internal(cls, value: list[str]) -> list[str]:
        for text in value:
            InternalNumbers.parse(text)
        return value

    @property
    def internal_numbers(self) -> tuple[InternalNumbers, ...]:
        """The parsed `internal`."""
        return tuple(InternalNumbers.parse(text) for text in self.internal)


class LimitsConfig(_Section):
    """What one source, and all together, may send; emergency calls have a budget of their own."""

    messages_per_s: float = Field(default=1000.0, ge=10.0, le=1_000_000.0)
    """Of one source, for as long as it likes; twice as many at once. What is more is dropped."""
    calls_per_s: float = Field(default=50.0, ge=1.0, le=100_000.0)
    """New calls of one source, twice as many at once. The rest is answered 503."""
    open_requests: int = Field(default=20_000, ge=100, le=1_000_000)
    """Requests whose transactions aren't over; one source may have half of them."""


class SipConfig(_Section):
    """Both sides and who is who on them."""

    caller_side: SideConfig = SideConfig()
    agent_side: SideConfig = SideConfig()
    identity: IdentityConfig = IdentityConfig()
    limits: LimitsConfig = LimitsConfig()


class ListenOnly(_Section):
    """A way in that is off while `listen` is empty."""

    listen: list[str] = []


PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""RFC 1918, RFC 4193."""


class NgConfig(ListenOnly):
    """The ng control port, and how its proxies call the interfaces of either side in `direction=`."""

    caller_interfaces: list[str] = ["caller"]
    agent_interfaces: list[str] = ["agent"]


class MediaConfig(_Section):
    """Ports of the relay, its processes and how it forwards."""

    ports: tuple[int, int] = (30000, 39999)
    workers: int = Field(default=0, ge=0, le=256)
    datapath: Literal["userspace", "kernel"] = "userspace"
    cooldown_s: float = Field(default=30.0, ge=0.0, le=600.0)
    """How long a freed port is left alone, so that no packet of an old call meets a new one."""

    @field_validator("ports")
    @classmethod
    def _ports(cls, value: tuple[int, int]) -> tuple[int, int]:
        low, high = value
        if not 1024 <= low < high <= 65535:
            raise ValueError("ports must be [LOW, HIGH] with 1024 ≤ LOW < HIGH ≤ 65535")
        return value


Language = Literal["de", "en", "nb"]
"""Those that there are notices in, and that an agreement knows."""


class AnnouncementsConfig(_Section):
    """In which language callers are asked, of those that the agreement names prompts in; it grants nothing."""

    by_queue: dict[str, Language] = {}
    by_number: dict[str, Language] = {}
    """Patterns as of `sip.identity.internal`; the first that the called number is in."""
    otherwise: Language | None = None
    """None: the language of the prompt that the agreement names first."""

    @field_validator("by_number")
    @classmethod
    def _by_number(cls, value: dict[str, Language]) -> dict[str, Language]:
        for pattern in value:
            InternalNumbers.parse(pattern)
        return value

    def language(self, queue: str | None, called: str | None) -> Language | None:
        """Of a call from a queue, to a number; the queue's goes first."""
        if queue is not None and queue in self.by_queue:
            return self.by_queue[queue]
        if called is None:
            return self.otherwise
        return next((language for numbers, language in self._numbers if called in numbers), self.otherwise)

    @cached_property
    def _numbers(self) -> tuple[tuple[InternalNumbers, Language], ...]:
        return tuple((InternalNumbers.parse(pattern), language) for pattern, language in self.by_number.items())


class StorageConfig(_Section):
    """Index and recordings."""

    database: str = "sqlite:///{data_dir}/fairtap.db"
    recordings: str = "file:{data_dir}"


class LogConfig(_Section):
    """Publication of the site's log."""

    publish_s: int = Field(default=60, ge=1, le=3600)


class ApiConfig(_Section):
    """Where the API listens."""

    listen: str = "127.0.0.1:8080"
    tls_cert: str = ""
    tls_key: str = ""
    behind_proxy: bool = False
    public_url: str = ""
    oidc_issuer: str = ""


class Config(_Section):
    """The whole of `fairtap.toml`, checked."""

    site: SiteConfig = SiteConfig()
    sip: SipConfig = SipConfig()
    ng: NgConfig = NgConfig()
    siprec: ListenOnly = ListenOnly()
    media: MediaConfig = MediaConfig()
    announcements: AnnouncementsConfig = AnnouncementsConfig()
    storage: StorageConfig = StorageConfig()
    log: LogConfig = LogConfig()
    api: ApiConfig = ApiConfig()
    drain_s: int = Field(default=60, ge=0, le=7200)
    """How long running calls may go on after SIGTERM."""

    @model_validator(mode="after")
    def _refuse_what_cannot_work(self) -> "Config":
        for fault in _faults(self):
            raise ValueError(fault)
        return self

    @property
    def database_url(self) -> str:
        """`storage.database` with the data folder filled in."""
        return self.storage.database.replace("{data_dir}", str(self.site.data_dir.absolute()))

    @property
    def run_dir(self) -> Path:
        """Sockets and journals."""
        return self.site.data_dir.absolute() / "run"


def _faults(config: Config) -> Iterator[str]:
    yield from _ng_faults(config.ng)
    if config.siprec.listen:
        yield "siprec.listen: SIPREC is not built yet; leave it empty"
    if config.api.oidc_issuer:
        yield "api.oidc_issuer: sign-in by OIDC is not built yet; leave it empty"
    if config.media.datapath == "kernel":
        yield 'media.datapath: "kernel" is not built yet; use "userspace"'
    if config.storage.recordings != "file:{data_dir}":
        yield "storage.recordings: only file:{data_dir} is built yet"
    for name, side in (("caller_side", config.sip.caller_side), ("agent_side", config.sip.agent_side)):
        public = [entry for entry in side.listeners if not ipaddress.ip_address(entry.host).is_loopback]
        if public and ipaddress.ip_address(side.media_address).is_loopback:
            yield (
                f"sip.{name}.media_address: `{side.media_address}` is loopback but the side listens publicly;"
                " name the address that its peers can reach"
            )
        secure = any(entry.transport == "tls" for entry in side.listeners)
        if secure and not (side.tls_cert and side.tls_key):
            yield f"sip.{name}: a tls: listener needs tls_cert and tls_key"
        if side.listen and not side.peers:
            yield f"sip.{name}.peers: name the networks whose requests are taken"
    for peer in config.sip.caller_side.peer_list:
        for other in config.sip.agent_side.peer_list:
            if peer.overlaps(other):
                yield f"sip: peers `{peer.network}` and `{other.network}` overlap: a request could be from either side"
    yield from _shared_listeners(config)
    low, high = config.media.ports
    pairs, workers = len(range(low + low % 2, high, 2)), config.media.workers
    if pairs < workers:
        yield f"media.ports: {pairs} pairs of ports for {workers} workers: each needs one for every party of a call"
    yield from _api_faults(config.api)


def _shared_listeners(config: Config) -> Iterator[str]:
    """One socket can't serve two sides, and the second one couldn't be bound."""
    seen: set[tuple[str, str, int]] = set()
    ng = tuple(Listener.parse(text) for text in config.ng.listen)
    for entry in (*config.sip.caller_side.listeners, *config.sip.agent_side.listeners, *ng):
        place = ("udp" if entry.transport == "udp" else "tcp", str(ipaddress.ip_address(entry.host)), entry.port)
        if entry.port and place in seen:
            said = f"{entry.transport}:{entry.host}:{entry.port}"
            yield f"listen: `{said}` is named twice; give each its own address or port"
        seen.add(place)


def _ng_faults(ng: NgConfig) -> Iterator[str]:
    """Who reaches this port commands calls: there is no password in the protocol."""
    for text in ng.listen:
        try:
            listener = Listener.parse(text)
        except ValueError as error:
            yield f"ng.listen: {error}"
            continue
        host = ipaddress.ip_address(listener.host)
        if listener.transport == "tls":
            yield f"ng.listen: `{text}`: udp or tcp"
        elif not host.is_loopback and not any(host in network for network in PRIVATE_NETWORKS):
            yield f"ng.listen: `{text}`: only loopback or a private address, since whoever reaches it commands calls"
    for name in sorted(set(ng.caller_interfaces) & set(ng.agent_interfaces)):
        yield f"ng: interface `{name}` can't be on both sides"


def _api_faults(api: ApiConfig) -> Iterator[str]:
    host, _, port = api.listen.rpartition(":")
    try:
        loopback = ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        yield f"api.listen: `{api.listen}` is not ADDRESS:PORT"
        return
    if not port.isdecimal() or int(port) > 65_535:
        yield f"api.listen: `{api.listen}` is not ADDRESS:PORT"
    if bool(api.tls_cert) != bool(api.tls_key):
        yield "api.tls_cert and api.tls_key go together"
    if not loopback and not api.tls_cert and not api.behind_proxy:
        yield "api.listen: plain HTTP off loopback is refused; set api.tls_cert and api.tls_key, or api.behind_proxy"


def load_config(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read the file (None: only defaults and environment); raises `ConfigError` with one line."""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(read_named(path).decode("utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"`{path}` does not exist; make one with `fairtap init`") from None
        except OSError as error:
            raise ConfigError(why_not(path, error)) from None
        except UnicodeDecodeError:
            raise ConfigError(f"`{path}` isn't text: name the configuration, TOML in UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"`{path}` isn't TOML: {str(error)[:1].lower()}{str(error)[1:]}") from None
    for name, text in sorted(environment.items()):
        if name.startswith(ENV_PREFIX) and ("__" in name or name.removeprefix(ENV_PREFIX) in OUTSIDE_SECTIONS):
            _put(values, name, text)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        said = "unknown key" if first["type"] == "extra_forbidden" else str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(printable(f"{place}: {said}" if place else said)) from None


def _put(values: dict[str, Any], variable: str, text: str) -> None:
    name = variable.removeprefix(ENV_PREFIX)
    if name.endswith("_FILE") and name.removesuffix("_FILE") in SECRETS:
        name, text = name.removesuffix("_FILE"), _secret(variable, text)
    *sections, key = name.lower().split("__")
    place = values
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise ConfigError(f"{variable}: `{section}` is not a section")
    try:
        place[key] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        place[key] = text


def _secret(variable: str, path: str) -> str:
    try:
        return read_named(Path(path)).decode("utf-8").strip()
    except (OSError, ValueError):
        raise ConfigError(f"{variable}: `{path}` can't be read") from None
