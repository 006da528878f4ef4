"""What the caller of one call said about being recorded, by purpose, however they were asked (agreement.md §4, §5).

It holds for the whole call, from before an agent answers on. A no is final for its purpose in this call; a yes counts
once its receipt is written, and leaves a second receipt when it is taken back. Sans-IO.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.call.effects import WriteReceipt
from gateway.call.model import Asked
from gateway.media.plane import CallRef
from policy.decision import CallerAnswer, ConsentState, Purpose

__all__ = ["CallerWord"]


@dataclass(slots=True)
class CallerWord:
    """See the module."""

    call: CallRef
    answers: dict[Purpose, CallerAnswer] = field(default_factory=dict)
    proven: dict[Purpose, Asked] = field(default_factory=dict)
    """Purposes for which the receipt of a yes is written, and how it was asked for."""
    silent: set[Purpose] = field(default_factory=set)
    """Somebody else asked, and nothing was said: silence is a no, so nobody asks again."""

    def refuse(self, purposes: Iterable[Purpose], channel: str | None, *, told_one_sided: bool | None = None) -> None:
        """The caller said no; `channel` None: somebody says so who couldn't have brought a yes.

        `told_one_sided`: after a question that says what may then still be recorded, heard to its end.
        """
        for purpose in purposes:
            self.answers[purpose] = CallerAnswer(ConsentState.NO, channel, told_one_sided=told_one_sided)

    def refused(self, purpose: Purpose | None) -> bool:
        """Whether the caller said no to it in this call."""
        return purpose is not None and purpose in self.answers and self.answers[purpose].answer is ConsentState.NO

    def agreed(self, purpose: Purpose | None) -> bool:
        """Whether the caller said a yes to it that is proven and stands."""
        return purpose in self.proven and not self.refused(purpose)

    def written(self, purpose: Purpose, asked: Asked) -> bool:
        """A yes is proven; False where it was taken back meanwhile."""
        self.proven[purpose] = asked
        if self.refused(purpose):
            return False
        self.answers[purpose] = CallerAnswer(ConsentState.YES, asked.channel, receipt=True)
        return True

    def unproven(self, purpose: Purpose, channel: str) -> None:
        """Somebody brings a yes that proves nothing: it denies, unless a proven one is there."""
        if purpose not in self.proven and not self.refused(purpose):
            self.answers[purpose] = CallerAnswer(ConsentState.YES, channel, receipt=False)

    def withdrawals(self, now: float, purposes: Iterable[Purpose] = Purpose) -> Iterator[WriteReceipt]:
        """Receipts for every yes among `purposes` that no longer stands; a no that was one from the start has none."""
        for purpose in purposes:
            asked = self.proven.pop(purpose, None)
            if asked is not None:
                heard_out = now if asked.prompt is not None else None
                yield WriteReceipt(self.call, purpose, "withdrawn", asked, heard_out, now)
