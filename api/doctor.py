"""What `fairtap doctor` looks at: each check says what it found and, where something is wrong, what to do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import socket
import sqlite3
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from api.control_client import ask_once
from api.doctor_log import log_fault
from api.doctor_peers import NextHop, answers, next_hops
from api.errors import Problem
from api.home import Home, initialised
from api.passed_lines import sees_no_media
from api.serve import split_listen
from api.start_check import start_faults
from audio import libopus
from gateway.config import Config, Listener
from gateway.control.protocol import PassedThrough, Status

__all__ = ["Finding", "examine"]

FILES_NEEDED: Final = 4096
BYTES_NEEDED: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One check."""

    what: str
    ok: bool
    said: str

    def plain(self) -> dict[str, Any]:
        """As JSON members."""
        return asdict(self)


async def examine(home: Home, refused_by: Callable[[Home], Awaitable[list[str]]] = start_faults) -> list[Finding]:
    """Every check that can be made from here, whether or not the gateway runs; `refused_by`: what a start refuses."""
    findings = [Finding("configuration", True, f"`{home.file}` can be read"), _folder(home), _disk(home), _files()]
    refused = await refused_by(home)
    findings += [Finding("start", False, fault) for fault in refused]
    findings += [] if refused else [Finding("start", True, "the gateway would refuse nothing of it")]
    findings += [_internal(home), _codecs(), await asyncio.to_thread(_log, home)]
    status, running = await _gateway(home)
    findings.append(running)
    findings += _announcements(status or {})
    if status is None:
        findings += await asyncio.to_thread(lambda: list(_ports(home)))
        findings += _database(home)
    else:
        findings += _site(status)
        findings += await _media(home)
    findings += [*_media_addresses(home.config), *_certificate(home.config)]
    hops = list(next_hops(home.config))
    there = await asyncio.gather(*(answers(hop) for hop in hops))
    return findings + [_peer(hop, well) for hop, well in zip(hops, there, strict=True)]


def _folder(home: Home) -> Finding:
    if not initialised(home):
        return Finding("data folder", False, f"`{home.data_dir}` isn't set up: run `fairtap init`")
    if not os.access(home.data_dir, os.W_OK):
        return Finding("data folder", False, f"`{home.data_dir}` can't be written by this account")
    stranger = _stranger(home.data_dir)
    if stranger is not None:
        owner = home.data_dir.stat().st_uid
        said = f"`{stranger}` isn't its owner's, who can't serve then: `chown -R {owner} {home.data_dir}`"
        return Finding("data folder", False, said)
    return Finding("data folder", True, f"`{home.data_dir}` is set up")


def _stranger(folder: Path) -> Path | None:
    """What another account has left there, such as a root that ran a command: the first of it, two levels deep."""
    owner = folder.stat().st_uid
    with contextlib.suppress(FileNotFoundError):  # a running gateway takes files away
        return next((one for one in (*folder.glob("*"), *folder.glob("*/*")) if one.lstat().st_uid != owner), None)
    return None


def _disk(home: Home) -> Finding:
    place = home.data_dir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    said = f"{free // (1 << 20)} MiB free"
    return Finding("disk", free >= BYTES_NEEDED, said if free >= BYTES_NEEDED else f"{said}: make room, 1 GiB at least")


def _files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_NEEDED:
        return Finding(
            "file limit", False, f"{soft} open files: raise it to {FILES_NEEDED} (`ulimit -n {FILES_NEEDED}`)"
        )
    return Finding("file limit", True, f"{soft} open files")


def _internal(home: Home) -> Finding:
    count = len(home.config.sip.identity.internal)
    said = f"{count} entries; calls with them are never recorded" if count else "none named: only seats count as staff"
    return Finding("internal numbers", True, said)


def _codecs() -> Finding:
    if libopus.available():
        return Finding("codecs", True, "G.711, G.722 and Opus: callers can be asked in each")
    return Finding("codecs", True, "G.711 and G.722; for calls in Opus alone install libopus (Debian: `libopus0`)")


def _log(home: Home) -> Finding:
    entries, fault = log_fault(home.data_dir)
    if fault is not None:
        return Finding(
            "log", False, f"{fault}: put the log's files back from a backup; tell the council before it asks"
        )
    return Finding("log", True, f"{entries} entries hash to their checkpoints")


async def _gateway(home: Home) -> tuple[dict[str, Any] | None, Finding]:
    try:
        return await ask_once(home.socket, Status(), 2.0), Finding("gateway", True, "runs and answers")
    except Problem as problem:
        if not home.socket.exists():
            return None, Finding("gateway", True, "doesn't run; start it with `fairtap run`")
        return None, Finding("gateway", False, f"{problem.detail}: look at its log, start it again")


