"""What the page does before and when it releases, run by Node: it believes no key that the log doesn't prove."""

import base64
import dataclasses
from typing import Any

from api.keyed_client import ClientKeys
from api.reads import CoachRow
from api.routes.coaches import _out
from crypto import age
from crypto.signed_note import VerifierKey
from crypto.ssh_key import SigningKey
from crypto.x25519 import Identity
from policy.key_words import key_words
from tests.peers.page_modules import needed, run_module
from tests.peers.shown_coach import GATEWAY, ORIGIN, enrolled

pytestmark = needed()
SCRIPT = """
import { gatewayKey } from "./api/web/src/parts/checkpoint.js";
import { checkCoach, keyWords } from "./api/web/src/parts/coach_key.js";
import { headerOf, rewrap } from "./api/web/src/parts/rewrap.js";
import { base64, unbase64 } from "./api/web/src/parts/sshsig.js";
import { readFileSync } from "node:fs";
const { coaches, gateway, recipients, identity, file } = JSON.parse(readFileSync(0, "utf8"));
const believes = (coach, vkey) => checkCoach(coach, gatewayKey(vkey)).then(() => true, () => false);
const taken = await Promise.all(coaches.map(([coach, vkey]) => believes(coach, vkey ?? gateway)));
const words = await Promise.all(recipients.map(keyWords));
const headers = [];
for (const recipient of recipients) headers.push(base64(await rewrap(headerOf(unbase64(file)), identity, recipient)));
console.log(JSON.stringify({ taken, words, headers }));
"""


def told(row: CoachRow) -> dict[str, Any]:
    shown = _out(row)
    assert shown is not None
    return shown.model_dump()


def test_the_page_believes_a_key_that_the_log_proves_and_no_other() -> None:
    teacher, thief, owner = (ClientKeys.generate() for _ in range(3))
    honest, other = enrolled(teacher), enrolled(thief)
    assert honest.key is not None and other.key is not None
    key, stolen = honest.key, str(thief.identity.recipient)

    def lied(**changes: Any) -> dict[str, Any]:
        return told(dataclasses.replace(honest, key=dataclasses.replace(key, **changes)))

    proof = key.entry.proof or ""
    shorter = "\n".join(line for place, line in enumerate(proof.split("\n")) if place != 2)
    lies = [
        lied(recipient=stolen),
        lied(recipient=stolen, told=other.key.told),
        lied(salt="00" * 32),
        lied(entry=dataclasses.replace(other.key.entry, proof=proof)),
        lied(entry=dataclasses.replace(key.entry, proof=shorter)),
        lied(entry=dataclasses.replace(key.entry, proof=proof.replace("index 5", "index 4"))),
        lied(entry=dataclasses.replace(key.entry, proof=proof.replace("\n9\n", "\n10\n"))),
        lied(entry=dataclasses.replace(key.entry, origin="other/fairtap/2026-01")),
        told(dataclasses.replace(honest, id="9" * 32)),
    ]
    gateway, stranger = (str(VerifierKey(ORIGIN, one.verify_key)) for one in (GATEWAY, SigningKey.generate()))
    cases = [[told(honest), None], *([lie, None] for lie in lies), [told(honest), stranger]]
    coaches = [Identity.generate() for _ in range(3)]
    recipients = [str(one.recipient) for one in coaches]
    file = age.encrypt(b"what was said", [owner.identity.recipient])
    said = run_module(
        SCRIPT, coaches=cases, gateway=gateway, recipients=recipients, identity=owner.identity.secret_text(),
        file=base64.b64encode(file).decode(),
    )  # fmt: skip
    assert said["taken"] == [True] + [False] * (len(lies) + 1)
    assert said["words"] == [key_words(one) for one in recipients]
    payload = bytes(age.split_header(file)[1])
    for one, header in zip(coaches, said["headers"], strict=True):
        assert age.decrypt(base64.b64decode(header) + payload, [one]) == b"what was said"
        assert age.count_stanzas(base64.b64decode(header)) == 1
