"""The demo's agreement: read by the strict reader, marked as a demo, signed so that the gateway takes it."""

from datetime import UTC, date, datetime

import pytest

from crypto.errors import CryptoError
from crypto.ssh_key import SigningKey
from demo import agreement
from gateway.media.prompts.sounds import Catalogue
from policy.agreement.load import load
from policy.chain import Posted, take
from policy.errors import PolicyError
from policy.state import Anchor, State
from policy.terms import Gate, Phase

TODAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def document():
    prompt = Catalogue().sounds["ask-de-2"]
    return agreement.write(TODAY, prompt.words.id, prompt.words.language, prompt.sha256)


def signed(document, **changed):
    keys = {role: SigningKey.generate() for role in ("employer", "council", "dpo")}
    anchors = tuple(Anchor(role, key.verify_key.line()) for role, key in keys.items())
    made = agreement.sign_first(document, {role: {**keys, **changed}[role] for role in ("employer", "council")})
    return State(anchors), Posted(made.act.encode(), made.signatures, NOON, made.document.encode())


def test_document_is_a_demo_at_the_highest_rates(document):
    terms = load(document.encode())
    assert terms.demo
    assert terms.lanes.sample is not None
    assert "DEMO" in document.splitlines()[0]
    assert {rate.phase: rate.ppm for rate in terms.lanes.sample.rates} == {
        Phase.ONBOARDING: 500_000,
        Phase.REGULAR: 200_000,
    }
    assert terms.scope.groups == {agreement.GROUP: 8}
    assert terms.scope.queues == (agreement.QUEUE,)
    assert terms.scope.sites == (agreement.SITE,)
    assert terms.consent.agent.gate is Gate.STANDING
    assert str(terms.draw.epoch) == "PT10M"
    assert terms.validity.start < NOON < terms.validity.end


def test_prompt_is_the_catalogues_and_keys_are_what_the_callers_press(document):
    (prompt,) = load(document.encode()).consent.prompts
    assert prompt.sha256 == Catalogue().sounds[prompt.id].sha256
    keys = prompt.consent_key, prompt.refuse_key, prompt.withdraw_code
    assert keys == (agreement.CONSENT_KEY, agreement.REFUSE_KEY, agreement.WITHDRAW_CODE)


def test_act_is_taken_by_the_gateway(document):
    state, posted = signed(document)
    after = take(state, posted)
    assert [one.digest for one in after.in_force(NOON)] == [load(document.encode()).digest]
    assert after.seq == 1 and not after.suspended(NOON)


def test_act_with_another_key_is_not(document):
    state, posted = signed(document, council=SigningKey.generate())
    with pytest.raises((CryptoError, PolicyError)):
        take(state, posted)
