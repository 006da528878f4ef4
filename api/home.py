"""Where a command finds its configuration, and the embedded defaults with which everything simply starts.

The defaults listen on loopback only: callers are expected at 127.0.0.2, phones at 127.0.0.3.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api.errors import CommandError
from gateway.config import Config, ConfigError, load_config

__all__ = ["DEFAULT_NAME", "Home", "default_text", "find_home", "initialised"]

DEFAULT_NAME: Final = "fairtap.toml"
WRONG_USE: Final = 2


@dataclass(frozen=True, slots=True)
class Home:
    """A configuration and the file it came from."""

    config: Config
    file: Path

    @property
    def data_dir(self) -> Path:
        """The data folder, absolute."""
        return self.config.site.data_dir.absolute()

    @property
    def socket(self) -> Path:
        """The gateway's control port."""
        return self.config.run_dir / "control.sock"


def find_home(given: Path | None, *, make: bool = False) -> Home:
    """The named file, else `./fairtap.toml`; with `make`, one of defaults is written where there is none."""
    file = given or Path(DEFAULT_NAME)
    if make and not file.exists():
        try:
            file.write_text(default_text(file.absolute().parent / "var"), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"`{file}`: {error.strerror or error}") from None
    try:
        return Home(load_config(file), file.absolute())
    except ConfigError as error:
        raise CommandError(str(error), WRONG_USE) from None


def initialised(home: Home) -> bool:
    """Whether `fairtap init` was run on this data folder."""
    return (home.data_dir / "keys" / "gateway.sign").exists()


def default_text(data_dir: Path) -> str:
    """A configuration that starts anywhere: loopback only, no recording without an agreement."""
    return f"""# Fairtap on this machine alone. Every key also as FAIRTAP_SECTION__KEY; an unknown key is refused.
[site]
name = "site"
data_dir = {json.dumps(str(data_dir))}

[sip.caller_side]
listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]
peers = ["127.0.0.2/32"]
next_hops = ["127.0.0.2:5060"]
media_address = "127.0.0.1"

[sip.agent_side]
listen = ["udp:127.0.0.1:5070", "tcp:127.0.0.1:5070"]
peers = ["127.0.0.3/32"]
next_hops = ["127.0.0.3:5060"]
media_address = "127.0.0.1"

[api]
listen = "127.0.0.1:8080"
"""
