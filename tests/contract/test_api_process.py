"""The API as a process: TLS where configured, ends on SIGTERM, refuses a wrong configuration, logs nobody."""

import asyncio
import json
import signal
import socket
import ssl
import sys
from pathlib import Path

import httpx

from api.supervisor import child_environment
from api.tls_pair import make_tls_pair
from gateway.clock import SystemClock

HOST = "127.11.0.2"


async def start(config: Path, log: Path) -> asyncio.subprocess.Process:
    with log.open("wb") as out:
        command = (sys.executable, "-m", "api.serve", "--config", str(config))
        return await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, env=child_environment())


async def once_alive(http: httpx.AsyncClient, process: asyncio.subprocess.Process, log: Path) -> httpx.Response:
    for _ in range(1200):
        try:
            return await http.get("/healthz")
        except httpx.ConnectError:
            assert process.returncode is None, log.read_text()
            await asyncio.sleep(0.05)
    raise AssertionError(log.read_text())


async def test_pages_come_by_tls_and_nobody_is_in_the_log(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    pair = make_tls_pair(tmp_path, HOST, SystemClock().wallclock())
    config, log = tmp_path / "fairtap.toml", tmp_path / "log"
    api = {"listen": f"{HOST}:{port}", "tls_cert": str(pair.certificate), "tls_key": str(pair.key)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in api.items()]
    config.write_text("\n".join([f'[site]\ndata_dir = "{tmp_path}/var"', "[api]", *lines, ""]))
    process = await start(config, log)
    try:
        trust = ssl.create_default_context(cafile=str(pair.certificate))
        async with httpx.AsyncClient(base_url=f"https://{HOST}:{port}", verify=trust) as http:
            alive = await once_alive(http, process, log)
            assert alive.json() == {"status": "ok"} and "strict-transport-security" in alive.headers
            answer = await http.post("/v1/session", json={"login": "ada.lovelace", "password": "secret words"})
            assert answer.status_code == 401
            # no gateway has made the data yet: the page opens, what needs the data says so
            assert (await http.get("/")).status_code == 200
            signed = {"role": "council", "challenge": "0" * 64, "signature": "-"}
            refused = (await http.post("/v1/session", json=signed)).json()
            assert refused["type"] == "urn:fairtap:problem:site-unavailable"
            assert (await http.get("/readyz")).json() == {"status": "not ready", "gateway": False, "data": False}
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            await process.wait()
    assert (tmp_path / "var" / "api.db").stat().st_mode & 0o777 == 0o600
    said = log.read_text()
    assert "Traceback" not in said
    assert [name for name in ("lovelace", "secret words", HOST) if name in said] == []


async def test_a_wrong_configuration_is_rc_2_and_one_line(tmp_path: Path) -> None:
    config, log = tmp_path / "fairtap.toml", tmp_path / "log"
    config.write_text('[api]\nlisten = "192.0.2.1:8080"\n')
    process = await start(config, log)
    assert await process.wait() == 2
    assert log.read_text().startswith("api: ") and log.read_text().count("\n") == 1
