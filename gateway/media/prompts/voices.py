"""Sounds on their way to being played: at once where they are in memory, else read and coded in a thread.

A disk that hangs, or half a second of coding, mustn't stop the packets of the calls.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, get_args

from gateway.media.datapath.base import call_of
from gateway.media.plane import CallRef, FlowId, Play
from gateway.media.prompts.player import CodedVoice, LawVoice, Voice
from gateway.media.prompts.sounds import Catalogue
from gateway.rtp.payload_types import Law

__all__ = ["Voices"]

LAWS: Final = get_args(Law)


class Voices:
    """Of one worker. `made` gets an order and what gives its voice or raises SoundError; needs a running loop."""

    def __init__(self, catalogue: Catalogue, made: Callable[[Play, Callable[[], Voice]], None]) -> None:
        self._catalogue, self._made = catalogue, made
        self._making: dict[tuple[FlowId, str], asyncio.Future[Voice]] = {}
        self._thread: Final = ThreadPoolExecutor(1, "sounds")
        """One, so that sounds which must be read are played in the order of their orders."""

    def take_in(self) -> None:
        """Read all sounds that are there, before there are calls."""
        self._catalogue.take_in()

    def make(self, order: Play) -> None:
        """Have `made` called, now or soon, unless it is forgotten before."""
        if order.codec in LAWS and self._catalogue.at_hand((order.sound, *order.then), order.sha256):
            self._made(order, partial(self._voice, order))
            return
        making = asyncio.get_running_loop().run_in_executor(self._thread, self._voice, order)
        self._making[order.flow, order.play] = making
        making.add_done_callback(partial(self._done, order))

    def forget(self, call: CallRef, play: str | None = None) -> list[tuple[FlowId, str]]:
        """Sounds of a call, or one playing of it, that aren't made yet aren't wanted any more; which they were."""
        gone = [(flow, one) for flow, one in self._making if call_of(flow) == call and play in (None, one)]
        for key in gone:
            del self._making[key]
        return gone

    def forget_all(self) -> None:
        """Nobody waits for any of them."""
        self._making.clear()

    def close(self) -> None:
        """Without waiting for a disk."""
        self.forget_all()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _done(self, order: Play, making: asyncio.Future[Voice]) -> None:
        if self._making.get((order.flow, order.play)) is making:
            del self._making[order.flow, order.play]
            self._made(order, making.result)

    def _voice(self, order: Play) -> Voice:
        sounds = (order.sound, *order.then)
        if order.codec == "PCMA" or order.codec == "PCMU":
            samples = self._catalogue.sequence(sounds, order.sha256)
            return LawVoice(order.codec, samples, order.ptime_ms, order.gain_db)
        return CodedVoice(self._catalogue.coded(sounds, order.codec, order.ptime_ms, order.gain_db, order.sha256))
