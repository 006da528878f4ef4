"""Puts the gateway process together and runs it until it is told to end: storage, engine, control port, SIP.

Start order matters: the lock first (one writer), discards before anything serves, calls of the journal before the
workers report, listeners last. Draining ends the other way round.
"""

import asyncio
import contextlib
import ipaddress
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.build import build_digest, build_entry
from gateway.clock import Clock, SystemClock
from gateway.config import Config, Listener
from gateway.control.server import ControlServer
from gateway.engine.announcements import Announcements
from gateway.engine.commands import Commands
from gateway.engine.custody import Custody
from gateway.engine.engine import Engine
from gateway.engine.epoch_commands import EpochCommands
from gateway.engine.epoch_steps import EpochSteps
from gateway.engine.ids import Ids
from gateway.engine.jobs import Jobs
from gateway.engine.ledger import Ledger, SealedShare
from gateway.engine.log_keeper import LogKeeper
from gateway.engine.protected import ProtectedListError, ProtectedParties
from gateway.engine.site import Site
from gateway.engine.workers import Workers
from gateway.event_bus import EventBus
from gateway.events import Alarm, RecordingsChanged
from gateway.ingress.inline import Inline
from gateway.ingress.names import KnownNames, SystemNames
from gateway.ingress.ng_control import NgControl
from gateway.journal import CallJournal
from gateway.media.prompts.sounds import Catalogue, own_folder
from gateway.media.worker_process import worker_count
from storage.acts import Acts
from storage.blobs import LocalBlobs
from storage.consents import Consents
from storage.database import Database
from storage.decisions import Decisions
from storage.epochs import Epochs
from storage.errors import KeyFileError
from storage.gateway_key import load_or_create, vkey
from storage.legs import Legs
from storage.lock import WriterLock
from storage.log.files import LocalLogFiles
from storage.log.publish import Publisher
from storage.record_codes import KEY_BYTES, RecordCodes, load_or_create_key
from storage.recordings import Recordings
from storage.roster import Roster
from storage.sealing import Sealer
from storage.stamp import Stamp
from storage.vault import LocalVault

__all__ = ["serve"]

log = structlog.get_logger()


@dataclass(slots=True)
class _Parts:
    engine: Engine
    workers: Workers
    control: ControlServer
    jobs: Jobs
    inline: Inline
    ng: NgControl


def serve(config: Config) -> None:
    """Be the gateway until SIGTERM or SIGINT. Raises `StorageError` or `ConfigError` where it cannot start."""
    data_dir = config.site.data_dir.absolute()
    with WriterLock(data_dir):
        asyncio.run(_serve(config))


async def _serve(config: Config) -> None:
    clock = SystemClock()
    database = await Database.open(config.database_url)
    await database.migrate()
    parts = await _assemble(config, clock, database)
    try:
        await _run(config, parts)
    finally:
        await database.close()


async def _assemble(config: Config, clock: Clock, database: Database) -> _Parts:
    data_dir = config.site.data_dir.absolute()
    key, code_key = load_or_create(data_dir), _code_key(data_dir)
    origin, build = f"{config.site.name}/fairtap", build_entry(config)
    blobs, vault = LocalBlobs(data_dir), LocalVault(data_dir)
    sealer = Sealer(blobs, vault, key, gateway=vkey(origin, key.verify_key), build=build_digest(build))
    recordings, consents = Recordings(database, sealer), Consents(database)
    bus = EventBus()
    announcements = Announcements(Catalogue(own=own_folder(data_dir)))
    announcements.look()
    publisher = Publisher(database, LocalLogFiles(data_dir), key)
    logs = LogKeeper(database, publisher, Stamp(database, data_dir), config.site.name, build, clock, bus)
    await logs.begin()
    site = Site(
        clock=clock,
        roster=Roster(database),
        consents=consents,
        acts=Acts(database),
        announcements=announcements,
        spoken=config.announcements,
        protected=_protected(config),
        internal=config.sip.identity.internal_numbers,
        draw_ready=_on_loopback(config),
        codes_ready=code_key is not None,
        acts_ahead=logs.acts_ahead,
    )
    epochs = Epochs(database, data_dir)
    engines: list[Engine] = []  # the workers report to the engine that is made with them
    workers = Workers(
        config.run_dir,
        worker_count(config),
        lambda worker, report: engines[0].reports.take(worker, report),
        lambda worker: engines[0].reports.worker_lost(worker),
    )
    decisions = Decisions(database)
    custody = Custody(
        recordings=recordings,
        decisions=decisions,
        consents=consents,
        codes=RecordCodes(database, code_key or secrets.token_bytes(KEY_BYTES)),
        key=key,
        clock=clock,
        settle=lambda worker, settled: workers.send(worker, settled),
        changed=lambda agent, recording: bus.publish(RecordingsChanged(agent, recording)),
        alarm=lambda text: bus.publish(Alarm("not_stored", text)),
    )
    engine = Engine(
        config=config,
        clock=clock,
        ids=Ids(),
        site=site,
        ledger=Ledger(
            config.site.name, Legs(database), epochs, site.book, SealedShare(), council=site.council_recipients
        ),
        custody=custody,
        workers=workers,
        bus=bus,
        journal=CallJournal(config.run_dir),
    )
    engines.append(engine)
    steps = EpochSteps(
        epochs,
        book=site.book,
        site=site,
        clock=clock,
        name=config.site.name,
        key=key.verify_key,
        publish=publisher.publish,
        recordings=recordings,
    )
    await custody.resume()
    await engine.ledger.note_leftovers()
    await site.load()
    await steps.load()
    written = (await decisions.newest(), site.book.cosigned_at, site.state.changed_at)
    site.watch.last_entry = max((at for at in written if at is not None), default=None)
    control = ControlServer(config.run_dir / "control.sock", Commands(engine, EpochCommands(steps, epochs)), bus)
    jobs = Jobs(engine, consents, config.run_dir, steps, logs, config.log.publish_s)
    # not those of `Inline`, threads and memory: whom a stranger's description names keeps no next hop's name waiting
    engine.describing.find_hosts = KnownNames(SystemNames(), clock).hosts
    return _Parts(engine, workers, control, jobs, Inline(config, engine, clock), NgControl(config, engine, clock))


