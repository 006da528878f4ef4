"""Which addresses of a site the council's tool takes: plain HTTP for this machine alone. How it asks there."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from council.errors import Unreachable, WrongUse
from council.site import SiteClient


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:8080", "https://fairtap.example"]
)
def test_taken(url):
    SiteClient(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://fairtap.example",
        "http://127.evil.example",
        "http://localhost.example",
        "http://[::1:2]",
        "ftp://127.0.0.1",
        "x",
    ],
)
def test_refused(url):
    with pytest.raises(WrongUse):
        SiteClient(url)


class Refusing(BaseHTTPRequestHandler):
    """Refuses in the words of the language that it is asked in."""

    def do_GET(self) -> None:
        told = {"de": "Der Vorgang trägt keine Unterschrift."}.get(self.headers["Accept-Language"], "no signature")
        body = json.dumps({"detail": told}).encode()
        self.send_response(422)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.mark.parametrize(("language", "told"), [("de", "422 Der Vorgang trägt"), ("en", "422 no signature")])
def test_the_sites_refusal_is_told_in_the_councils_language(language, told):
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(Unreachable, match=told):
            SiteClient(f"http://127.0.0.1:{server.server_address[1]}", language=language).get("/v1/acts")
        thread.join(10)
