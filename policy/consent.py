"""Consent receipts (agreement.md §5), and what a standing answer is worth under the text in force.

A receipt holds the event, never the voice; it is written only for a yes and for its withdrawal. Signing is the
caller's job (SSHSIG, `RECEIPT_NAMESPACE`, over `Receipt.canonical()`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crypto.jcs import canonical
from policy.agreement.schema import Agreement, Prompt
from policy.decision import PerCallAnswer, StandingAnswer
from policy.errors import StatementError
from policy.statements import LANGUAGES, SHA256, Fields
from policy.terms import ConsentState, Purpose

ASK_AGAIN: Final = timedelta(days=180)
"""How long nobody asks an agent again who said no (R-018); opening the question themselves is always possible."""
RECEIPT_NAMESPACE: Final = "fairtap-receipt@v1"
_FIELDS = (
    "v jti leg purpose outcome channel transport detector prompt_id prompt_sha256 language prompt_end answered_at"
    " agreement signature"
)
_REF = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,63}", re.ASCII)
_SIGNATURE = re.compile(r"[A-Za-z0-9+/=\n -]{1,2048}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a caller said yes, or took it back: how it was asked and heard. No digits, no number, no name."""

    jti: str
    """Random id of the receipt."""
    leg: str
    """Random reference of the leg."""
    purpose: Purpose
    outcome: str
    """`yes` or `withdrawn`."""
    channel: str
    """As the agreement names it: `dtmf`, `agent_key`, `ivr:NAME`."""
    transport: str
    detector: str
    prompt_id: str | None
    """`None` only where no prompt was played (`agent_key`)."""
    prompt_sha256: str | None
    language: str
    prompt_end: str | None
    """UTC, when the prompt's last frame had been played."""
    answered_at: str
    """UTC."""
    agreement: str
    """The agreement's digest, 64 hex."""

    def fields(self) -> dict[str, object]:
        """The receipt as JSON fields, without its signature."""
        return {
            "v": 1,
            "jti": self.jti,
            "leg": self.leg,
            "purpose": self.purpose.value,
            "outcome": self.outcome,
            "channel": self.channel,
            "transport": self.transport,
            "detector": self.detector,
            "prompt_id": self.prompt_id,
            "prompt_sha256": self.prompt_sha256,
            "language": self.language,
            "prompt_end": self.prompt_end,
            "answered_at": self.answered_at,
            "agreement": self.agreement,
        }

    def canonical(self) -> bytes:
        """The bytes to sign: everything but the signature."""
        return canonical(self.fields())

    def signed(self, signature: str) -> bytes:
        """The receipt as it is kept; `signature` is the armoured SSHSIG."""
        return canonical({**self.fields(), "signature": signature})


def parse_receipt(data: bytes) -> tuple[Receipt, str]:
    """Read a kept receipt: the receipt and its armoured signature, unverified. Raises `StatementError` only."""
    fields = Fields.read(data, _FIELDS)
    fields.integer("v", 1, 1)
    receipt = Receipt(
        jti=fields.text("jti", _REF),
        leg=fields.text("leg", _REF),
        purpose=Purpose(fields.one_of("purpose", [purpose.value for purpose in Purpose])),
        outcome=fields.one_of("outcome", ("yes", "withdrawn")),
        channel=fields.text("channel", _WORD),
        transport=fields.text("transport", _WORD),
        detector=fields.text("detector", _WORD),
        prompt_id=fields.optional_text("prompt_id", _WORD),
        prompt_sha256=fields.optional_text("prompt_sha256", SHA256),
        language=fields.one_of("language", LANGUAGES),
        prompt_end=fields.optional_instant("prompt_end"),
        answered_at=fields.instant("answered_at"),
        agreement=fields.text("agreement", SHA256),
    )
    prompt = (receipt.prompt_id, receipt.prompt_sha256, receipt.prompt_end)
    if None in prompt and (receipt.channel != "agent_key" or any(prompt)):
        raise StatementError("fields of the prompt are missing")
    return receipt, fields.text("signature", _SIGNATURE)


def ivr_prompt(agreements: Collection[Agreement], name: str, sha256: str, purpose: Purpose) -> Prompt | None:
    """The prompt that an IVR of this name may have asked with; `None`: its yes proves nothing.

    Every agreement that names the IVR has to name the prompt, by its hash, and the purpose; one at least must.
    """
    naming = [one for one in agreements if f"ivr:{name}" in one.consent.caller.channels]
    if not naming or any(purpose not in one.purposes for one in naming):
        return None
    prompts = [next((p for p in one.consent.prompts if p.sha256 == sha256), None) for one in naming]
    return prompts[0] if None not in prompts else None


def standing_answer(
    answer: ConsentState, home_office: bool, text_sha256: str | None, current_texts: Collection[str]
) -> StandingAnswer:
    """What an agent's latest standing answer is worth now; `current_texts` are the hashes of the texts in force.

    A yes counts only to a text of today, which its signed statement names (`None`: there is no statement); a no stays.
    """
    if answer is ConsentState.YES and text_sha256 not in current_texts:
        return StandingAnswer(ConsentState.UNSET, home_office)
    return StandingAnswer(answer, home_office)


def ask_again_at(answer: ConsentState, at: datetime | None) -> datetime | None:
    """Until when a page leaves an agent alone who answered so at `at`; `None`: it may ask."""
    return at + ASK_AGAIN if answer is ConsentState.NO and at is not None else None


def nothing_said() -> dict[Purpose, PerCallAnswer]:
    """An agent's answers at the start of a call: none for any purpose, and known to be none."""
    return {purpose: PerCallAnswer(ConsentState.UNSET) for purpose in Purpose}