async def _run(config: Config, parts: _Parts) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    loop.set_exception_handler(_tell_fault)
    adopted = parts.engine.adopt()
    parts.workers.start()
    await parts.control.start()
    parts.jobs.start()
    await parts.inline.start()
    await parts.ng.start()
    _say_state(parts.engine, adopted)
    if config.sip.identity.placement == "trunk":
        log.info("at placement `trunk` a leg has an agent only while the PBX says so: see `fairtap link`")
    await over.wait()
    parts.inline.drain()
    parts.ng.drain()
    await _drained(parts.engine, config.drain_s)
    await parts.inline.close()
    await parts.ng.close()
    await parts.jobs.close()
    await parts.control.close()
    await parts.workers.close()
    await asyncio.to_thread(parts.engine.flush_journal)
    await asyncio.to_thread(parts.engine.pass_through.save)


def _tell_fault(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What nobody awaited failed: its kind only, since a text may quote what came over the wire."""
    error = context.get("exception")
    log.error("an unattended task failed", fault=type(error).__name__ if error is not None else "unknown")


async def _drained(engine: Engine, drain_s: float) -> None:
    """Running calls go on for a while; then their recordings are sealed as they are."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(engine.idle.wait(), drain_s)
    for call_id in tuple(engine.calls):
        engine.ending(call_id)
    await engine.finished()


def _say_state(engine: Engine, adopted: int) -> None:
    agreement = engine.site.agreement
    log.info("gateway serves", calls_adopted=adopted, agreement=agreement.id if agreement else None)
    if agreement is None:
        log.info("nothing is recorded: no agreement is in force")
    elif not engine.site.draw_ready:
        log.warning("a demo's agreement is drawn under on loopback listeners only")
    for fault in engine.site.unplayable():
        log.warning("an announcement can't be played", fault=fault)
    for purpose in engine.site.unaskable():
        # README, "Limits": the agreement's prompts, and the recipients of council and data-protection officer
        log.warning("no caller can be asked for this purpose, so nothing is recorded for it", purpose=purpose.value)


def _on_loopback(config: Config) -> bool:
    """Whether only this machine can call: a demo's agreement is for nothing else (agreement.md §1)."""
    sides = (config.sip.caller_side, config.sip.agent_side)
    listeners = [*(entry for side in sides for entry in side.listeners), *map(Listener.parse, config.ng.listen)]
    return all(ipaddress.ip_address(entry.host).is_loopback for entry in listeners)


def _code_key(data_dir: Path) -> bytes | None:
    """Calls don't wait for it: without its key no record is promised to a caller, and no code finds anything."""
    try:
        return load_or_create_key(data_dir)
    except KeyFileError as error:
        log.error("no record is made on request", fault=str(error))
        return None


def _protected(config: Config) -> ProtectedParties | None:
    try:
        return ProtectedParties.load(config.site.data_dir.absolute())
    except ProtectedListError as error:
        log.error("nothing is recorded", fault=str(error))
        return None
