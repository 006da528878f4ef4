"""The codes that are listened for while a tap may be open: the caller's to withdraw, the agent's to pause. Sans-IO.

The worker matches them and tells nothing else that is pressed: a card number never reaches the gateway's process.
"""

from collections.abc import Iterator

from gateway.call.effects import PlaneOrder
from gateway.call.model import Line
from gateway.media.plane import Listen
from policy.agreement.schema import Prompt
from policy.intersection import Terms

__all__ = ["PAUSE_CODE", "RESUME_CODE", "listen_for_codes"]

PAUSE_CODE, RESUME_CODE = "*7", "*8"
"""By the agent's phone, where the agreement lets keys pause and the phone sends telephone-events."""


def listen_for_codes(line: Line, terms: Terms | None, prompt: Prompt | None) -> Iterator[PlaneOrder]:
    """Orders for both parties."""
    code = (prompt.withdraw_code,) if prompt is not None else ()
    yield PlaneOrder(Listen(line.caller_flow, bool(code), line.caller_events, codes=code))
    # speech could sound like a code: only real events pause
    if terms is not None and "dtmf" in terms.pause_triggers and line.agent_events:
        codes = (PAUSE_CODE, RESUME_CODE)
        yield PlaneOrder(Listen(line.agent_flow, True, line.agent_events, codes=codes))
