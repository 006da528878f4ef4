"""The live feed over real TCP: snapshot first, order kept, pages told in time, unknown when in doubt."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api.agent_client import AgentClient, ClientKeys, ClientProblem, LiveEvent
from api.roles import Role
from gateway.control.protocol import Acknowledge, PageClosed, PageOpened, Refusal
from gateway.events import Heartbeat, LightState
from tests.peers.api_server import RunningApi, running_api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(tmp_path) as running:
        yield running


async def signed_in(api: RunningApi, name: str = "Ada") -> tuple[AgentClient, httpx.AsyncClient, str]:
    agent = api.site.add(name)
    session = await api.services.accounts.open_session(Role.AGENT, agent)
    http = api.http(cookies={"fairtap_session": session.secret})
    return AgentClient(http, ClientKeys.generate(), api.clock), http, agent


async def test_snapshot_comes_first_then_events_in_order_each_acknowledged(api: RunningApi) -> None:
    client, http, agent = await signed_in(api)
    async with http:
        events = client.live()
        first = await anext(events)
        opened = api.gateway.of(PageOpened)[0]
        assert (first.kind, first.data["legs"], first.data["page"]) == ("snapshot", [], opened.page)
        assert opened.agent == agent
        asked = api.gateway.light(agent, "asking")
        lit = api.gateway.light(agent, "recording_both", lane="sample", purpose="coaching")
        api.gateway.tell(Heartbeat(agent, "call-1", lit.seq + 1, "beat", LightState.RECORDING_BOTH))
        told = [await anext(events) for _ in range(3)]
        assert [event.kind for event in told] == ["leg", "leg", "heartbeat"]
        assert [event.data["seq"] for event in told] == [asked.seq, lit.seq, lit.seq + 1]
        acks = api.gateway.of(Acknowledge)
        assert [(ack.seq, ack.nonce, ack.state, ack.page) for ack in acks] == [
            (asked.seq, asked.nonce, "asking", opened.page),
            (lit.seq, lit.nonce, "recording_both", opened.page),
            (lit.seq + 1, "beat", "recording_both", opened.page),
        ]


async def test_events_older_than_the_snapshot_are_not_shown_again(api: RunningApi) -> None:
    client, http, agent = await signed_in(api)
    lit = api.gateway.light(agent, "recording_both")
    async with http:
        events = client.live()
        first = await anext(events)
        assert [leg["seq"] for leg in first.data["legs"]] == [lit.seq]
        api.gateway.tell(lit)
        newer = api.gateway.light(agent, "off")
        assert (await anext(events)).data["seq"] == newer.seq


async def test_nobody_else_sees_an_agents_light(api: RunningApi) -> None:
    client, http, _ = await signed_in(api)
    other = api.site.add("Bo")
    async with http:
        events = client.live()
        await anext(events)
        api.gateway.light(other, "recording_both")
        assert (await anext(events)).kind == "alive"


async def test_the_gateway_is_told_within_half_a_second_that_a_page_closed(api: RunningApi) -> None:
    client, http, agent = await signed_in(api)
    async with http:
        events = client.live()
        await anext(events)
    loop = asyncio.get_running_loop()
    gone = loop.time()
    closed = await api.gateway.wait_for(PageClosed)
    assert (closed.agent, closed.page) == (agent, api.gateway.of(PageOpened)[0].page)
    assert loop.time() - gone < 0.5
    assert api.services.hub.open_pages == 0


async def test_signing_out_closes_the_page(api: RunningApi) -> None:
    client, http, _ = await signed_in(api)
    async with http:
        events = client.live()
        await anext(events)
        await client.sign_out()
        assert [event.kind async for event in events if event.kind != "alive"] == []
        await api.gateway.wait_for(PageClosed)
        with pytest.raises(ClientProblem, match="sign-in-needed"):
            await client.me()


async def test_a_lost_gateway_makes_pages_unknown_until_a_new_snapshot_under_a_new_page_id(api: RunningApi) -> None:
    client, http, agent = await signed_in(api)
    async with http:
        events = client.live()
        first = await anext(events)
        await api.gateway.stop()
        assert (await _next_but_alive(events)).kind == "unknown"
        with pytest.raises(ClientProblem) as away:
            await client.stop("call-1")
        assert (away.value.code, away.value.status) == ("gateway-away", 503)
        api.gateway.commands.clear()
        await api.gateway.start()
        again = await _next_but_alive(events)
        assert again.kind == "snapshot"
        assert again.data["page"] == api.gateway.of(PageOpened)[0].page != first.data["page"]
        lit = api.gateway.light(agent, "recording_agent")
        assert (await _next_but_alive(events)).data["seq"] == lit.seq
        assert (await api.gateway.wait_for(Acknowledge)).page == again.data["page"]


async def test_a_page_that_opens_while_the_gateway_is_away_says_unknown_at_once(tmp_path: Path) -> None:
    async with running_api(tmp_path, gateway=False) as api:
        client, http, _ = await signed_in(api)
        async with http:
            assert (await anext(client.live())).kind == "unknown"


async def test_a_page_without_snapshot_is_dropped(api: RunningApi) -> None:
    api.gateway.answers["page_opened"] = Refusal("AGENT_UNKNOWN", "no such agent", 404)
    client, http, _ = await signed_in(api)
    async with http:
        assert [event.kind async for event in client.live()] == []


async def test_a_page_that_does_not_read_is_dropped(api: RunningApi) -> None:
    _client, http, agent = await signed_in(api)
    async with http:
        cookie = http.cookies["fairtap_session"]
        host, port = api.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport
        writer.write(
            f"GET /v1/agents/me/live HTTP/1.1\r\nHost: {host}\r\nCookie: fairtap_session={cookie}\r\n\r\n".encode()
        )
        await api.gateway.wait_for(PageOpened)
        flood = base64.b64encode(bytes(48_000)).decode()
        async with asyncio.timeout(10):
            while api.services.hub.open_pages:
                for _ in range(20):
                    api.gateway.light(agent, "recording_both", why=flood)
                await asyncio.sleep(0.02)
        await api.gateway.wait_for(PageClosed)
        writer.close()
        del reader


async def test_an_acknowledgement_needs_a_page_of_this_very_session(api: RunningApi) -> None:
    client, http, agent = await signed_in(api)
    other = await api.services.accounts.open_session(Role.AGENT, agent)
    body = {"call": "call-1", "seq": 1, "state": "asking", "nonce": "n", "shown": "visible"}
    async with http, api.http(cookies={"fairtap_session": other.secret}) as second:
        answer = await second.post("/v1/agents/me/live/ack", json=body)
        assert answer.json()["type"] == "urn:fairtap:problem:page-unknown"
        events = client.live()
        page = (await anext(events)).data["page"]
        assert (await second.post("/v1/agents/me/live/ack", json={**body, "page": page})).status_code == 409
        assert (await http.post("/v1/agents/me/live/ack", json={**body, "page": page})).status_code == 204
        assert (await http.post("/v1/agents/me/live/ack", json=body)).status_code == 204
        assert {ack.page for ack in api.gateway.of(Acknowledge)} == {page}


async def test_the_gateways_refusal_of_an_acknowledgement_is_told(api: RunningApi) -> None:
    api.gateway.answers["acknowledge"] = Refusal("STALE_ACK", "this event isn't the newest", 409)
    client, http, _ = await signed_in(api)
    async with http:
        events = client.live()
        await anext(events)
        body = {"call": "call-1", "seq": 1, "state": "asking", "nonce": "n", "shown": "hidden"}
        answer = await http.post("/v1/agents/me/live/ack", json=body)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:fairtap:problem:stale-ack")


async def _next_but_alive(events: AsyncIterator[LiveEvent]) -> LiveEvent:
    async with asyncio.timeout(5):
        while (event := await anext(events)).kind == "alive":
            pass
    return event