def _announcements(status: dict[str, Any]) -> Iterator[Finding]:
    """As a running gateway tells it; without one, `fairtap announcement list` looks at the files."""
    for fault in status.get("announcements", ()):
        yield Finding(
            "announcements", False, f"{fault}: nobody is asked with it; put the file back, or agree on another"
        )
    for purpose in status.get("unaskable", ()):
        said = f"no caller can be asked for `{purpose}`, so nothing is recorded for it: see `fairtap announcement list`"
        yield Finding("questions", False, said)
    if status.get("agreement") and not status.get("announcements") and not status.get("unaskable"):
        yield Finding("announcements", True, "everything that the agreement names can be played")


def _site(status: dict[str, Any]) -> Iterator[Finding]:
    """What the gateway itself knows to be wrong."""
    trusted, writes, workers = (status.get(name) for name in ("clock_trusted", "storage_available", "workers"))
    clock = "trusted" if trusted else "was set back or jumped: nothing is recorded; run a time service"
    yield Finding("clock", bool(trusted), clock)
    storage = "can be written" if writes else "a write failed: nothing is recorded; look at the disk"
    yield Finding("storage", bool(writes), storage)
    yield Finding("media workers", bool(workers), f"{workers} connected" if workers else "none: calls pass without us")


async def _media(home: Home) -> list[Finding]:
    """From a week's calls: whether their media comes here at all."""
    total = (await ask_once(home.socket, PassedThrough(7), 2.0)).get("total", {})
    answered, without = total.get("answered", 0), total.get("silent both", 0)
    if not sees_no_media(total):
        return [Finding("direct media", True, f"{answered} calls were answered in a week, {without} without any media")]
    said = (
        f"{without} of {answered} answered calls had no media here: turn direct media off "
        "(Asterisk `direct_media=no`, FreeSWITCH `bypass_media=false`), and open the ports of `[media] ports`"
    )
    return [Finding("direct media", False, said)]


def _database(home: Home) -> Iterator[Finding]:
    """Whether SQLite's pages are whole; a server looks after its own."""
    url = home.config.database_url
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not path.exists():
        return
    if not os.access(path, os.R_OK | os.W_OK):
        yield Finding("database", False, f"`{path}` isn't this account's: run this as its owner, or as root")
        return
    try:
        # not `mode=ro`, which leaves its -wal and -shm behind; it writes nothing all the same
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
            database.execute("PRAGMA query_only = ON")
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        yield Finding("database", False, f"`{path}` can't be read ({error}): put a backup back")
    else:
        said = "is whole" if found == "ok" else f"is damaged ({found}): put a backup back"
        yield Finding("database", found == "ok", f"`{path}` {said}")


def _peer(hop: NextHop, well: bool) -> Finding:
    if well:
        return Finding(f"{hop.side}, next hop", True, f"`{hop.text}` answers")
    said = f"`{hop.text}` doesn't answer OPTIONS from this machine: is it up, and does it know this address?"
    return Finding(f"{hop.side}, next hop", False, said)


def _media_addresses(config: Config) -> Iterator[Finding]:
    """Where it isn't this machine's, every call would pass without us, as if no port were left."""
    for name, side in (("caller side", config.sip.caller_side), ("agent side", config.sip.agent_side)):
        if not (side.listen or config.ng.listen):
            continue
        host, what = side.media_address, f"{name}, media"
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, 0))
            except OSError as error:
                said = f"media_address `{host}` can't be used ({error.strerror}): name an address of this machine"
                yield Finding(what, False, said)
            else:
                yield Finding(what, True, f"`{host}` is this machine's")


def _certificate(config: Config) -> Iterator[Finding]:
    """The API's: those of SIP are among what the gateway would refuse."""
    if not config.api.tls_cert:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.api.tls_cert, config.api.tls_key)
    except OSError as error:  # also one that isn't the key's
        said = f"tls_cert and tls_key can't be used ({error.strerror or type(error).__name__}): name a pair in PEM"
        yield Finding("api, certificate", False, said)
    else:
        yield Finding("api, certificate", True, f"`{config.api.tls_cert}` and its key can be used")


def _ports(home: Home) -> Iterator[Finding]:
    config = home.config
    wanted = [("api", "tcp", *split_listen(config.api.listen))]
    for name, side in (("caller side", config.sip.caller_side), ("agent side", config.sip.agent_side)):
        wanted += [(name, one.transport, one.host, one.port) for one in side.listeners]
    wanted += [("ng port", one.transport, one.host, one.port) for one in map(Listener.parse, config.ng.listen)]
    for name, transport, host, port in wanted:
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                said = (
                    f"{transport} {host}:{port} can't be used ({error.strerror}): free it or change the configuration"
                )
                yield Finding(name, False, said)
            else:
                yield Finding(name, True, f"{transport} {host}:{port} is free")
