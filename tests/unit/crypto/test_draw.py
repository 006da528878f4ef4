"""FT-DRAW-1: formulas written out by hand, edges of rate and counter, what must not be accepted."""

import hashlib
import hmac

import pytest

from crypto.draw import agent_key, combine, draw_output, drawn, epoch_commitment, new_share
from crypto.errors import DrawError

SHARE = bytes(range(32))
AGENT = "00112233445566778899aabbccddeeff"
TOP = (1 << 64) - 1


def _sha256(message):
    return hashlib.sha256(message).digest()


def test_epoch_commitment_is_the_formula():
    framed = b"\x00\x17fairtap/v1/epoch-commit\x00\x04host\x00\x01o\x00\x01e"
    assert epoch_commitment("host", "o", "e", SHARE) == _sha256(framed + SHARE)


def test_agent_key_is_the_formula():
    framed = b"\x00\x14fairtap/v1/agent-key\x00\x07council\x00\x01o\x00\x01e\x00\x20" + AGENT.encode()
    assert agent_key("council", "o", "e", AGENT, SHARE) == hmac.digest(SHARE, framed, "sha256")


def test_draw_output_is_the_formula():
    framed = b"\x00\x0ffairtap/v1/draw" + (7).to_bytes(8, "big")
    assert draw_output(SHARE, 7) == hmac.digest(SHARE, framed, "sha256")


def test_combine_takes_the_first_eight_bytes():
    digest = _sha256(b"\x00\x0cfairtap/v1/u" + SHARE + SHARE[::-1])
    assert combine(SHARE, SHARE[::-1]) == int.from_bytes(digest[:8], "big")
    assert combine(SHARE, SHARE[::-1]) != combine(SHARE[::-1], SHARE)


def test_rate_zero_never_draws_and_a_million_always():
    assert not drawn(0, 0)
    assert drawn(TOP, 1_000_000)


@pytest.mark.parametrize("ppm", [1, 30_000, 333_333, 999_999])
def test_the_threshold_is_exact(ppm):
    threshold = ppm * 2**64 // 10**6
    assert drawn(threshold - 1, ppm)
    assert not drawn(threshold, ppm)


def test_a_rate_is_met_over_many_legs():
    host, council = (agent_key(role, "o", "e", AGENT, SHARE) for role in ("host", "council"))
    hits = sum(drawn(combine(draw_output(host, n), draw_output(council, n)), 200_000) for n in range(5000))
    assert 900 < hits < 1100  # 3.5 standard deviations; inputs are fixed, so it can't flake


def test_each_share_alone_changes_the_draw():
    keys = {agent_key("host", "o", "e", AGENT, new_share()) for _ in range(8)}
    assert len(keys) == 8


@pytest.mark.parametrize(
    "call",
    [
        lambda: epoch_commitment("dpo", "o", "e", SHARE),  # type: ignore[arg-type]  # what mypy would catch
        lambda: epoch_commitment("host", "o", "e", SHARE[1:]),
        lambda: epoch_commitment("host", "o" * 65536, "e", SHARE),
        lambda: agent_key("host", "o", "e", AGENT.upper(), SHARE),
        lambda: agent_key("host", "o", "e", AGENT[2:], SHARE),
        lambda: agent_key("host", "o", "e", AGENT, b""),
        lambda: draw_output(SHARE[1:], 0),
        lambda: draw_output(SHARE, -1),
        lambda: draw_output(SHARE, 1 << 64),
        lambda: combine(SHARE, SHARE[1:]),
        lambda: drawn(0, -1),
        lambda: drawn(0, 1_000_001),
        lambda: drawn(-1, 5),
        lambda: drawn(1 << 64, 5),
    ],
)
def test_outside_the_domain_is_a_draw_error(call):
    with pytest.raises(DrawError):
        call()
