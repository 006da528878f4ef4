"""What the demo says at its end: the keys that scripts rely on, and when a story counts as told."""

import json

import pytest

from demo.house import STOP_S, Addresses, configuration, find_addresses, network_of
from demo.report import CallTold, SideFound, Teller, missing, summary
from demo.talk import Story
from gateway.config import load_config

TOLD = {
    Story.RECORDED: CallTold("1", True, "recorded", ()),
    Story.LIGHT_CLOSED: CallTold("2", True, "recorded (cut)", ("INDICATOR_STALE",)),
    Story.WITHDRAWN: CallTold("3", True, "discarded", ("WITHDRAWN_BY_CALLER",)),
    Story.SILENT: CallTold("4", True, "not_recorded", ("CALLER_UNSET",)),
    Story.REFUSED: CallTold("5", True, "not_recorded", ("CALLER_REFUSED",)),
    Story.NOT_DRAWN: CallTold("6", False, "not_recorded", ("NOT_DRAWN", "CALLER_UNSET", "INDICATOR_STALE")),
}


@pytest.mark.parametrize("story", Story)
def test_story_is_known_by_what_the_agent_was_told(story):
    assert TOLD[story].story is story


@pytest.mark.parametrize(
    "told",
    [
        CallTold("1", True, "recorded (cut)", ("WITHDRAWN_BY_AGENT",)),
        CallTold("1", True, "interrupted", ()),
        CallTold("1", True, "not_recorded", ("CEILING",)),
        CallTold("1", True, "discarded", ("WITHDRAWN_BY_AGENT",)),
    ],
)
def test_anything_else_is_no_story(told):
    assert told.story is None


def test_missing_names_what_did_not_happen():
    assert missing(list(TOLD.values())) == []
    assert missing([TOLD[Story.RECORDED], TOLD[Story.SILENT]]) == [
        Story.LIGHT_CLOSED,
        Story.WITHDRAWN,
        Story.REFUSED,
        Story.NOT_DRAWN,
    ]


def test_summary_has_exactly_the_keys_of_the_contract():
    call = CallTold("ab", True, "recorded", (), [SideFound("agent", 1.5, "00", "x.wav")])
    assert summary([call], None, "http://127.0.0.1:1") == {
        "calls": [
            {
                "call": "ab",
                "drawn": True,
                "outcome": "recorded",
                "reasons": [],
                "sides": [{"side": "agent", "seconds": 1.5, "sha256": "00", "wav": "x.wav"}],
            }
        ],
        "log": None,
        "console": "http://127.0.0.1:1",
    }


def test_json_alone_goes_to_stdout_and_people_read_stderr(capsys):
    teller = Teller(as_json=True)
    teller.title("begins")
    teller.told(list(TOLD.values()))
    teller.summary(list(TOLD.values()), None, "http://127.0.0.1:1")
    out, err = capsys.readouterr()
    assert len(json.loads(out)["calls"]) == 6
    assert out.count("\n") == 1
    assert "DEMO begins" in err


def test_without_json_there_is_no_object(capsys):
    teller = Teller(as_json=False)
    teller.say("a [b] c")
    teller.summary([], None, "http://127.0.0.1:1")
    assert capsys.readouterr().out == "a [b] c\n"


@pytest.mark.parametrize("own_phone", [False, True])
def test_configuration_is_one_the_gateway_takes(tmp_path, own_phone):
    path = tmp_path / "fairtap.toml"
    at = Addresses("127.12.7", 8123)
    path.write_text(configuration(tmp_path, at, own_phone))
    config = load_config(path, {})
    assert config.site.data_dir == tmp_path / "var"
    assert config.drain_s < STOP_S
    assert config.sip.identity.placement == "phones"
    assert config.sip.agent_side.next_hops == []
    phones = config.sip.agent_side.peer_list
    assert all(any(peer.admits(at.phone(number), 5060) for peer in phones) for number in range(1, 9))
    assert any(peer.admits("127.0.0.1", 40000) for peer in phones) is own_phone
    assert not any(peer.admits(host, 5060) for peer in phones for host in (at.trunk, at.pbx, at.gateway_caller))


def test_demos_at_the_same_time_have_networks_of_their_own():
    assert len({network_of(port) for port in range(32768, 65536)}) == 32768
    at = find_addresses()
    assert at.network == network_of(at.api_port)
