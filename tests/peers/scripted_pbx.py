"""PBXes as a link meets them: servers with the framing of Asterisk's manager interface and FreeSWITCH's event socket.

Each answers sign-in and questions as the real one does. A test sends the events, or lets a whole call happen: one
between trunk and agent (`connect`), handed over to an agent who was called first (`transfer`), over (`hang_up`).
"""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from typing import Final

__all__ = ["CALL_ID", "EventSocket", "Manager"]

CALL_ID: Final = "a84b4c76e66710@carrier.example"
_CHALLENGE: Final = "148329456"


class _Server(ABC):
    """One connection at a time, on a port that the system gives."""

    kind: str
    """As `fairtap link` names it."""

    def __init__(self) -> None:
        self.port = 0
        self._server: asyncio.Server | None = None
        self._channels = 0

    async def open(self, host: str) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self.serve, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more; a connection that stands goes on."""
        if self._server is not None:
            self._server.close()

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""

    def _number(self) -> int:
        """Of a channel or bridge that never was before."""
        self._channels += 1
        return self._channels


class Manager(_Server):
    """A manager interface: answers sign-in, lists and variables."""

    kind = "asterisk"
    secret = "s3cret"

    def __init__(self) -> None:
        super().__init__()
        self.connected = asyncio.Event()
        """A link has signed in and asked for what is running."""
        self.running: list[str] = []
        self.answers_pings = True
        self.pinged: asyncio.Queue[str] = asyncio.Queue()
        self.writer: asyncio.StreamWriter
        self._call_ids: dict[str, str] = {}
        self._trunk = self._agent = self._bridge = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the link hangs up."""
        self.writer = writer
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        while True:
            try:
                raw = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            asked = dict(line.split(": ", 1) for line in raw.decode().split("\r\n") if line)
            await self._answer(asked)

    async def _answer(self, asked: dict[str, str]) -> None:
        name = asked["ActionID"]
        match asked["Action"]:
            case "Challenge":
                assert asked["AuthType"] == "MD5"
                # an event of somebody else's may come first
                self.send("Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted")
                self.send(f"Response: Success\r\nActionID: {name}\r\nChallenge: {_CHALLENGE}")
            case "Login":
                assert asked["AuthType"] == "MD5" and "Secret" not in asked
                key = hashlib.md5(f"{_CHALLENGE}{self.secret}".encode(), usedforsecurity=False).hexdigest()
                right = asked["Key"] == key
                self.send(f"Response: {'Success' if right else 'Error'}\r\nActionID: {name}\r\nMessage: Authentication")
            case "Getvar":
                assert asked["Variable"] == "CHANNEL(pjsip,call-id)"
                value = self._call_ids.get(asked["Channel"], CALL_ID)
                self.send(f"Response: Success\r\nActionID: {name}\r\nVariable: x\r\nValue: {value}")
            case "CoreShowChannels":
                self.send(f"Response: Success\r\nActionID: {name}\r\nEventList: start")
                for line in self.running:
                    self.send(f"Event: CoreShowChannel\r\nActionID: {name}\r\n{line}")
                self.connected.set()
            case "Ping" if self.answers_pings:
                self.pinged.put_nowait(name)
                self.send(f"Response: Success\r\nActionID: {name}\r\nPing: Pong\r\nTimestamp: 1.0")

    def send(self, text: str) -> None:
        """One message."""
        self.writer.write(text.encode() + b"\r\n\r\n")

    def event(self, name: str, channel: str = "", bridge: str = "b-1") -> None:
        """What happened to a channel or a bridge."""
        self.send(
            f"Event: {name}\r\nPrivilege: call,all\r\nBridgeUniqueid: {bridge}\r\nChannel: {channel}\r\nUniqueid: 1.1"
        )

    def connect(self, call_id: str, extension: str) -> None:
        """A trunk's call was answered by an extension."""
        self._trunk, self._agent = self._channel("fairtap"), self._channel(extension)
        self._call_ids[self._trunk] = call_id
        self._bridge = f"b-{self._number()}"
        for channel in (self._trunk, self._agent):
            self.event("BridgeEnter", channel, self._bridge)

    def transfer(self, extension: str) -> None:
        """Attended: whoever has the call has called the next one, and hands the trunk over (`AttendedTransfer`)."""
        asking, asked, bridge = self._channel(_device(self._agent)), self._channel(extension), f"b-{self._number()}"
        # the trunk hears music meanwhile: its agent is in another bridge
        self.event("BridgeEnter", asking, bridge)
        self.event("BridgeEnter", asked, bridge)
        self.event("BridgeLeave", self._trunk, self._bridge)
        self.event("BridgeEnter", self._trunk, bridge)  # in place of `asking`, which leaves only then
        self.event("BridgeLeave", asking, bridge)
        self.event("Hangup", asking, "")
        self.event("BridgeLeave", self._agent, self._bridge)
        self.event("BridgeDestroy", "", self._bridge)
        self.event("Hangup", self._agent, "")
        self._agent, self._bridge = asked, bridge

    def hang_up(self) -> None:
        """The call is over."""
        for channel in (self._trunk, self._agent):
            self.event("BridgeLeave", channel, self._bridge)
            self.event("Hangup", channel, "")
        self.event("BridgeDestroy", "", self._bridge)

    def _channel(self, device: str) -> str:
        return f"PJSIP/{device}-{self._number():08x}"


