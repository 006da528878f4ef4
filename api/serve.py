"""The API as a process: `python -m api.serve --config F`. TLS where configured, one loop, no access log."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import structlog
import uvicorn

from api.app import create_app
from api.control_client import ControlClient
from api.database import Database
from api.live import LiveHub
from api.log_lines import set_up_logs
from api.services import Services
from api.site import SiteFolder
from gateway.clock import SystemClock
from gateway.config import Config, ConfigError, load_config
from storage.lock import restoring_mark

__all__ = ["api_database", "make_services", "split_listen"]

GRACEFUL_S = 1
"""A page that listens would keep the server for ever."""


def api_database(config: Config) -> Path:
    """Where the API's own database lies."""
    return config.site.data_dir.absolute() / "api.db"


def make_services(config: Config) -> Services:
    """Everything behind the routes, on the real data folder, control port and clock."""
    hub = LiveHub()
    control = ControlClient(config.run_dir / "control.sock", hub)
    database = Database(api_database(config))
    site = SiteFolder(config, SystemClock())
    resources = (database, site, control)
    return Services(config, SystemClock(), database, site, control, hub, resources=resources)


def split_listen(listen: str) -> tuple[str, int]:
    """`127.0.0.1:8080` or `[::1]:8080` as host and port."""
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM; rc 2 for a configuration that can't be used."""
    parser = argparse.ArgumentParser(prog="python -m api.serve", description=__doc__)
    parser.add_argument("--config", type=Path, default=None)
    options = parser.parse_args(arguments)
    set_up_logs()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    try:
        config = load_config(options.config)
    except ConfigError as error:
        sys.stderr.write(f"api: {error}\n")
        return 2
    if restoring_mark(config.site.data_dir.absolute()).exists():
        sys.stderr.write("api: a restore isn't finished in this data folder: run `fairtap restore` again\n")
        return 2
    _run(config)
    return 0


def _run(config: Config) -> None:
    os.umask(0o077)
    services = make_services(config)
    host, port = split_listen(config.api.listen)
    api = config.api
    structlog.get_logger("api").info("api starts", tls=bool(api.tls_cert))
    uvicorn.run(
        create_app(services),
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=api.behind_proxy,
        forwarded_allow_ips="*" if api.behind_proxy else None,
        ssl_certfile=api.tls_cert or None,
        ssl_keyfile=api.tls_key or None,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=GRACEFUL_S,
        limit_concurrency=4096,
    )


if __name__ == "__main__":
    sys.exit(main())
