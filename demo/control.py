"""Asks the gateway's control port for our reference of a running call, as `fairtap find` does."""

import asyncio
from pathlib import Path

from gateway.control.protocol import MAX_LINE, Answer, FindCall, Request, decode, encode


async def find_call(socket: Path, call_id: str) -> str | None:
    """The reference of a running call by its SIP Call-ID; None where there is no such call. Raises `OSError`."""
    reader, writer = await asyncio.open_unix_connection(str(socket), limit=MAX_LINE)
    try:
        writer.write(encode(Request(1, FindCall(call_id))))
        answer = decode(await reader.readline(), "reply")
        found = answer.ok if isinstance(answer, Answer) else None
        return None if found is None else found["call"]
    finally:
        writer.close()
