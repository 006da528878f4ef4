"""A site's API as the council's tool sees it, over a world's files; keeps what is handed in."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from crypto.age import encrypt
from crypto.errors import CryptoError
from crypto.jcs import canonical
from crypto.sshsig import verify
from crypto.x25519 import Identity
from policy.opening import parse_call_opening
from tests.peers.log_world import KEYS, ORIGIN, World

LOG = f"/v1/log/{ORIGIN}/"
COUNCIL = Identity.generate()
"""Whom the site seals openings to."""
PAGE = 30


class FakeSite(ThreadingHTTPServer):
    """`handed` is what the council sent: method, path, body."""

    def __init__(self, folder: Path, world: World, epochs: list[dict[str, Any]]) -> None:
        super().__init__(("127.36.0.1", 0), _Answers)
        self.folder, self.world, self.epochs = folder, world, epochs
        self.handed: list[tuple[str, str, Any]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        """What happens whenever the checkpoint is fetched."""
        self.garbled: dict[str, bytes] = {}
        """End of a path → bytes that are sent in place of its whole answer; then the connection ends."""

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.36.0.1:{self.server_address[1]}"

    def handed_to(self, end: str) -> list[Any]:
        """Bodies sent to paths with this end."""
        return [body for _, path, body in self.handed if path.endswith(end)]


@contextmanager
def serving(folder: Path, world: World, epochs: list[dict[str, Any]]) -> Iterator[FakeSite]:
    """The site, answering in a thread."""
    site = FakeSite(folder, world, epochs)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


class _Answers(BaseHTTPRequestHandler):
    server: FakeSite

    def do_GET(self) -> None:
        site = self.server
        garbled = next((data for end, data in site.garbled.items() if self.path.endswith(end)), None)
        if garbled is not None:
            self.wfile.write(garbled)
        elif self.path == "/v1/session/challenge":
            self._json({"challenge": "c1", "site": "hamburg"})
        elif "council" not in self.headers.get("Cookie", ""):
            self._json({"detail": "sign in first"}, 401)
        elif self.path == "/v1/acts":
            acts = sorted((site.folder / "acts").iterdir())
            self._json({"acts": [json.loads(path.read_bytes()) for path in acts]})
        elif self.path == "/v1/epochs":
            self._json({"epochs": site.epochs})
        elif self.path.endswith("/roster"):
            leaves = site.world.rosters[self.path.split("/")[3]]
            self._json({"leaves": [leaf.fields() for leaf in leaves], "names": ["Alma Beispiel"]})
        elif self.path.endswith("/inventory"):
            epoch = self.path.split("/")[3]
            self._json({"e": epoch, "leaves": site.world.inventories[epoch]})
        elif "/openings?cursor=" in self.path:
            self._openings(self.path.split("/")[3], int(self.path.rpartition("=")[2]))
        elif self.path.startswith(LOG):
            if self.path.endswith("/checkpoint"):
                site.meanwhile()
            self._file(site.folder / "log" / self.path.removeprefix(LOG))
        else:
            self._json({"detail": "no such thing"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/session":
            message = canonical({"challenge": "c1", "role": "council", "site": "hamburg"})
            try:
                verify(KEYS["council"].verify_key, "fairtap-session@v1", message, body["signature"])
            except CryptoError:
                self._json({"detail": "not the council's key"}, 401)
                return
            self._json({"role": "council"}, 201, cookie="session=council; Path=/; HttpOnly")
            return
        self.server.handed.append(("POST", self.path, body))
        self._json({}, 201)

    def _openings(self, epoch: str, cursor: int) -> None:
        """In small pages, sealed to the council."""
        lines = (self.server.folder / "openings" / epoch).read_bytes().splitlines()
        told = [(parse_call_opening(line).entry, line) for line in lines]
        rest = [one for one in told if one[0] > cursor]
        items = [
            {"entry": entry, "sealed": base64.b64encode(encrypt(line, [COUNCIL.recipient])).decode()}
            for entry, line in rest[:PAGE]
        ]
        self._json({"items": items, "next": rest[PAGE - 1][0] if len(rest) > PAGE else None})

    def _file(self, path: Path) -> None:
        if path.is_file():
            self._send(path.read_bytes(), 200)
        else:
            self._json({"detail": "no such tile"}, 404)

    def _json(self, body: object, status: int = 200, cookie: str | None = None) -> None:
        self._send(json.dumps(body).encode(), status, cookie)

    def _send(self, data: bytes, status: int, cookie: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if cookie is not None:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
