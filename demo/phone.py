"""A simulated phone or trunk: a SIP end point (RFC 3261) on one loopback address with real RTP, scripted by async code.

`async with Phone(("127.0.0.5", 5060)) as phone: call = await phone.call("sip:42@…", via=("127.0.0.1", 5060))`.
It calls and is called, over UDP and TCP; it does no digest, PRACK, TLS or SRTP.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from demo.call import Call, Refused, Wish, accepted
from demo.dialog import Dialog, new_request
from demo.exchange import Answer, Exchange, NoAnswer
from demo.line import Line
from demo.link import Hop, Link, Lose
from gateway.sip.build import build_response
from gateway.sip.errors import SipError
from gateway.sip.headers import address, parse_cseq, replace_first, top_via
from gateway.sip.message import Request, Response
from gateway.sip.timers import SipTimers

__all__ = ["Call", "Hop", "NoAnswer", "Phone", "Refused", "Wish"]

Headers = Sequence[tuple[str, str]]


class Phone:
    """An end point; use it as a context manager. Calls that come in wait in `incoming`."""

    def __init__(
        self,
        bind: tuple[str, int],
        *,
        user: str = "phone",
        transport: str = "udp",
        wish: Wish | None = None,
        timers: SipTimers = SipTimers.RFC3261,
        lose: Lose | None = None,
    ) -> None:
        self.user = user
        self.transport = transport
        self.wish = wish or Wish()
        self.timers = timers
        self.incoming: asyncio.Queue[Call] = asyncio.Queue()
        self._bind = bind
        self._lose = lose
        self._link: Link | None = None
        self._exchanges: dict[tuple[str, str], Exchange] = {}
        self._answers: dict[tuple[str, str], Answer] = {}
        self._calls: dict[tuple[str, str], Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._link = await Link.open(self._bind, self._deliver, self._lose)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for call in tuple(self._calls.values()):
            await call.close()
        for exchange in self._exchanges.values():
            exchange.close()
        for answer in self._answers.values():
            answer.acknowledged()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.link.close()

    @property
    def link(self) -> Link:
        """Its sockets."""
        if self._link is None:
            raise RuntimeError("the phone isn't plugged in: use `async with`")
        return self._link

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens for SIP."""
        return self.link.host, self.link.port

    @property
    def uri(self) -> str:
        """Its own address of record and Contact."""
        return self.link.uri(self.user, self.transport)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Calls that haven't ended."""
        return tuple(self._calls.values())

    async def call(
        self,
        uri: str,
        via: tuple[str, int] | Hop | None = None,
        headers: Headers = (),
        *,
        wish: Wish | None = None,
        delayed_offer: bool = False,
        caller: str | None = None,
        display_name: str = "",
        call_id: str | None = None,
    ) -> Call:
        """Send an INVITE, to `via` where one is named; returns at once, `answered` and `ringing` tell the rest."""
        line = await Line.open(self.link.host)
        quoted = f'"{display_name}" ' if display_name else ""
        dialog = Dialog(
            call_id=call_id or secrets.token_hex(12),
            local=f"{quoted}<{caller or self.uri}>;tag={secrets.token_hex(6)}",
            remote=f"<{uri}>",
            target=uri,
            contact=f"<{self.uri}>",
            first_hop=self._hop(via),
        )
        call = Call(self, dialog, line, wish or self.wish)
        self._calls[dialog.call_id, dialog.local_tag] = call
        call.start_inviting(headers, delayed_offer)
        return call

    async def ask(
        self, method: str, uri: str, via: tuple[str, int] | Hop | None = None, headers: Headers = ()
    ) -> Response:
        """Send a request outside of a dialog and return its final answer, whatever its status; raises `NoAnswer`."""
        hop = self._hop(via) or Hop.of_uri(uri)
        fields = [
            ("Via", self.new_via(hop)),
            ("Max-Forwards", "70"),
            ("From", f"<{self.uri}>;tag={secrets.token_hex(6)}"),
            ("To", f"<{uri}>"),
            ("Call-ID", secrets.token_hex(12)),
            ("CSeq", f"1 {method}"),
            *headers,
        ]
        return await self.exchange(new_request(method, uri, fields), hop).final()

    async def register(self, registrar: str, via: tuple[str, int] | Hop | None = None, expires: int = 3600) -> None:
        """Register this phone's `user` at `registrar` (`sip:host:port`); raises `Refused` or `NoAnswer`."""
        aor = registrar.replace("sip:", f"sip:{self.user}@", 1)
        hop = self._hop(via) or Hop.of_uri(registrar)
        fields = [
            ("Via", self.new_via(hop)),
            ("Max-Forwards", "70"),
            ("From", f"<{aor}>;tag={secrets.token_hex(6)}"),
            ("To", f"<{aor}>"),
            ("Call-ID", secrets.token_hex(12)),
            ("CSeq", "1 REGISTER"),
            ("Contact", f"<{self.uri}>;expires={expires}"),
            ("Supported", "path"),
        ]
        accepted(await self.exchange(new_request("REGISTER", registrar, fields), hop).final())

    # --- for calls --------------------------------------------------------------------------------------------------

    def new_via(self, hop: Hop) -> str:
        """A Via with a new branch."""
        return self.link.via(hop.transport, f"z9hG4bK{secrets.token_hex(8)}")

    def exchange(self, request: Request, hop: Hop, heard: Callable[[Response], None] | None = None) -> Exchange:
        """Send a request and keep at it."""
        made = Exchange(self.link, self.timers, request, hop, heard)
        self._exchanges[top_via(request).branch, request.method] = made
        return made

    def send(self, request: Request, hop: Hop) -> None:
        """Send a request that nobody answers: an ACK."""
        self.link.send(request, hop)

    def forget(self, call: Call) -> None:
        """The call is over."""
        self._calls.pop((call.dialog.call_id, call.dialog.local_tag), None)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that the present callback can't wait for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what comes in ----------------------------------------------------------------------------------------------

    def _hop(self, via: tuple[str, int] | Hop | None) -> Hop | None:
        return via if via is None or isinstance(via, Hop) else Hop(self.transport, *via)

    def _deliver(self, message: Request | Response, origin: Hop) -> None:
        try:
            if isinstance(message, Response):
                self._take_response(message)
            else:
                self._take_request(message, origin)
        except SipError:
            self.link.malformed += 1

    def _take_response(self, response: Response) -> None:
        _, method = parse_cseq(response.get("cseq") or "")
        exchange = self._exchanges.get((top_via(response).branch, method))
        if exchange is not None:
            exchange.take(response)

    def _take_request(self, request: Request, origin: Hop) -> None:
        stamped = top_via(request).stamped(origin.host, origin.port)
        replace_first(request, "via", str(stamped))
        reply_to = origin if origin.transport == "tcp" else Hop("udp", *stamped.reply_address)
        if request.method == "ACK":
            self._take_ack(request, stamped.branch)
            return
        known = self._answers.get((stamped.branch, request.method))
        if known is not None:
            known.repeat()
            return
        answer = Answer(self.link, self.timers, request, reply_to)
        self._answers[stamped.branch, request.method] = answer
        self._take_new(request, answer, stamped.branch)

    def _take_new(self, request: Request, answer: Answer, branch: str) -> None:
        call = self._calls.get((request.get("call-id") or "", address(request, "to").tag or ""))
        if request.method == "CANCEL":
            self._take_cancel(request, answer, branch)
        elif call is not None:
            call.take(request, answer)
        elif address(request, "to").tag is not None:
            answer.send(build_response(request, 481))
        elif request.method == "INVITE":
            self.later(self._ring(request, answer))
        else:
            known = request.method in ("OPTIONS", "MESSAGE", "INFO", "NOTIFY")
            answer.send(build_response(request, 200 if known else 405, to_tag=secrets.token_hex(6)))

    async def _ring(self, invite: Request, answer: Answer) -> None:
        answer.send(build_response(invite, 100))
        dialog = Dialog.invited(invite, secrets.token_hex(6), f"<{self.uri}>", answer.origin)
        call = Call(self, dialog, await Line.open(self.link.host), self.wish, answer)
        self._calls[dialog.call_id, dialog.local_tag] = call
        self.incoming.put_nowait(call)

    def _take_cancel(self, cancel: Request, answer: Answer, branch: str) -> None:
        invited = self._answers.get((branch, "INVITE"))
        answer.send(build_response(cancel, 481 if invited is None else 200, to_tag=secrets.token_hex(6)))
        for call in self.calls:
            if invited is not None and call.invite is invited.request:
                call.cancelled()

    def _take_ack(self, ack: Request, branch: str) -> None:
        refused = self._answers.get((branch, "INVITE"))
        if refused is not None:
            refused.acknowledged()
        call = self._calls.get((ack.get("call-id") or "", address(ack, "to").tag or ""))
        if call is not None and refused is None:
            call.take_ack(ack)
