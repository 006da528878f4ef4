"""A call as a simulated phone has it: its dialog, its voice, and what a script may do with it.

Offer and answer (RFC 3264) without PRACK; hold and resume by re-INVITE; a call that is over keeps what it heard.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo import sdp
from demo.dialog import Dialog
from demo.exchange import Answer, Exchange, NoAnswer
from demo.g711 import Codec, Samples
from demo.line import Line, Playing, PressedDigit
from gateway.sip.build import build_cancel, build_response
from gateway.sip.headers import parse_cseq
from gateway.sip.message import Request, Response

if TYPE_CHECKING:
    from demo.phone import Phone


class Refused(Exception):
    """A request was answered with 300 or more."""

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(f"{status} {reason}".rstrip())
        self.status = status


@dataclass(frozen=True, slots=True)
class Wish:
    """What a phone offers or accepts for one call."""

    codecs: tuple[Codec, ...] = ("PCMA", "PCMU")
    telephone_event: int | None = sdp.TELEPHONE_EVENT


class Call:
    """Made by `Phone.call`, or by a phone that is called (then in `Phone.incoming`)."""

    def __init__(self, phone: "Phone", dialog: Dialog, line: Line, wish: Wish, invited: Answer | None = None) -> None:
        self.phone = phone
        self.dialog = dialog
        self.line = line
        self.invite: Request | None = invited.request if invited else None
        """The INVITE as this phone sent or received it."""
        self.ringing = asyncio.Event()
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the call stands (for a callee: with the ACK); raises `Refused` or `NoAnswer`."""
        self.ended = asyncio.Event()
        self.renegotiated = asyncio.Event()
        """Set by every re-INVITE or UPDATE of the other end; clear it to wait for the next."""
        self.remote_terms: sdp.Terms | None = None
        """What the other end said last about its media."""
        self.direction: sdp.Direction = "sendrecv"
        self._wish = wish
        self._session, self._version = secrets.randbits(31), 0
        self._invited = invited
        self._pending: Answer | None = invited
        self._inviting: Exchange | None = None
        self._acks: dict[int, Request] = {}
        self._offered = False
        self.answered.add_done_callback(lambda future: future.cancelled() or future.exception())

    # --- what a script does -----------------------------------------------------------------------------------------

    @property
    def heard(self) -> Samples:
        """Everything this phone heard, from the first packet on."""
        return self.line.heard

    @property
    def digits(self) -> list[PressedDigit]:
        """Keys of the other end, as RFC 4733 events."""
        return self.line.digits

    def play(self, samples: Samples) -> Playing:
        """Say something, after what is already waiting."""
        return self.line.play(samples)

    def press(self, keys: str, ms: int = 100) -> None:
        """Press keys one after another."""
        self.line.press(keys, ms)

    async def hears(self, sound: Samples, strength: float = 0.7) -> float:
        """Wait until a sound of a second or two was heard; the loop's time of its end."""
        return await self.line.hears(sound, strength)

    async def hears_keys(self, keys: str) -> None:
        """Wait until the last keys of the other end were these."""
        await self.line.hears_keys(keys)

    def ring(self, status: int = 180) -> None:
        """Tell the caller that it rings."""
        self._answer_invite(self._must_be_pending(), status)

    def speak_early(self) -> None:
        """Announce something before picking up (183 with SDP, as a carrier's "the number has changed")."""
        pending = self._must_be_pending()
        self._answer_invite(pending, 183, self._agree(pending.request.body))
        self.line.start()

    def answer(self) -> None:
        """Pick up and start to speak; `answered` is done with the caller's ACK."""
        pending = self._must_be_pending()
        self.line.start()
        self._answer_offer(pending)

    def refuse(self, status: int = 486) -> None:
        """Do not pick up."""
        self._answer_invite(self._must_be_pending(), status)
        self._fail(Refused(status))

    async def hold(self, direction: sdp.Direction = "sendonly") -> None:
        """Put the other end on hold by re-INVITE."""
        await self.renegotiate(direction)

    async def resume(self) -> None:
        """Take the other end off hold by re-INVITE."""
        await self.renegotiate("sendrecv")

    async def renegotiate(self, direction: sdp.Direction) -> None:
        """Send a re-INVITE with a new direction; raises `Refused` or `NoAnswer`, and then all stays as it was."""
        before, self.direction = self.direction, direction
        try:
            await self._invite_again()
        except (Refused, NoAnswer):
            self.direction = before
            raise

    async def bye(self) -> None:
        """Hang up; returns when the other end has confirmed, or never answered."""
        if self.ended.is_set():
            return
        try:
            await self.ask("BYE")
        except (Refused, NoAnswer):
            pass
        finally:
            await self.close()

    async def cancel(self) -> None:
        """Give up a call that wasn't answered yet; `answered` then raises `Refused` with 487."""
        if self._inviting is not None:
            cancel = build_cancel(self._inviting.request)
            await self.phone.exchange(cancel, self._inviting.to).final()

    async def ask(self, method: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> Response:
        """Send any request within the dialog and return its final answer; raises `Refused` or `NoAnswer`."""
        hop = self.dialog.next_hop()
        request = self.dialog.request(method, self.phone.new_via(hop), headers, body)
        return accepted(await self.phone.exchange(request, hop).final())

    async def close(self) -> None:
        """Forget the call without a word."""
        self._end()
        await self.line.close()

    # --- calling ----------------------------------------------------------------------------------------------------

    def start_inviting(self, headers: Sequence[tuple[str, str]], delayed_offer: bool) -> None:
        """Send the first INVITE."""
        hop = self.dialog.next_hop()
        body = b"" if delayed_offer else self._offer()
        self.invite = self.dialog.request("INVITE", self.phone.new_via(hop), headers, body)
        self._inviting = self.phone.exchange(self.invite, hop, self._invite_answered)
        self._inviting.on_silence(lambda: self._fail(NoAnswer("nobody answered the INVITE")))

    def _invite_answered(self, response: Response) -> None:
        cseq, _ = parse_cseq(response.get("cseq") or "")
        if response.status < 200:
            if response.status > 100:
                self.ringing.set()
            if response.body and self._offered:
                self._agree(response.body)
                self.line.start()
        elif response.status >= 300:
            self._fail(Refused(response.status, response.reason))
        elif cseq in self._acks:
            self._send_ack(self._acks[cseq])
        else:
            self._established(response, cseq)

    def _established(self, response: Response, cseq: int) -> None:
        self.dialog.answered_by(response)
        body = self._agree(response.body)
        self._acknowledge(cseq, body)
        self.line.start()
        if not self.answered.done():
            self.answered.set_result(None)

    def _acknowledge(self, cseq: int, body: bytes = b"") -> None:
        hop = self.dialog.next_hop()
        self._acks[cseq] = self.dialog.request("ACK", self.phone.new_via(hop), body=body, cseq=cseq)
        self._send_ack(self._acks[cseq])

    def _send_ack(self, ack: Request) -> None:
        self.phone.send(ack, self.dialog.next_hop())

    async def _invite_again(self) -> None:
        hop = self.dialog.next_hop()
        request = self.dialog.request("INVITE", self.phone.new_via(hop), body=self._offer())
        cseq = self.dialog.cseq

        def heard(response: Response) -> None:
            if 200 <= response.status < 300:
                if cseq not in self._acks:
                    self.dialog.retarget(response)
                    self._agree(response.body)
                    self._acknowledge(cseq)
                else:
                    self._send_ack(self._acks[cseq])

        accepted(await self.phone.exchange(request, hop, heard).final())

    # --- being asked ------------------------------------------------------------------------------------------------

    def take(self, request: Request, answer: Answer) -> None:
        """A request of the other end within the dialog."""
        if request.method == "BYE":
            answer.send(build_response(request, 200))
            if self._pending is not None:
                self._pending.acknowledged()
            self._end()
            self.phone.later(self.line.close())
        elif request.method == "INVITE":
            self._pending = answer
            self.dialog.retarget(request)
            self._answer_offer(answer)
            self.renegotiated.set()
        elif request.method == "UPDATE":
            self.dialog.retarget(request)
            self._answer_offer(answer)
            self.renegotiated.set()
        elif request.method in ("OPTIONS", "INFO", "MESSAGE", "NOTIFY"):
            answer.send(build_response(request, 200))
        else:
            answer.send(build_response(request, 405))

    def take_ack(self, ack: Request) -> None:
        """The ACK of a 2xx; it carries the answer where the INVITE had no offer."""
        if self._pending is not None:
            self._pending.acknowledged()
            self._pending = None
        if self._offered and ack.body:
            self._agree(ack.body)
        if not self.answered.done():
            self.answered.set_result(None)

    def cancelled(self) -> None:
        """The caller gave up."""
        if self._invited is not None and self._pending is self._invited and not self.answered.done():
            self.refuse(487)

    def _answer_offer(self, answer: Answer) -> None:
        body = self._agree(answer.request.body) if answer.request.body else b""
        self._answer_invite(answer, 200, body or (b"" if answer.request.method == "UPDATE" else self._offer()))

    def _answer_invite(self, answer: Answer, status: int, body: bytes = b"") -> None:
        extra = [("Contact", self.dialog.contact)]
        extra += [("Record-Route", value) for value in answer.request.all("record-route")]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        response = build_response(answer.request, status, to_tag=self.dialog.local_tag, extra=extra)
        response.set_body(body)
        answer.send(response)

    def _must_be_pending(self) -> Answer:
        if self._invited is None or self._invited is not self._pending or self.answered.done():
            raise RuntimeError("this call isn't waiting to be answered")
        return self._invited

    # --- media ------------------------------------------------------------------------------------------------------

    def _offer(self) -> bytes:
        self._offered = True
        return self._describe(self._wish.codecs, self._wish.telephone_event, self.direction)

    def _agree(self, body: bytes) -> bytes:
        """Take the other end's description; returns the answer where it was an offer, else nothing."""
        theirs = sdp.read(body)
        if theirs is None:
            return b""
        was_answer, self._offered = self._offered, False
        self.remote_terms = theirs
        codecs = sdp.agreed(self._wish.codecs, theirs)
        event = theirs.telephone_event if self._wish.telephone_event is not None else None
        mine = self.direction if was_answer else self._mirrored(theirs)
        if codecs:
            self.line.codec = codecs[0]
        self.line.telephone_event = event
        self.line.remote = (theirs.host, theirs.port)
        self.line.speaking = theirs.hears and mine in ("sendrecv", "sendonly")
        return b"" if was_answer else self._describe(codecs, event, mine)

    def _mirrored(self, theirs: sdp.Terms) -> sdp.Direction:
        """What this end may do under an offer, no more than it wants itself."""
        mirror = sdp.answering("inactive" if theirs.host == "0.0.0.0" else theirs.direction)
        return mirror if self.direction == "sendrecv" else self.direction if mirror == "sendrecv" else "inactive"

    def _describe(self, codecs: tuple[Codec, ...], event: int | None, direction: sdp.Direction) -> bytes:
        self._version += 1
        host, port = self.line.address
        return sdp.write(sdp.Terms(host, port, codecs, event, direction), self._session, self._version)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _fail(self, why: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(why)
        if not self.ended.is_set():
            self._end()
            self.phone.later(self.line.close())

    def _end(self) -> None:
        self.line.hush()
        self.ended.set()
        self.phone.forget(self)


def accepted(response: Response) -> Response:
    """The response, if it is a 2xx; raises `Refused`."""
    if response.status >= 300:
        raise Refused(response.status, response.reason)
    return response
