"""One call through a running gateway, from its caller's side to its agents' side: was it answered, is sound relayed?

`python -m demo.testcall --config FILE [--caller ADDRESS] [--phone ADDRESS]`; `fairtap testcall` runs it. Both ends are
ours, on addresses of this machine that the two sides' peers admit; nobody is called, asked or recorded.
"""

import argparse
import asyncio
import ipaddress
import json
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from demo.correlate import tone_db
from demo.g711 import RATE
from demo.phone import Call, Hop, NoAnswer, Phone, Refused
from demo.tones import tone
from gateway.config import Config, ConfigError, SideConfig, load_config

CALLER_HZ, AGENT_HZ = 500.0, 900.0
HEARD_DB = -16.0
ANSWER_S, SOUND_S = 5.0, 4.0


class CallNotPlaced(Exception):
    """One line that says what to do."""


@dataclass(frozen=True, slots=True)
class Said:
    """What came of the call."""

    answered_ms: int
    caller_hears_db: float
    agent_hears_db: float

    @property
    def ok(self) -> bool:
        """Both ends heard the other's tone."""
        return min(self.caller_hears_db, self.agent_hears_db) > HEARD_DB


def own_address(side: str, config: SideConfig, wished: str | None) -> str:
    """An address of this machine that the side's peers admit; raises `CallNotPlaced`."""
    if wished is not None and not _is_address(wished):
        raise CallNotPlaced(f"`{wished}` is no address: name one of this machine's, such as 127.0.0.2")
    hosts = [wished] if wished else [str(host) for peer in config.peer_list for host in _first_hosts(peer.network)]
    for host in hosts:
        if any(peer.admits(host, peer.port or 0) for peer in config.peer_list) and _is_ours(host):
            return host
    raise CallNotPlaced(
        f"no address of this machine is among `sip.{side}.peers`: name one there for the test, and with --"
        + ("caller" if side == "caller_side" else "phone")
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _first_hosts(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    return [network[0]] if network.num_addresses == 1 else [network[1], network[-2]]


def _is_ours(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


async def place(config: Config, caller_host: str, phone_host: str) -> Said:
    """Call, listen, hang up; raises `CallNotPlaced`."""
    entry = next((one for one in config.sip.caller_side.listeners if one.transport in ("udp", "tcp")), None)
    if entry is None:
        raise CallNotPlaced("the caller side has no udp: or tcp: listener")
    async with Phone((phone_host, 0), user="testcall") as phone, Phone((caller_host, 0), user="testcaller") as caller:
        began = time.monotonic()
        call = await caller.call(phone.uri, via=Hop(entry.transport, entry.host, entry.port))
        try:
            taken = await asyncio.wait_for(phone.incoming.get(), ANSWER_S)
            taken.answer()
            await asyncio.wait_for(asyncio.gather(call.answered, taken.answered), ANSWER_S)
        except (TimeoutError, Refused, NoAnswer) as error:
            why = f"it was refused: {error}" if isinstance(error, Refused) else "it didn't arrive at the phone"
            raise CallNotPlaced(f"{why}; is the gateway running, and has the agent side no next hop?") from None
        answered_ms = round((time.monotonic() - began) * 1000)
        call.play(tone(CALLER_HZ, SOUND_S))
        taken.play(tone(AGENT_HZ, SOUND_S))
        await asyncio.sleep(SOUND_S / 2)
        said = Said(answered_ms, _level(call, AGENT_HZ), _level(taken, CALLER_HZ))
        await call.bye()
        return said


def _level(end: Call, hertz: float) -> float:
    heard = end.heard[-RATE:]
    return round(tone_db(heard, hertz), 1) if len(heard) == RATE else -99.0


def main() -> int:
    """The command; rc 0 where both ends heard each other."""
    parser = argparse.ArgumentParser(prog="fairtap testcall")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--caller")
    parser.add_argument("--phone")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    try:
        config = load_config(asked.config)
        caller = own_address("caller_side", config.sip.caller_side, asked.caller)
        phone = own_address("agent_side", config.sip.agent_side, asked.phone)
        said = asyncio.run(place(config, caller, phone))
    except (ConfigError, CallNotPlaced) as error:
        print(f"fairtap: {error}", file=sys.stderr)
        return 1
    if asked.json:
        print(json.dumps({**asdict(said), "ok": said.ok}))
    else:
        print(f"answered after {said.answered_ms} ms")
        print(
            f"the caller hears the agent at {said.caller_hears_db} dB, the agent the caller at {said.agent_hears_db} dB"
        )
        print("sound flows both ways" if said.ok else "sound doesn't flow: open the media ports, look at media_address")
    return 0 if said.ok else 1


if __name__ == "__main__":
    sys.exit(main())
