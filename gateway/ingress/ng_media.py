"""What a proxy has us withhold from a party or play to it: keys, all that the other one says, a sound. Forwarding only.

No word of it reaches the recorder's rules: a key that isn't forwarded is still heard as a caller's answer, one that is
held back while a caller is asked stays so whatever is unblocked, and prompts, notices and tones are ours.
"""

import asyncio
from pathlib import Path
from typing import Final

from gateway.call.model import flow_of
from gateway.call.stage import Stage
from gateway.engine.engine import Engine
from gateway.engine.live_call import LiveCall
from gateway.ingress.ng_records import ProxyCall, Withheld
from gateway.media.errors import SoundError
from gateway.media.plane import Play, StopPlay, Withhold
from gateway.media.prompts.plain_sounds import PLAIN, read_plain
from gateway.ng.errors import NgError
from gateway.rtp.g711 import RATE
from policy.decision import Side

__all__ = ["NgMedia"]

ASKING: Final = frozenset({Stage.PROMPTING, Stage.LISTENING, Stage.NOTICING, Stage.LIT})
MOST_TIMES: Final = 100
PLAYED: Final = "proxy-"
"""How references of these playings begin."""


class NgMedia:
    """Over one engine."""

    def __init__(self, engine: Engine, sounds: Path) -> None:
        self._engine = engine
        self._sounds = sounds
        """Folder of what may be played."""
        self._plays = 0

    @staticmethod
    def withhold(known: ProxyCall, side: Side, command: str) -> None:
        """Note one command about what a party says."""
        kept = known.withheld.setdefault(side, Withheld())
        match command:
            case "block DTMF":
                kept.keys = "blocked"
            case "unblock DTMF":
                kept.keys = "passed"
            case "block media":
                kept.blocked = True
            case "unblock media":
                kept.blocked = False
            case "silence media":
                kept.silenced = True
            case "unsilence media":
                kept.silenced = False

    async def play(self, live: LiveCall, known: ProxyCall, side: Side, file: str, times: int) -> int:
        """Play a sound to a party, in the other's place; how many ms it lasts. Raises `NgError`.

        Never while the caller is asked or told: a sound of somebody else's would cut our question.
        """
        sound = PLAIN + file.rsplit("/", 1)[-1].removesuffix(".wav")
        try:
            samples = (await asyncio.to_thread(read_plain, self._sounds, sound)).samples
        except SoundError as error:
            raise NgError(f"Failed to start media playback from file: {error}") from None
        leg, line = live.call.leg, live.call.negotiation.line()
        if leg is not None and leg.stage in ASKING:
            raise NgError("Not while a party is asked or told")
        if line is None:
            raise NgError("No codec that sounds can be played in")
        self._plays += 1
        known.playing[side] = play = f"{PLAYED}{self._plays}"
        times = min(max(times, 1), MOST_TIMES)
        flow = line.caller_flow if side is Side.CALLER else line.agent_flow
        self._engine.order(live, Play(
            play, flow, sound, "instead", line.codec, line.payload_type, line.ptime_ms,
            then=(sound,) * (times - 1),
        ))  # fmt: skip
        return times * len(samples) * 1000 // RATE

    def stop_playing(self, live: LiveCall, known: ProxyCall, side: Side) -> None:
        """End what was begun last for this party; what we play ourselves goes on."""
        line, play = live.call.negotiation.line(), known.playing.pop(side, None)
        if line is not None and play is not None:
            flow = line.caller_flow if side is Side.CALLER else line.agent_flow
            self._engine.order(live, StopPlay(play, flow))

    def renew(self, live: LiveCall, known: ProxyCall) -> None:
        """Order it, and again after every answer: payload types may have changed."""
        ref, media = live.call.ref, live.call.negotiation
        for side, kept in known.withheld.items():
            for index in media.mlines():
                order = Withhold(flow_of(ref, side, index), kept.keys, kept.audio, media.event_types(index))
                self._engine.order(live, order)
