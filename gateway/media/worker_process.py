"""The process around a `Worker`: its loop, its socket `{run_dir}/worker-{index}.sock`, nothing of it in core dumps."""

import asyncio
import contextlib
import ctypes
import fcntl
import gc
import logging
import os
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TextIO

import uvloop

from gateway.clock import Clock, SystemClock
from gateway.config import Config
from gateway.media.datapath.base import Observer
from gateway.media.datapath.ports import PortPool, share
from gateway.media.datapath.userspace import UserspaceDatapath
from gateway.media.errors import MediaError
from gateway.media.gateway_line import GatewayLine
from gateway.media.journal import Journal
from gateway.media.prompts.plain_sounds import plain_folder
from gateway.media.prompts.sounds import Catalogue, own_folder
from gateway.media.recording.segment_file import Headers, Payloads
from gateway.media.recording.session import Surroundings
from gateway.media.worker import Worker
from storage.blobs import LocalBlobs
from storage.vault import LocalVault

_PR_SET_DUMPABLE: Final = 4
_MCL_CURRENT_FUTURE_ONFAULT: Final = 7

_log = logging.getLogger("fairtap.media")


def worker_count(config: Config) -> int:
    """How many workers there are: as configured, or one for each core."""
    return config.media.workers or os.cpu_count() or 1


def socket_path(config: Config, index: int) -> Path:
    """Where worker `index` listens for its gateway."""
    return config.run_dir / f"worker-{index}.sock"


def serve(config: Config, index: int) -> None:
    """Be worker `index` until SIGTERM or SIGINT. Raises MediaError where another one is."""
    harden()
    config.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = socket_path(config, index)
    with _only_one(config.run_dir / f"worker-{index}.lock"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as run:
        path.unlink(missing_ok=True)
        run.run(_serve(config, index))
        path.unlink(missing_ok=True)


def harden() -> None:
    """Keep audio and keys out of core dumps and swap as far as the platform lets us; files and socket for us only."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        # under a limit, locking what is yet to come would make allocations fail
        if os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
            libc.mlockall(_MCL_CURRENT_FUTURE_ONFAULT)


def make_worker(
    config: Config, index: int, clock: Clock, writer: ThreadPoolExecutor, payloads: Payloads, vault: Headers
) -> Worker:
    """A worker with its datapath, in the running loop."""
    loop = asyncio.get_running_loop()
    pool = PortPool(share(config.media.ports, worker_count(config), index), config.media.cooldown_s)

    def datapath(observer: Observer) -> UserspaceDatapath:
        return UserspaceDatapath(loop, clock, pool, observer)

    data_dir = config.site.data_dir.absolute()
    catalogue = Catalogue(own=own_folder(data_dir), plain=plain_folder(data_dir))
    journal = Journal(config.run_dir / f"worker-{index}.journal")
    return Worker(index, clock, datapath, Surroundings(clock, writer, payloads, vault), journal, catalogue)


async def _serve(config: Config, index: int) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    data = config.site.data_dir.absolute()
    with ThreadPoolExecutor(1, "segments") as writer:
        worker = make_worker(config, index, SystemClock(), writer, LocalBlobs(data), LocalVault(data))
        worker.start()
        line = GatewayLine(worker, socket_path(config, index))
        line.serve()
        # what is there now stays: the collector needn't walk it while packets wait
        gc.collect()
        gc.freeze()
        _log.info("worker %d listens", index)
        await over.wait()
        await line.close()
        # leaving waits for the writer thread, which seals what was open
        worker.stop()


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        _lock(lock)
        yield


def _lock(file: TextIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise MediaError("another worker of this index is running") from None
