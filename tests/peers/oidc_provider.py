"""An OpenID provider on loopback that vouches for whatever it is told to: discovery, keys, and signed tokens."""

import asyncio
import json
import time
from types import TracebackType
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import ECKey


class Provider:
    """Use it as a context manager."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.asked = 0
        """Requests that came in."""
        self.issuer = ""
        self._host = host
        self._key = ECKey.generate_key("P-256", {"kid": "1", "use": "sig", "alg": "ES256"})
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, 0)
        self.issuer = f"http://{self._host}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    def token(self, claims: dict[str, Any]) -> str:
        """A token of an hour with these claims, signed with the key that `jwks` serves."""
        now = int(time.time())
        whole = {"iss": self.issuer, "aud": "fairtap", "iat": now, "exp": now + 3600, **claims}
        return jwt.encode({"alg": "ES256", "kid": "1"}, whole, self._key)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        line = (await reader.readline()).decode().split()
        keys = {"keys": [self._key.as_dict(private=False)]}
        about = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", "token_endpoint": f"{self.issuer}/token"}
        body = json.dumps(keys if line[1:2] == ["/jwks"] else about).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