def _device(channel: str) -> str:
    return channel.removeprefix("PJSIP/").rsplit("-", 1)[0]


class EventSocket(_Server):
    """An event socket: its events are URL-encoded and told with their length."""

    kind = "freeswitch"
    secret = "ClueCon"

    def __init__(self) -> None:
        super().__init__()
        self.connected = asyncio.Event()
        """A link has signed in and asked for events."""
        self.writer: asyncio.StreamWriter
        self._trunk = self._agent = self._extension = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the link hangs up."""
        self.writer = writer
        writer.write(b"Content-Type: auth/request\n\n")
        while True:
            try:
                asked = (await reader.readuntil(b"\n\n")).decode().strip()
            except asyncio.IncompleteReadError:
                return
            right = asked == f"auth {self.secret}" or asked.startswith("event plain")
            writer.write(f"Content-Type: command/reply\nReply-Text: {'+OK' if right else '-ERR invalid'}\n\n".encode())
            if asked.startswith("event plain"):
                self.connected.set()

    def event(self, name: str, channel: str, **more: str) -> None:
        """What happened to a channel; `__` in a name stands for `-`."""
        fields = {
            "Event-Name": name,
            "Unique-ID": channel,
            **{key.replace("__", "-"): value for key, value in more.items()},
        }
        body = "".join(f"{key}: {value.replace('@', '%40')}\n" for key, value in fields.items()) + "\n"
        self.writer.write(f"Content-Length: {len(body)}\nContent-Type: text/event-plain\n\n{body}".encode())

    def connect(self, call_id: str, extension: str) -> None:
        """A trunk's call was answered by an extension."""
        self._trunk = self._uuid()
        name = "sofia/fairtap/4930@carrier"
        self.event("CHANNEL_CREATE", self._trunk, Channel__Name=name, variable_sip_call_id=call_id)
        self._agent, self._extension = self._called(extension), extension
        self._bridged("CHANNEL_BRIDGE", self._trunk, self._agent)

    def transfer(self, extension: str) -> None:
        """`att_xfer`: whoever has the call has called the next one, then leaves the two to each other."""
        asking = self._uuid()
        self.event(
            "CHANNEL_CREATE",
            asking,
            Channel__Name=f"sofia/internal/{self._extension}@pbx",
            Call__Direction="inbound",
            variable_user_name=self._extension,
        )
        asked = self._called(extension)
        self._bridged("CHANNEL_BRIDGE", asking, asked)
        self._bridged("CHANNEL_UNBRIDGE", asking, asked)
        self._bridged("CHANNEL_UNBRIDGE", self._trunk, self._agent)
        self.event("CHANNEL_HANGUP_COMPLETE", asking)
        self.event("CHANNEL_HANGUP_COMPLETE", self._agent)
        self._agent, self._extension = asked, extension
        self._bridged("CHANNEL_BRIDGE", self._trunk, self._agent)

    def hang_up(self) -> None:
        """The call is over."""
        self._bridged("CHANNEL_UNBRIDGE", self._trunk, self._agent)
        for channel in (self._trunk, self._agent):
            self.event("CHANNEL_HANGUP_COMPLETE", channel)

    def _called(self, extension: str) -> str:
        channel = self._uuid()
        name = f"sofia/internal/{extension}@pbx"
        self.event("CHANNEL_CREATE", channel, Channel__Name=name, variable_dialed_user=extension)
        return channel

    def _bridged(self, name: str, one: str, other: str) -> None:
        self.event(name, one, Bridge__A__Unique__ID=one, Bridge__B__Unique__ID=other)

    def _uuid(self) -> str:
        return f"5f5d2f2e-7c43-4a53-9b0f-{self._number():012d}"
