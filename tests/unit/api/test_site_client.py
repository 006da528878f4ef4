"""A site that has been asked too often is waited for by whoever has the time, and told to everybody else."""

from pathlib import Path

import httpx
import pytest

from api.site_client import ClientProblem, SiteClient

BUSY = {"type": "urn:fairtap:problem:too-many-requests", "detail": "wait"}


class Busy:
    """Answers 429 so many times."""

    def __init__(self, times: int, says: str = "7") -> None:
        self.left, self.says = times, says
        self.waited: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.left -= 1
        if self.left >= 0:
            return httpx.Response(429, json=BUSY, headers={"Retry-After": self.says})
        return httpx.Response(200, json={"path": request.url.path})

    async def wait(self, seconds: float) -> None:
        self.waited.append(seconds)

    def client(self, *, patient: bool = True) -> SiteClient:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="https://site.example")
        return SiteClient(http, self.wait if patient else None)


@pytest.mark.parametrize(("says", "waited"), [("7", 7.0), ("9999", 60.0), ("soon", 60.0)])
async def test_what_is_read_is_asked_for_again_when_the_site_says_so(tmp_path: Path, says: str, waited: float) -> None:
    for use in ("ask", "save"):
        busy = Busy(2, says)
        async with busy.client() as site:
            if use == "ask":
                assert await site.ask("GET", "/recordings") == {"path": "/v1/recordings"}
            else:
                assert await site.save("/recordings/1.age", tmp_path / "1.age", 999)
                assert b"/v1/recordings/1.age" in (tmp_path / "1.age").read_bytes()
        assert busy.waited == [waited] * 2


async def test_nothing_is_done_twice_and_nobody_waits_who_has_not_asked_to(tmp_path: Path) -> None:
    async with Busy(1).client() as site:
        with pytest.raises(ClientProblem, match="too-many-requests"):
            await site.ask("POST", "/session", {})
    async with Busy(2).client(patient=False) as site:
        with pytest.raises(ClientProblem, match="too-many-requests"):
            await site.ask("GET", "/recordings")
        with pytest.raises(ClientProblem, match="too-many-requests"):
            await site.save("/recordings/1.age", tmp_path / "1.age", 999)
    assert not list(tmp_path.iterdir())
