"""The works agreement of the demo (agreement.md §1, `demo: "yes"`) and the act that puts it into force."""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from string import Template

from crypto.jcs import canonical
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from policy.agreement.load import load

ACT_NAMESPACE = "fairtap-act@v1"
SITE = "demo"
QUEUE = "service-strom"
GROUP = "team-a"
CONSENT_KEY, REFUSE_KEY, WITHDRAW_CODE = "1", "9", "*9"

_TEMPLATE = Path(__file__).with_name("agreement.yaml")


@dataclass(frozen=True, slots=True)
class SignedAgreement:
    """What is posted to put it into force."""

    document: str
    act: str
    """Canonical JSON."""
    signatures: dict[str, str]
    """Anchor role to armoured SSHSIG."""


def write(today: date, prompt: str, language: str, prompt_sha256: str) -> str:
    """The document, in force from yesterday for a month, with the consent prompt of the catalogue."""
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        site=SITE,
        queue=QUEUE,
        group=GROUP,
        yesterday=(today - timedelta(days=1)).isoformat(),
        end=(today + timedelta(days=30)).isoformat(),
        signed_sha256=hashlib.sha256(b"DEMO: there is no signed document").hexdigest(),
        minutes_sha256=hashlib.sha256(b"DEMO: there are no minutes").hexdigest(),
        prompt=prompt,
        language=language,
        prompt_sha256=prompt_sha256,
    )
    load(text.encode())
    return text


def sign_first(document: str, keys: dict[str, SigningKey]) -> SignedAgreement:
    """The first act of a house, signed by these roles (agreement.md §3: `seq` 1, nothing before it)."""
    agreement = load(document.encode())
    act = canonical(
        {
            "v": 1,
            "type": "agreement",
            "agreement": agreement.id,
            "seq": 1,
            "prev": None,
            "body": {"digest": agreement.digest},
        }
    )
    signatures = {role: sign(key, ACT_NAMESPACE, act) for role, key in keys.items()}
    return SignedAgreement(document, act.decode(), signatures)
