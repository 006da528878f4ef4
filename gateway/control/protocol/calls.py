"""What machines say about a call, what is asked for in one, and what is told of one.

`call` is our reference or the SIP Call-ID.
"""

from dataclasses import dataclass
from typing import Literal

from gateway.control.protocol.agents import Signed


@dataclass(frozen=True, slots=True)
class AgentOnCall:
    """The PBX says for how long which extension is on a call (None: nobody); never whose extension that is."""

    call: str
    extension: str | None
    ttl_s: float
    queue: str | None = None
    kind: Literal["agent_on_call"] = "agent_on_call"


@dataclass(frozen=True, slots=True)
class CallerAnswered:
    """What a caller answered an IVR, for one purpose; a yes names its prompt by hash, and when it had ended."""

    call: str
    ivr: str
    """Name of the registered credential, which the agreement names as `ivr:NAME`."""
    purpose: str
    answer: Literal["yes", "no", "silence"]
    prompt_sha256: str | None = None
    prompt_end: str | None = None
    answered_at: str | None = None
    kind: Literal["caller_answered"] = "caller_answered"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """The agent wants this call recorded, for the caller or for themselves: their signed yes to that lane's purpose.

    Answered once the wish is entered; then the caller is asked. Refused before that where it would be in vain.
    """

    agent: str
    call: str
    lane: Literal["customer_request", "agent_request"]
    statement: Signed
    kind: Literal["request_record"] = "request_record"


@dataclass(frozen=True, slots=True)
class PauseCall:
    """Pause (card data and the like) or resume; `by` is `agent:{id}` or `pbx`."""

    call: str
    by: str
    on: bool
    kind: Literal["pause_call"] = "pause_call"


@dataclass(frozen=True, slots=True)
class ReadCode:
    """Read the call's record code to the caller, digit by digit, twice; or stop reading it."""

    agent: str
    call: str
    on: bool = True
    kind: Literal["read_code"] = "read_code"


@dataclass(frozen=True, slots=True)
class RunningCalls:
    """Answered with `{"calls": [{"call","since","queue"}]}`: no numbers, no recording state."""

    kind: Literal["running_calls"] = "running_calls"


@dataclass(frozen=True, slots=True)
class Explain:
    """Why a call was (not) recorded, as far as the asker may know; `agent` set: that agent's own leg in full."""

    call: str
    agent: str | None = None
    kind: Literal["explain"] = "explain"


@dataclass(frozen=True, slots=True)
class FindCall:
    """Our reference for a SIP Call-ID of a running call; answered with `{"call": …|null}`."""

    call_id: str
    kind: Literal["find_call"] = "find_call"


@dataclass(frozen=True, slots=True)
class CallLadder:
    """A call's signalling: `{"rungs": [{"after_s", "by", "said"}], "missed": n, "media": {}}`, or `call_unknown`.

    `media`, while the call runs: by side and m-line (`caller/0`) what is known of how well the party hears.
    """

    call: str
    kind: Literal["call_ladder"] = "call_ladder"
