"""The doctor on next hops, on what a running gateway knows, and on media that flows past it."""

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3

import pytest

from api.commands.act_place import Place
from api.doctor import examine
from api.doctor_peers import answers, next_hops
from api.home import Home
from api.site import SiteFolder
from api.start_check import start_faults
from crypto.ssh_key import SigningKey
from gateway.checking import faults
from gateway.clock import SystemClock
from gateway.config import load_config
from storage.database import Database
from storage.errors import StorageError
from tests.peers.control_server import ControlServer

HOST, PEER = "127.11.7.1", "127.11.7.2"
HEALTHY = {"clock_trusted": True, "storage_available": True, "workers": 2, "announcements": []}


def home_of(folder, *hops: str) -> Home:
    return written(folder, f"next_hops = {json.dumps(list(hops))}")


def written(folder, *lines: str, listen: str = f"udp:{HOST}:0", more: str = "") -> Home:
    """A file as an administrator writes it, its caller side with these lines."""
    file = folder / "fairtap.toml"
    side = (f'listen = ["{listen}"]', f'peers = ["{PEER}/32"]', *lines)
    sections = ("[sip.caller_side]", *side, "[site]", f'data_dir = "{folder}"', "[api]", f'listen = "{HOST}:0"', more)
    file.write_text("\n".join(sections) + "\n")
    return Home(load_config(file, {}), file)


async def found(home: Home) -> dict[str, tuple[bool, str]]:
    return {one.what: (one.ok, one.said) for one in await examine(home, in_process)}


async def in_process(home: Home) -> list[str]:
    return await faults(home.config)


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


def killed(folder, place):
    """A site whose gateway was killed: its last pages are in the write-ahead log."""
    with contextlib.closing(sqlite3.connect(folder / "fairtap.db", isolation_level=None)) as database:
        database.execute("CREATE TABLE t (x)")
        shutil.copytree(folder, place)


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize("as_root", [False, True])
@pytest.mark.parametrize("agreement", [False, True])
async def test_who_only_looks_at_a_stopped_site_leaves_nothing_behind_and_nothing_of_their_own(
    tmp_path, crashed, as_root, agreement
):
    """SQLite's files beside a database would be root's, and the service's account could not start any more."""
    if as_root and os.getuid():
        pytest.skip("only root can look at another account's folder")
    first, folder = tmp_path / "first", tmp_path / "site"
    first.mkdir()
    database = await Database.open(f"sqlite:///{first}/fairtap.db")
    await database.migrate()
    if crashed:
        killed(first, folder)
    await database.close()
    if not crashed:
        shutil.copytree(first, folder)
    home = home_of(folder)
    owner = 65_534 if as_root else os.getuid()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, -1)
    there = {path.name for path in folder.rglob("*")}
    assert ("fairtap.db-wal" in there) == crashed
    if agreement:
        await asyncio.to_thread(Place(folder / "fairtap.toml", "en").state)
        async with SiteFolder(home.config, SystemClock()) as site:
            assert await site.agreement() is None
    else:
        assert (await found(home))["database"][0]
    left = [path for path in folder.rglob("*") if path.name != "run"]
    assert {path.name for path in left} == {"fairtap.db", "fairtap.toml"}
    assert {path.stat().st_uid for path in left} == {owner}


async def test_a_file_of_another_account_is_named_with_what_undoes_it(tmp_path):
    if os.getuid():
        pytest.skip("only root can leave another account's file")
    (tmp_path / "keys").mkdir()
    for name in ("keys/gateway.sign", "api.db"):
        (tmp_path / name).touch()
    home = home_of(tmp_path)
    assert (await found(home))["data folder"][0]
    os.chown(tmp_path / "keys" / "gateway.sign", 65_534, -1)
    ok, said = (await found(home))["data folder"]
    assert not ok and "gateway.sign" in said and f"chown -R {os.getuid()}" in said


