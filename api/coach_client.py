"""A coach's client without a browser: enrols, sees what is released to them, fetches it."""

from __future__ import annotations

from typing import Any

from api.keyed_client import KeyedClient

__all__ = ["CoachClient"]


class CoachClient(KeyedClient):
    """One coach's session."""

    ROOM = "/coaches/me"

    async def released(self) -> list[dict[str, Any]]:
        """What agents have released to this coach."""
        items: list[dict[str, Any]] = (await self.ask("GET", "/recordings"))["items"]
        return items
