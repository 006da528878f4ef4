"""What a start of the gateway would refuse, as its own code says (`python -m gateway check`)."""

from __future__ import annotations

import asyncio
import json
import sys

from api.home import Home
from api.supervisor import child_environment

__all__ = ["start_faults"]


async def start_faults(home: Home) -> list[str]:
    """One line each, with what to do; none where nothing would be refused."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "check", "--config", str(home.file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=child_environment(),
    )
    out, complaint = await process.communicate()
    try:
        found: list[str] = json.loads(out)["faults"]
    except ValueError:
        said = complaint.decode(errors="replace").strip().splitlines() or ["the gateway's code could not look"]
        return [said[-1].removeprefix("gateway: ")]
    return found