async def test_a_media_address_of_another_machine_and_a_certificate_that_is_none(tmp_path):
    assert (await found(home_of(tmp_path)))["caller side, media"] == (True, "`127.0.0.1` is this machine's")
    pair = f'tls_cert = "{tmp_path}/none.pem"\ntls_key = "{tmp_path}/none.key"'
    said = await found(written(tmp_path, 'media_address = "203.0.113.9"', more=pair))
    assert said["caller side, media"][0] is False and "203.0.113.9" in said["caller side, media"][1]
    assert said["api, certificate"][0] is False and "tls_cert" in said["api, certificate"][1]


async def test_a_house_in_which_nothing_is_wrong_would_start(tmp_path):
    side = (
        'next_hops = ["carrier.example", "sip:[2001:db8::7]:5070;transport=tcp"]',
        'advertised = "sbc.example:5080"',
    )
    home = written(tmp_path, *side)
    assert (await found(home))["start"] == (True, "the gateway would refuse nothing of it")
    assert await start_faults(home) == []


@pytest.mark.parametrize(
    ("lines", "more", "words"),
    [
        ('next_hops = ["192.0.2.7:5060", "carrier example"]', "", "next_hops: `carrier example` is not a SIP URI"),
        ('next_hops = ["sips:carrier.example"]', "", "`sips:carrier.example` needs TLS: name a tls: listener"),
        ('advertised = "sbc.example:port"', "", "advertised: `sbc.example:port` is not HOST or HOST:PORT"),
        ("", '[storage]\ndatabase = "mysql://db/fairtap"', "write `sqlite:////PATH/FILE.db` or `postgresql+asyncpg"),
        ("", '[storage]\ndatabase = "sqlite:///here.db"', "sqlite url needs an absolute path"),
        ("", '[storage]\ndatabase = "sqlite:////nowhere/at/all.db"', "`/nowhere/at/all.db` can't be made"),
        ("", '[storage]\ndatabase = "postgresql+asyncpg://me@127.0.0.1:1/x"', "is it there, and may this account"),
    ],
    ids=["hop", "hop-tls", "advertised", "scheme", "relative", "folder", "away"],
)
async def test_whatever_a_start_would_refuse_is_said_with_what_to_do(tmp_path, lines, more, words):
    home = written(tmp_path, lines, more=more)
    ok, said = (await found(home))["start"]
    assert not ok and words in said and "\n" not in said


async def test_a_start_refuses_what_was_said_and_makes_a_folder_where_nothing_was(tmp_path):
    for there in ("mysql://db/fairtap", f"sqlite:///{tmp_path}/none/at/all.db"):
        with pytest.raises(StorageError):
            await Database.open(there)
        assert await faults(written(tmp_path, more=f'[storage]\ndatabase = "{there}"').config)
    makable = f"sqlite:///{tmp_path}/none/fairtap.db"
    assert await faults(written(tmp_path, more=f'[storage]\ndatabase = "{makable}"').config) == []
    await (await Database.open(makable)).close()


async def test_the_gateway_s_own_process_is_asked_and_a_file_that_it_cannot_read_is_said(tmp_path):
    home = written(tmp_path, 'advertised = "sbc.example:port"')
    (said,) = await start_faults(home)
    assert "HOST:PORT" in said
    home.file.write_text("[sip")
    (said,) = await start_faults(home)
    assert str(home.file) in said and not said.startswith("gateway:")


async def test_keys_that_others_may_read_a_restore_cut_short_and_a_newer_database_are_said(tmp_path):
    (tmp_path / "restoring").write_text("a digest")
    key = tmp_path / "keys" / "gateway.sign"
    key.parent.mkdir()
    key.write_bytes(SigningKey.generate().to_openssh())
    key.chmod(0o644)
    with sqlite3.connect(tmp_path / "fairtap.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
    database.close()
    said = await faults(home_of(tmp_path).config)
    for words in ("run `fairtap restore` again", "`chmod 600 gateway.sign`", "update Fairtap", "protected parties"):
        assert [one for one in said if words in one], words
