"""The links to Asterisk and FreeSWITCH against scripted servers that frame their messages as the real ones do."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import pytest

from api.links.asterisk import Asterisk
from api.links.errors import LinkError
from api.links.freeswitch import FreeSwitch
from api.links.lease import Link, keep_linked
from api.links.pulse import PATIENCE, Patience
from tests.peers.scripted_pbx import CALL_ID, EventSocket, Manager

HOST = "127.38.3.1"
TRUNK_CHANNEL, AGENT_CHANNEL = "PJSIP/fairtap-0000000a", "PJSIP/7001-0000000b"


class Gateway:
    """The API as a link sees it: keeps who it was told is on the call, and when."""

    def __init__(self, status: int = 200) -> None:
        self.told: asyncio.Queue[tuple[str, str | None, int]] = asyncio.Queue()
        self._status = status

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url="http://gateway", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        call = request.url.raw_path.decode().removeprefix("/v1/calls/").removesuffix("/agent")
        self.told.put_nowait((call, body["extension"], body["ttl_s"]))
        return httpx.Response(self._status, json={})

    async def next(self) -> tuple[str, str | None, int]:
        return await asyncio.wait_for(self.told.get(), 5)

    async def hears(self, extension: str | None) -> None:
        """Wait until that is said, whatever was said before."""
        while (await self.next())[1] != extension:
            pass


@asynccontextmanager
async def linked(pbx, gateway):
    async with gateway.client() as http:
        running = asyncio.create_task(Link(pbx, http).run())
        try:
            yield running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


# --- Asterisk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def manager():
    made = Manager()
    await made.open(HOST)
    yield made
    made.close()


def asterisk(manager, secret="s3cret", patience=PATIENCE):
    return Asterisk(HOST, manager.port, "fairtap", secret, "fairtap", patience)


async def test_asterisk_says_who_is_on_a_trunk_call_and_who_is_not_any_more(manager):
    gateway = Gateway()
    async with linked(asterisk(manager), gateway):
        await asyncio.wait_for(manager.connected.wait(), 5)
        manager.event("BridgeEnter", TRUNK_CHANNEL)
        manager.event("BridgeEnter", AGENT_CHANNEL)
        assert await gateway.next() == ("a84b4c76e66710%40carrier.example", "7001", 6)
        assert (await gateway.next())[1] == "7001", "renewed"
        manager.event("BridgeEnter", "PJSIP/7002-0000000c")
        await gateway.hears(None)
        manager.event("BridgeLeave", AGENT_CHANNEL)
        await gateway.hears("7002")
        manager.event("Hangup", TRUNK_CHANNEL)


async def test_asterisks_calls_from_before_are_known(manager):
    manager.running = [f"Channel: {TRUNK_CHANNEL}\r\nBridgeId: b-7", f"Channel: {AGENT_CHANNEL}\r\nBridgeId: b-7"]
    gateway = Gateway()
    async with linked(asterisk(manager), gateway):
        assert (await gateway.next())[1] == "7001"


async def test_a_wrong_secret_is_said(manager):
    async with Gateway().client() as http:
        with pytest.raises(LinkError, match="sign-in"):
            await Link(asterisk(manager, "wrong"), http).run()


async def test_a_refused_token_ends_the_link(manager):
    gateway = Gateway(401)
    manager.running = [f"Channel: {TRUNK_CHANNEL}\r\nBridgeId: b-7", f"Channel: {AGENT_CHANNEL}\r\nBridgeId: b-7"]
    async with gateway.client() as http:
        with pytest.raises(LinkError, match="token"):
            await asyncio.wait_for(Link(asterisk(manager), http).run(), 5)


async def test_a_pbx_that_hangs_up_ends_the_telling(manager):
    gateway = Gateway()
    async with gateway.client() as http:
        running = asyncio.create_task(Link(asterisk(manager), http).run())
        await asyncio.wait_for(manager.connected.wait(), 5)
        manager.writer.close()
        with pytest.raises(OSError, match="hung up"):
            await asyncio.wait_for(running, 5)


async def test_a_pbx_that_falls_silent_is_given_up_before_what_it_said_grows_old(manager):
    """Its address answers no more, and no connection broke: pings find out."""
    manager.running = [f"Channel: {TRUNK_CHANNEL}\r\nBridgeId: b-7", f"Channel: {AGENT_CHANNEL}\r\nBridgeId: b-7"]
    gateway = Gateway()
    async with linked(asterisk(manager, patience=Patience(0.05, 0.3)), gateway) as running:
        await gateway.hears("7001")
        for _ in range(10):
            await asyncio.wait_for(manager.pinged.get(), 5)
        assert not running.done(), "an idle PBX that answers is kept"
        manager.answers_pings = False
        with pytest.raises(OSError):
            await asyncio.wait_for(running, 5)


async def test_a_link_connects_again_and_begins_from_nothing(manager):
    manager.running = [f"Channel: {TRUNK_CHANNEL}\r\nBridgeId: b-7", f"Channel: {AGENT_CHANNEL}\r\nBridgeId: b-7"]
    gateway = Gateway()
    async with gateway.client() as http:
        keeping = asyncio.create_task(keep_linked(lambda: asterisk(manager), http, None, retry_s=0.05))
        await gateway.hears("7001")
        manager.running = [
            f"Channel: {TRUNK_CHANNEL}\r\nBridgeId: b-8",
            "Channel: PJSIP/7002-00000001\r\nBridgeId: b-8",
        ]
        manager.writer.close()
        await gateway.hears("7002")
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


# --- FreeSWITCH -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def event_socket():
    made = EventSocket()
    await made.open(HOST)
    yield made
    made.close()


async def test_freeswitch_says_who_is_on_a_trunk_call_and_who_is_not_any_more(event_socket):
    gateway = Gateway()
    async with linked(FreeSwitch(HOST, event_socket.port, "ClueCon", "fairtap"), gateway):
        await asyncio.wait_for(event_socket.connected.wait(), 5)
        event_socket.event(
            "CHANNEL_CREATE", "u-1", Channel__Name="sofia/fairtap/4930@carrier", variable_sip_call_id=CALL_ID
        )
        event_socket.event(
            "CHANNEL_CREATE", "u-2", Channel__Name="sofia/internal/7001@pbx", variable_dialed_user="7001"
        )
        event_socket.event("CHANNEL_BRIDGE", "u-1", Bridge__A__Unique__ID="u-1", Bridge__B__Unique__ID="u-2")
        assert await gateway.next() == ("a84b4c76e66710%40carrier.example", "7001", 6)
        event_socket.event("CHANNEL_UNBRIDGE", "u-1", Bridge__A__Unique__ID="u-1", Bridge__B__Unique__ID="u-2")
        await gateway.hears(None)


async def test_freeswitch_says_goodbye_and_refuses(event_socket):
    gateway = Gateway()
    for said, kind in (
        (b"Content-Type: text/disconnect-notice\nContent-Length: 9\n\nDisconnec", OSError),
        (b"Content-Type: command/reply\nReply-Text: -ERR permission denied\n\n", LinkError),
        (b"Content-Type: text/event-plain\nContent-Length: 999999999\n\n", LinkError),
        (b"Content-Type: text/event-plain\nContent-Length: -5\n\n", LinkError),
    ):
        event_socket.connected.clear()
        async with linked(FreeSwitch(HOST, event_socket.port, "ClueCon", "fairtap"), gateway) as running:
            await asyncio.wait_for(event_socket.connected.wait(), 5)
            event_socket.writer.write(said)
            with pytest.raises(kind):
                await asyncio.wait_for(running, 5)


async def test_a_wrong_password_is_said(event_socket):
    async with Gateway().client() as http:
        with pytest.raises(LinkError, match="password"):
            await Link(FreeSwitch(HOST, event_socket.port, "wrong", "fairtap"), http).run()


@pytest.mark.parametrize(
    "make", [lambda port: Asterisk(HOST, port, "u", "s", "t"), lambda port: FreeSwitch(HOST, port, "s", "t")]
)
@pytest.mark.parametrize(
    "noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n\n\n", b"\xff" * 300_000, b"Content-Length: x\n\n\r\n"]
)
async def test_something_else_at_that_port_is_said(make, noise):
    async def serve(reader, writer):
        writer.write(noise)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with Gateway().client() as http:
        with pytest.raises((LinkError, OSError)):
            await asyncio.wait_for(Link(make(server.sockets[0].getsockname()[1]), http).run(), 5)
    server.close()
