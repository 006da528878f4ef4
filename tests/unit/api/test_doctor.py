"""The doctor on next hops, on what a running gateway knows, and on media that flows past it."""

import asyncio
import sqlite3

import pytest

from api.doctor import examine
from api.doctor_peers import answers, next_hops
from api.home import Home
from gateway.config import Config
from tests.peers.control_server import ControlServer

HOST, PEER = "127.11.7.1", "127.11.7.2"
HEALTHY = {"clock_trusted": True, "storage_available": True, "workers": 2, "announcements": []}


def home_of(folder, *hops: str) -> Home:
    sides = {"caller_side": {"listen": [f"udp:{HOST}:0"], "peers": [f"{PEER}/32"], "next_hops": list(hops)}}
    config = Config.model_validate({"site": {"data_dir": folder}, "sip": sides, "api": {"listen": f"{HOST}:0"}})
    return Home(config, folder / "fairtap.toml")


async def found(home: Home) -> dict[str, tuple[bool, str]]:
    return {one.what: (one.ok, one.said) for one in await examine(home)}


class Peer(asyncio.DatagramProtocol):
    """Answers OPTIONS, or something that is no SIP."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[tuple[bytes, str]] = []

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        self.asked.append((data, addr[0]))
        self.transport.sendto(self.answer, addr)


@pytest.mark.parametrize(("answer", "well"), [(b"SIP/2.0 405 Method Not Allowed\r\n\r\n", True), (b"hello", False)])
async def test_a_next_hop_is_asked_from_our_address_of_that_side(tmp_path, answer, well):
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_datagram_endpoint(lambda: Peer(answer), local_addr=(PEER, 0))
    try:
        port = transport.get_extra_info("sockname")[1]
        (hop,) = next_hops(home_of(tmp_path, f"sip:{PEER}:{port}").config)
        assert await answers(hop) is well
        data, source = peer.asked[0]
        assert source == HOST and data.startswith(f"OPTIONS sip:{PEER}:{port} SIP/2.0\r\n".encode())
        assert data.count(b"\r\n\r\n") == 1
    finally:
        transport.close()


async def test_one_that_nobody_is_at_is_said_and_names_are_left_to_the_gateway(tmp_path):
    home = home_of(tmp_path, f"{PEER}:9", "carrier.example")
    assert [hop.text for hop in next_hops(home.config)] == [f"{PEER}:9"]
    ok, said = (await found(home))["caller side, next hop"]
    assert not ok and f"`{PEER}:9` doesn't answer" in said


@pytest.mark.parametrize(
    ("changed", "what", "words"),
    [
        ({}, None, ""),
        ({"clock_trusted": False}, "clock", "time service"),
        ({"storage_available": False}, "storage", "look at the disk"),
        ({"workers": 0}, "media workers", "pass without us"),
        ({"announcements": ["`ask-x` was altered"]}, "announcements", "altered"),
        ({"total": {"answered": 9, "silent both": 8}}, "direct media", "direct_media=no"),
    ],
)
async def test_what_a_running_gateway_knows_to_be_wrong(tmp_path, changed, what, words):
    server = ControlServer(tmp_path / "run" / "control.sock")
    total = changed.pop("total", {"answered": 9, "silent both": 1}) if changed else {}
    server.answers.update(status={**HEALTHY, **changed}, passed_through={"total": total})
    await server.start()
    try:
        said = await found(home_of(tmp_path))
    finally:
        await server.stop()
    of_site = {"clock", "storage", "media workers", "announcements", "direct media"} & set(said)
    assert {name for name in of_site if not said[name][0]} == ({what} if what else set())
    assert not what or words in said[what][1]


async def test_a_database_that_is_damaged_is_found_before_the_start(tmp_path):
    file = tmp_path / "fairtap.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    assert (await found(home_of(tmp_path)))["database"] == (True, f"`{file}` is whole")
    file.write_bytes(b"no database at all" * 100)
    ok, said = (await found(home_of(tmp_path)))["database"]
    assert not ok and "backup" in said


async def test_a_media_address_of_another_machine_and_a_certificate_that_is_none(tmp_path):
    assert (await found(home_of(tmp_path)))["caller side, media"] == (True, "`127.0.0.1` is this machine's")
    pair = {"tls_cert": str(tmp_path / "none.pem"), "tls_key": str(tmp_path / "none.key")}
    side = {"listen": [f"tls:{HOST}:0"], "peers": [f"{PEER}/32"], "media_address": "203.0.113.9", **pair}
    config = Config.model_validate({"site": {"data_dir": tmp_path}, "sip": {"agent_side": side}})
    said = await found(Home(config, tmp_path / "fairtap.toml"))
    assert said["agent side, media"][0] is False and "203.0.113.9" in said["agent side, media"][1]
    assert said["agent side, certificate"][0] is False and "tls_cert" in said["agent side, certificate"][1]
