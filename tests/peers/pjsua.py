"""A pjsua2 phone (`pjsua_program.py`) as an asyncio test uses it."""

import asyncio
import contextlib
import json
import sys
import wave
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from demo.agents import Desk
from demo.g711 import RATE, Samples
from demo.tones import tone
from tests.peers.baresip import Baresip
from tests.peers.running_site import MOST_TRIES, RunningSite

PROGRAM = Path(__file__).with_name("pjsua_program.py")
ANSWER_S = 10.0
LONGEST_S = 60
WAV_HEADER = 44


class Pjsua:
    """Use it as a context manager; `through` is the SIP URI of the gateway, for a phone that calls."""

    def __init__(
        self,
        folder: Path,
        address: str,
        user: str,
        hertz: float,
        *,
        transport: str = "udp",
        through: str = "",
        reliable: bool = False,
        expires_s: int = 0,
        srtp: bool = False,
        codec: str = "PCMA/8000",
        level_db: float = -10.0,
        certificate: tuple[str, str] = ("", ""),
        ca: str = "",
    ) -> None:
        """`reliable`: requires 100rel, and so PRACK; `expires_s`: of a session timer, at least 90; `srtp`: it
        takes nothing else, as it does for `codec`.

        `level_db`: of the tone it says; `certificate`: with its key.
        """
        folder.mkdir(parents=True)
        self.folder = folder
        port, suffix = {"udp": (5060, ""), "tcp": (5060, ";transport=tcp"), "tls": (5061, ";transport=tls")}[transport]
        self.uri = f"sip:{user}@{address}:{port}{suffix}"
        self._settings = {
            "address": address,
            "user": user,
            "transport": transport,
            "through": through,
            "reliable": reliable,
            "expires_s": expires_s,
            "srtp": srtp,
            "codec": codec,
            "certificate": certificate,
            "ca": ca,
            "say": str(folder / "say.wav"),
            "heard": str(folder / "heard.wav"),
            "log": str(folder / "log"),
        }
        with wave.open(str(folder / "say.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(tone(hertz, LONGEST_S, level_db).astype("<i2").tobytes())
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        with (self.folder / "complaints").open("wb") as complaints:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, PROGRAM, json.dumps(self._settings)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=complaints,
            )
        await self.event("ready")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 2)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def tell(self, command: str, **more: Any) -> None:
        """Give a command; what comes of it is told by events."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **more}).encode() + b"\n")

    async def event(self, event: str, **like: Any) -> dict[str, Any]:
        """The next event of this kind with these values; those before it are forgotten."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_S):
            while line := await self._process.stdout.readline():
                told: dict[str, Any] = json.loads(line)
                assert told["event"] != "refused", told
                if told["event"] == event and all(told.get(name) == value for name, value in like.items()):
                    return told
        raise AssertionError((self.folder / "complaints").read_text())

    def log(self) -> str:
        """What it logged: every message as it was sent and received."""
        return (self.folder / "log").read_text(errors="replace")

    def heard(self) -> Samples:
        """What it heard in its last call; the file grows while the call runs, in steps of a quarter of a second."""
        data = (self.folder / "heard.wav").read_bytes()[WAV_HEADER:]
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16)


async def drawn(site: RunningSite, desk: Desk, caller: Pjsua, phone: Baresip) -> str:
    """The reference of a call of this caller's that the phone answered, for this desk, and that was drawn."""
    await desk.be_ready()
    for _ in range(MOST_TRIES):
        caller.tell("dial", uri=phone.uri, headers=site.headers(desk))
        told = await caller.event("state", state="CONFIRMED")
        ref = await site.ref(told["call_id"])
        if await site.is_drawn(desk, ref):
            return ref
        caller.tell("hangup")
        await caller.event("closed")
    raise AssertionError(f"none of {MOST_TRIES} calls was drawn")
