"""Which addresses a test call may come from."""

import pytest

from demo.testcall import CallNotPlaced, own_address
from gateway.config import Config

SIDE = Config.model_validate({"sip": {"caller_side": {"listen": ["udp:127.0.0.1:0"], "peers": ["127.0.0.2/32"]}}}).sip


@pytest.mark.parametrize("wished", ["nonsense", "127.0.0.2:5060", "203.0.113.1", "127.0.0.3"])
def test_what_is_no_own_address_among_the_peers_is_told_in_one_line(wished: str) -> None:
    with pytest.raises(CallNotPlaced, match=r"is no address|no address of this machine"):
        own_address("caller_side", SIDE.caller_side, wished)


def test_one_that_is_both_is_taken() -> None:
    assert own_address("caller_side", SIDE.caller_side, "127.0.0.2") == "127.0.0.2"
