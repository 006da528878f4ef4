"""Transactions of a simulated phone (RFC 3261 §17): requests sent until they are answered, answers kept for repeats."""

import asyncio
from collections.abc import Callable

from demo.link import Hop, Link
from gateway.sip.build import build_ack
from gateway.sip.message import Request, Response
from gateway.sip.timers import SipTimers


class NoAnswer(Exception):
    """Nobody answered a request in time."""


class Exchange:
    """A client transaction: timers A, B, E, F; refusals of an INVITE are acknowledged here."""

    def __init__(
        self, link: Link, timers: SipTimers, request: Request, to: Hop, heard: Callable[[Response], None] | None = None
    ) -> None:
        self.request = request
        self.to = to
        self._link = link
        self._timers = timers
        self._heard = heard
        self._provisional = False
        self._final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = asyncio.get_running_loop().call_later(timers.timeout, self._give_up)
        link.send(request, to)
        if to.transport == "udp":
            self._again_in(timers.t1)

    async def final(self) -> Response:
        """The first final answer; raises `NoAnswer`."""
        return await asyncio.shield(self._final)

    def on_silence(self, tell: Callable[[], None]) -> None:
        """Tell when nobody answered in time."""
        self._final.add_done_callback(lambda final: tell() if final.exception() is not None else None)

    def take(self, response: Response) -> None:
        """A response with this transaction's branch."""
        self._provisional = True
        invite = self.request.method == "INVITE"
        if response.status < 200 and invite:
            self._deadline.cancel()
        if response.status >= 200 or invite:
            self._stop_timer()
        if response.status >= 300 and invite:
            self._link.send(build_ack(self.request, response), self.to)
        if self._heard is not None:
            self._heard(response)
        if response.status >= 200:
            self._deadline.cancel()
            if not self._final.done():
                self._final.set_result(response)

    def close(self) -> None:
        """Forget the timers; whoever waits gets `NoAnswer`."""
        self._deadline.cancel()
        self._give_up()

    def _again_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._again, seconds)

    def _again(self, waited: float) -> None:
        self._link.send(self.request, self.to)
        doubled = waited * 2
        self._again_in(doubled if self.request.method == "INVITE" else min(doubled, self._timers.t2))

    def _give_up(self) -> None:
        self._stop_timer()
        if not self._final.done():
            self._final.set_exception(NoAnswer(f"no answer to {self.request.method}"))
            # somebody may have stopped waiting long ago
            self._final.exception()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Answer:
    """A server transaction's answers: the last one is repeated when the request is, an INVITE's final until its ACK."""

    def __init__(self, link: Link, timers: SipTimers, request: Request, origin: Hop) -> None:
        self.request = request
        self.origin = origin
        self.last: Response | None = None
        self._link = link
        self._timers = timers
        self._timer: asyncio.TimerHandle | None = None
        self._waited = 0.0

    def send(self, response: Response) -> None:
        """Answer; a final one to an INVITE is sent again until `acknowledged`."""
        self.last = response
        self._link.send(response, self.origin)
        # RFC 3261 §13.3.1.4: a 2xx is repeated over TCP too, since the hops behind may be UDP
        if self.request.method == "INVITE" and (200 <= response.status < 300 or self._refused_over_udp(response)):
            self._again_in(self._timers.t1)

    def repeat(self) -> None:
        """The request came again."""
        if self.last is not None:
            self._link.send(self.last, self.origin)

    def acknowledged(self) -> None:
        """The ACK came, or nobody waits for it any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _refused_over_udp(self, response: Response) -> bool:
        return response.status >= 300 and self.origin.transport == "udp"

    def _again_in(self, seconds: float) -> None:
        self.acknowledged()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._again, seconds)

    def _again(self, seconds: float) -> None:
        self._waited += seconds
        if self._waited < self._timers.timeout:
            self.repeat()
            self._again_in(min(seconds * 2, self._timers.t2))
