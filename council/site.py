"""The site's API as the council uses it, over the standard library's HTTP: sign in by key, read, hand over.

Plain HTTP on loopback only. An answer is limited in size and believed in nothing.
"""

import base64
import contextlib
import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from typing import Any, Final

from council.errors import Unreachable, WrongUse
from crypto.errors import CryptoError
from crypto.jcs import canonical, parse_json
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign

NAMESPACE: Final = "fairtap-session@v1"
MAX_ANSWER: Final = 64 << 20
TIMEOUT_S: Final = 30


class SiteClient:
    """One signed-in session. `url` is the API's address without `/v1`; refusals are told in `language`."""

    def __init__(self, url: str, ca: str | None = None, language: str = "en") -> None:
        try:
            parts = urllib.parse.urlsplit(url)
        except ValueError:
            raise WrongUse(f"`{url}` is no address of a site") from None
        host = parts.hostname or ""
        here = host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdecimal())
        if parts.scheme not in ("http", "https") or not host:
            raise WrongUse(f"`{url}` is no address of a site: it begins with `https://`")
        if parts.scheme == "http" and not here:
            raise WrongUse("plain http is for this machine only: use the `https://` address")
        self._url = url.rstrip("/")
        self._origin, self._language = f"{parts.scheme}://{parts.netloc}", language
        # the site takes changes from its own address only, which a browser can't be made to claim
        try:
            context = ssl.create_default_context(cafile=ca)
        except OSError:
            raise WrongUse(f"no certificates in `{ca}`") from None
        self._http = urllib.request.build_opener(
            urllib.request.ProxyHandler({}) if here else urllib.request.ProxyHandler(),
            urllib.request.HTTPSHandler(context=context),
            _NoRedirect(),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        )

    def sign_in(self, role: str, key: SigningKey) -> None:
        """Open a session by signing a challenge with the role's anchored key. Raises Unreachable."""
        asked = self.get_json("/v1/session/challenge")
        told = {"challenge": str(asked.get("challenge")), "role": role.rstrip("0123456789")}
        message = canonical({**told, "site": str(asked.get("site"))})
        self.send("POST", "/v1/session", {**told, "signature": sign(key, NAMESPACE, message)})

    def get(self, path: str) -> bytes | None:
        """What lies at a path; None where there is nothing. Raises Unreachable."""
        return self._ask("GET", path, None)

    def get_json(self, path: str, limit: int = MAX_ANSWER) -> dict[str, Any]:
        """A JSON object of at most `limit` bytes. Raises Unreachable, also where there is nothing."""
        return _object(self.get(path), path, limit)

    def openings(self, path: str) -> Iterator[bytes]:
        """Every opening of an epoch, page by page, as it is sealed. Raises Unreachable."""
        cursor, after = 0, -1
        while cursor > after:
            page = self.get_json(f"{path}/openings?cursor={cursor}")
            try:
                yield from (base64.b64decode(one["sealed"], validate=True) for one in page["items"])
                after, cursor = cursor, int(page["next"] or 0)
            except (KeyError, TypeError, ValueError):
                raise Unreachable(f"`{path}/openings` isn't what it should be") from None

    def send(self, method: str, path: str, body: object) -> dict[str, Any]:
        """Hand something over. Raises Unreachable with what the site said."""
        return _object(self._ask(method, path, json.dumps(body).encode()), path)

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes | None:
        said = {"Accept": "application/json, */*", "Accept-Language": self._language, "Origin": self._origin}
        request = urllib.request.Request(self._url + path, body, said, method=method)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with self._http.open(request, timeout=TIMEOUT_S) as answer:
                data: bytes = answer.read(MAX_ANSWER + 1)
                cut = len(data) <= MAX_ANSWER and bool(answer.length)  # what was announced and never came
        except urllib.error.HTTPError as error:
            if error.code == 404 and method == "GET":
                return None
            raise Unreachable(f"{method} {path}: {_said(error)}") from None
        except (OSError, ValueError) as error:
            raise Unreachable(f"{self._url} doesn't answer: {getattr(error, 'reason', error)}") from None
        except http.client.HTTPException:
            raise Unreachable(f"{method} {path}: what came is cut short, or no http") from None
        if len(data) > MAX_ANSWER or cut:
            raise Unreachable(f"{method} {path}: the answer is {'cut short' if cut else 'too long'}")
        return data


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The site's API sends nobody elsewhere."""

    def redirect_request(self, *_: object) -> None:
        """Take the redirection as an error."""


def _said(error: urllib.error.HTTPError) -> str:
    """The problem's own sentence, else the status."""
    detail = None
    with contextlib.suppress(CryptoError, OSError, AttributeError):
        detail = parse_json(error.read(65_536), limit=65_536).get("detail")  # type: ignore[union-attr]  # or it isn't
    return "".join(char for char in f"{error.code} {detail or error.reason}"[:300] if char.isprintable())


def _object(data: bytes | None, path: str, limit: int = MAX_ANSWER) -> dict[str, Any]:
    """Strict, so that whatever is kept of it prints as canonical JSON."""
    try:
        found = parse_json(data or b"{}", limit=limit)
    except CryptoError:
        found = None
    if data is None or not isinstance(found, dict):
        raise Unreachable(f"the site has no `{path}`, or not as a json object")
    return found
