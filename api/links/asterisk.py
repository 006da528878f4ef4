"""Asterisk's manager interface (AMI) as a link reads it: framing, sign-in, the events of bridges, variables asked for.

The secret isn't sent: an MD5 challenge is answered (`AuthType: MD5`), and pings tell whether anybody is still there.
A channel of the trunk's endpoint is a trunk channel; its SIP Call-ID is asked for. Any other PJSIP or SIP channel is
named by its device, which is the extension. Reads what was running before, and never commands a call.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Final

from api.links.errors import LinkError
from api.links.pairing import Pairing
from api.links.pulse import PATIENCE, Patience, kept_alive

__all__ = ["Asterisk", "Fields"]

Fields = dict[str, str]
MAX_MESSAGE: Final = 65_536
MAX_BEFORE: Final = 1_000
"""Messages that may come before the answer to a sign-in."""
ANSWER_S: Final = 5.0
_DEVICE: Final = re.compile(r"(PJSIP|SIP)/(.+)-[0-9a-f]{8}\Z")
_LOCAL: Final = re.compile(r"Local/.+;([12])\Z")
_EXTENSION: Final = re.compile(r"[A-Za-z0-9*#+._-]{1,32}\Z")


class Asterisk:
    """One connection; `talking` after every step of `follow`. Raises `LinkError`, OSError, TimeoutError."""

    def __init__(self, host: str, port: int, user: str, secret: str, trunk: str, patience: Patience = PATIENCE) -> None:
        self._place = (host, port)
        self._user, self._secret = user, secret
        self._trunk, self._patience = trunk, patience
        self._pairing = Pairing()
        self._asked: dict[str, str] = {}
        """Trunk channel by the action that asks for its Call-ID."""
        self._actions = 0

    async def follow(self) -> AsyncIterator[dict[str, str | None]]:
        """Who talks to whom, again after everything that was told."""
        reader, self._writer = await asyncio.open_connection(*self._place, limit=MAX_MESSAGE)
        try:
            banner = await _banner(reader)
            if not banner.startswith(b"Asterisk Call Manager"):
                raise LinkError("this isn't Asterisk's manager interface: check host and port")
            await self._sign_in(reader)
            await self._act("CoreShowChannels")
            await self._act("BridgeList")
            async with kept_alive(self._writer, self._ping, self._patience) as pulse:
                while True:
                    told = await _message(reader)
                    pulse.beat()
                    await self._take(told)
                    yield self._pairing.talking()
        finally:
            self._writer.close()

    async def _sign_in(self, reader: asyncio.StreamReader) -> None:
        asked = await self._answer_to(reader, await self._act("Challenge", AuthType="MD5"))
        challenge = asked.get("Challenge")
        if asked.get("Response") != "Success" or not challenge:
            raise LinkError("Asterisk gives no MD5 challenge: check manager.conf")
        # the digest that AMI asks for
        key = hashlib.md5(f"{challenge}{self._secret}".encode(), usedforsecurity=False).hexdigest()
        name = await self._act("Login", AuthType="MD5", Username=self._user, Key=key, Events="call")
        if (await self._answer_to(reader, name)).get("Response") != "Success":
            raise LinkError("Asterisk refused the sign-in: check user and secret in manager.conf")

    @staticmethod
    async def _answer_to(reader: asyncio.StreamReader, name: str) -> Fields:
        """The response to an action; events may come before it."""
        for _ in range(MAX_BEFORE):
            answer = await asyncio.wait_for(_message(reader), ANSWER_S)
            if "Response" in answer and answer.get("ActionID", name) == name:
                return answer
        raise LinkError("Asterisk tells much and answers nothing: check the user's rights in manager.conf")

    async def _ping(self) -> None:
        await self._act("Ping")

    async def _act(self, action: str, **fields: str) -> str:
        self._actions += 1
        name = str(self._actions)
        lines = [f"Action: {action}", f"ActionID: {name}", *(f"{key}: {value}" for key, value in fields.items())]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self._writer.drain()
        return name

    async def _take(self, told: Fields) -> None:
        channel, pairing = told.get("Channel", ""), self._pairing
        match told.get("Event"):
            case "Newchannel" | "CoreShowChannel":
                await self._met(channel)
                if told.get("BridgeId") or told.get("BridgeUniqueid"):
                    pairing.entered(told.get("BridgeId") or told["BridgeUniqueid"], channel)
            case "LocalBridge":
                pairing.local(told.get("LocalOneChannel", ""), told.get("LocalTwoChannel", ""))
            case "BridgeEnter":
                await self._met(channel)
                pairing.entered(told.get("BridgeUniqueid", ""), channel)
            case "BridgeLeave":
                pairing.left(channel)
            case "BridgeDestroy":
                pairing.destroyed(told.get("BridgeUniqueid", ""))
            case "Rename":
                pairing.renamed(channel, told.get("Newname", ""))
            case "Hangup":
                pairing.hung_up(channel)
            case "BridgeListItem":
                await self._act("BridgeInfo", BridgeUniqueid=told.get("BridgeUniqueid", ""))
            case "BridgeInfoChannel":
                await self._met(channel)
                pairing.entered(told.get("BridgeUniqueid", ""), channel)
            case None:
                self._answered(told)

    async def _met(self, channel: str) -> None:
        """Learn what a channel is, the first time it is named."""
        if channel in self._pairing.trunks or channel in self._pairing.extensions:
            return
        local, device = _LOCAL.match(channel), _DEVICE.match(channel)
        if local is not None:
            self._pairing.local(channel, f"{channel[:-1]}{'2' if local[1] == '1' else '1'}")
        elif device is not None and device[2] == self._trunk:
            variable = "CHANNEL(pjsip,call-id)" if device[1] == "PJSIP" else "SIPCALLID"
            self._asked[await self._act("Getvar", Channel=channel, Variable=variable)] = channel
        elif device is not None and _EXTENSION.match(device[2]):
            self._pairing.extension(channel, device[2])

    def _answered(self, told: Fields) -> None:
        channel = self._asked.pop(told.get("ActionID", ""), None)
        if channel is not None and told.get("Value"):
            self._pairing.trunk(channel, told["Value"])


async def _banner(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # a line without an end
        return b""


async def _message(reader: asyncio.StreamReader) -> Fields:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise LinkError("a message longer than 64 KiB") from None
    except asyncio.IncompleteReadError:
        raise ConnectionResetError("the PBX hung up") from None
    pairs = (line.partition(":") for line in raw.decode("utf-8", "replace").split("\r\n"))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}
