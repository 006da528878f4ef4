"""FreeSWITCH's event socket (ESL, inbound) as a link reads it: framing, sign-in, the events of bridges.

A channel whose profile or gateway is the trunk's is a trunk channel and told by its SIP Call-ID; any other is named by
the extension that dialled or was dialled. Never commands a call.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import unquote

from api.links.errors import LinkError
from api.links.pairing import Pairing
from api.links.pulse import PATIENCE, kept_alive

__all__ = ["FreeSwitch"]

MAX_BODY: Final = 262_144
ANSWER_S: Final = 5.0
EVENTS: Final = "CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_UUID CHANNEL_HANGUP_COMPLETE"
_EXTENSION: Final = re.compile(r"[A-Za-z0-9*#+._-]{1,32}\Z")
_PROFILE: Final = re.compile(r"sofia/([^/]+)/")

Fields = dict[str, str]


class FreeSwitch:
    """One connection; `talking` after every step of `follow`. Raises `LinkError`, OSError, TimeoutError."""

    def __init__(self, host: str, port: int, secret: str, trunk: str) -> None:
        self._place = (host, port)
        self._secret = secret
        self._trunk = trunk
        self._pairing = Pairing()

    async def follow(self) -> AsyncIterator[dict[str, str | None]]:
        """Who talks to whom, again after everything that was told."""
        reader, writer = await asyncio.open_connection(*self._place, limit=MAX_BODY)
        try:
            if (await _soon(reader)).get("Content-Type") != "auth/request":
                raise LinkError("this isn't FreeSWITCH's event socket: check host and port")
            writer.write(f"auth {self._secret}\n\n".encode())
            if not (await _soon(reader)).get("Reply-Text", "").startswith("+OK"):
                raise LinkError("FreeSWITCH refused the sign-in: check the password in event_socket.conf.xml")

            async def subscribe() -> None:
                writer.write(f"event plain {EVENTS}\n\n".encode())
                await writer.drain()

            await subscribe()
            # once more changes nothing, and is answered
            async with kept_alive(writer, subscribe, PATIENCE) as pulse:
                while True:
                    told = await _message(reader)
                    pulse.beat()
                    if told.get("Content-Type") == "text/disconnect-notice":
                        raise ConnectionResetError("the PBX hung up")
                    if told.get("Reply-Text", "").startswith("-ERR"):
                        raise LinkError("FreeSWITCH refused to tell its events: check the socket's rights")
                    self._take(told)
                    yield self._pairing.talking()
        finally:
            writer.close()

    def _take(self, told: Fields) -> None:
        channel = told.get("Unique-ID", "")
        match told.get("Event-Name"):
            case "CHANNEL_CREATE" | "CHANNEL_ANSWER":
                self._met(channel, told)
            case "CHANNEL_BRIDGE":
                self._met(channel, told)
                one, other = told.get("Bridge-A-Unique-ID", channel), told.get("Bridge-B-Unique-ID", "")
                bridge = f"{one}+{other}"
                self._pairing.entered(bridge, one)
                self._pairing.entered(bridge, other or told.get("Other-Leg-Unique-ID", ""))
            case "CHANNEL_UNBRIDGE":
                self._pairing.left(told.get("Bridge-A-Unique-ID", channel))
                self._pairing.left(told.get("Bridge-B-Unique-ID", ""))
            case "CHANNEL_UUID":
                self._pairing.renamed(told.get("Old-Unique-ID", ""), channel)
            case "CHANNEL_HANGUP_COMPLETE":
                self._pairing.hung_up(channel)

    def _met(self, channel: str, told: Fields) -> None:
        profile = _PROFILE.match(told.get("Channel-Name", ""))
        names = {profile[1] if profile else "", told.get("variable_sip_gateway_name", "")}
        call_id = told.get("variable_sip_call_id", "")
        if self._trunk in names:
            if call_id:
                self._pairing.trunk(channel, call_id)
            return
        # the one who called is known by name, the one who was called by what was dialled
        inbound = told.get("Call-Direction") == "inbound"
        named = (
            ("variable_user_name", "Caller-Username")
            if inbound
            else ("variable_dialed_user", "Caller-Destination-Number")
        )
        extension = next((told[name] for name in named if told.get(name)), "")
        if _EXTENSION.match(extension):
            self._pairing.extension(channel, extension)


async def _soon(reader: asyncio.StreamReader) -> Fields:
    """While signing in: a server that says nothing is none."""
    return await asyncio.wait_for(_message(reader), ANSWER_S)


async def _message(reader: asyncio.StreamReader) -> Fields:
    """The headers of a message, overlaid with those of an event in its body; values are URL-encoded there."""
    try:
        head = _fields(await reader.readuntil(b"\n\n"))
        length = head.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise LinkError("a message longer than 256 KiB")
        body = await reader.readexactly(int(length))
    except asyncio.LimitOverrunError:
        raise LinkError("a message longer than 256 KiB") from None
    except asyncio.IncompleteReadError:
        raise ConnectionResetError("the PBX hung up") from None
    if head.get("Content-Type") != "text/event-plain":
        return head
    return {**head, **{name: unquote(value) for name, value in _fields(body.split(b"\n\n")[0]).items()}}


def _fields(raw: bytes) -> Fields:
    pairs = (line.partition(":") for line in raw.decode("utf-8", "replace").split("\n"))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}
