"""The arithmetic of the draw "FT-DRAW-1": from two committed shares and (epoch, agent, counter) to drawn or not.

Nothing that the host could choose (a Call-ID, a number, a time) enters. Ceiling and caps are policy's, not this file's.
"""

import hashlib
import hmac
import secrets
from typing import Final, Literal

from crypto.commitment import PSEUDONYM_BYTES
from crypto.errors import DrawError, FramingError
from crypto.framing import lp, parse_hex, uint64be

Role = Literal["host", "council"]
ROLES: Final[tuple[Role, ...]] = ("host", "council")
SHARE_BYTES: Final = 32
PPM: Final = 1_000_000


def new_share() -> bytes:
    """A fresh share s_role for one epoch, 32 bytes."""
    return secrets.token_bytes(SHARE_BYTES)


def epoch_commitment(role: Role, origin: str, epoch: str, share32: bytes) -> bytes:
    """com_role = SHA-256(LP("fairtap/v1/epoch-commit", role, origin, E) ‖ s_role). Raises DrawError."""
    return hashlib.sha256(_context("fairtap/v1/epoch-commit", role, origin, epoch) + _share(share32)).digest()


def agent_key(role: Role, origin: str, epoch: str, agent: str, share32: bytes) -> bytes:
    """K_role of one agent in one epoch; `agent` is the pseudonym's 32 hexadecimal characters. Raises DrawError."""
    try:
        parse_hex(agent, PSEUDONYM_BYTES)
    except FramingError:
        raise DrawError("agent isn't a pseudonym of 32 hexadecimal characters") from None
    return hmac.digest(_share(share32), _context("fairtap/v1/agent-key", role, origin, epoch, agent), "sha256")


def draw_output(key: bytes, n: int) -> bytes:
    """y_role = HMAC-SHA256(K_role, LP("fairtap/v1/draw") ‖ uint64be(n)) for the agent's n-th leg, 32 bytes."""
    if len(key) != SHARE_BYTES:
        raise DrawError("agent key isn't 32 bytes")
    try:
        return hmac.digest(key, lp("fairtap/v1/draw") + uint64be(n), "sha256")
    except FramingError:
        raise DrawError("counter is outside uint64") from None


def combine(y_host: bytes, y_council: bytes) -> int:
    """u, uniform in 0 … 2^64 - 1 as soon as one of the two shares was honest."""
    if len(y_host) != SHARE_BYTES or len(y_council) != SHARE_BYTES:
        raise DrawError("draw output isn't 32 bytes")
    digest = hashlib.sha256(lp("fairtap/v1/u") + y_host + y_council).digest()
    return int.from_bytes(digest[:8], "big")


class AgentDraws:
    """The draws of one agent in one epoch, from both shares. Raises DrawError."""

    def __init__(self, origin: str, epoch: str, agent: str, host: bytes, council: bytes) -> None:
        self._host = agent_key("host", origin, epoch, agent, host)
        self._council = agent_key("council", origin, epoch, agent, council)

    def u(self, n: int) -> int:
        """u of the agent's n-th leg."""
        return combine(draw_output(self._host, n), draw_output(self._council, n))


def drawn(u: int, ppm: int) -> bool:
    """Whether `u` falls under `ppm` millionths: never at 0, always at 10^6, exact in between (integers only)."""
    if not 0 <= u < 1 << 64:
        raise DrawError("u is outside uint64")
    return u < drawn_below(ppm)


def drawn_below(ppm: int) -> int:
    """The bound that `u` must lie under to be drawn at `ppm` millionths. Raises DrawError."""
    if not 0 <= ppm <= PPM:
        raise DrawError("rate is outside 0 to 1000000 ppm")
    return (ppm << 64) // PPM


def _context(label: str, role: Role, *rest: str) -> bytes:
    if role not in ROLES:
        raise DrawError("role is neither host nor council")
    try:
        return lp(label, role, *rest)
    except FramingError:
        raise DrawError("origin or epoch can't be framed") from None


def _share(share32: bytes) -> bytes:
    if len(share32) != SHARE_BYTES:
        raise DrawError("share isn't 32 bytes")
    return share32
