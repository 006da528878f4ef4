"""`fairtap.toml` reads as written, and everything that can't work is refused with one sentence that names the key."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from ruamel.yaml import YAML

from gateway.config import Config, ConfigError, InternalNumbers, Listener, Peer, load_config
from policy.agreement import schema

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "deploy" / "fairtap.example.toml"
PUBLIC: dict[str, object] = {"listen": ["udp:192.0.2.1:5060"], "peers": ["192.0.2.0/24"], "media_address": "192.0.2.1"}


def loaded(text: str, tmp_path: Path, environment: dict[str, str] | None = None) -> Config:
    path = tmp_path / "fairtap.toml"
    path.write_text(text)
    return load_config(path, environment or {})


def refusal(text: str, tmp_path: Path, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(text, tmp_path, environment)
    said = str(caught.value)
    assert said and "\n" not in said
    return said


def table(name: str, values: dict[str, object]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]) + "\n"


# --- what is read ----------------------------------------------------------------------------------------------------


def test_defaults_need_no_file():
    config = load_config(None, {})
    assert config == Config()
    assert config.api.listen == "127.0.0.1:8080"
    assert config.media.ports == (30000, 39999) and config.media.workers == 0
    assert config.sip.identity.placement == "phones"


def test_the_example_reads_as_it_stands():
    config = load_config(EXAMPLE, {})
    assert config.site.name == "hamburg"
    assert config.sip.caller_side.listeners == (
        Listener("udp", "10.0.0.20", 5060),
        Listener("tcp", "10.0.0.20", 5060),
    )
    assert [str(peer.network) for peer in config.sip.agent_side.peer_list] == ["10.1.0.0/16"]


def test_the_data_folder_is_filled_in_and_made_absolute(tmp_path):
    config = loaded('[site]\ndata_dir = "var"\n', tmp_path)
    assert config.database_url == f"sqlite:///{Path.cwd()}/var/fairtap.db"
    assert config.run_dir == Path.cwd() / "var" / "run"


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("udp:192.0.2.1:5060", Listener("udp", "192.0.2.1", 5060)),
        ("tcp:0.0.0.0:0", Listener("tcp", "0.0.0.0", 0)),
        ("tcp:[2001:db8::1]:5070", Listener("tcp", "2001:db8::1", 5070)),
    ],
)
def test_listeners_read(text, listener):
    assert Listener.parse(text) == listener


def test_a_peer_admits_its_network_and_port_only():
    anybody, one, six = Peer.parse("192.0.2.0/24"), Peer.parse("192.0.2.7:5060"), Peer.parse("[2001:db8::/32]:5060")
    assert anybody.admits("192.0.2.255", 1) and not anybody.admits("192.0.3.0", 1)
    assert one.admits("192.0.2.7", 5060)
    assert not one.admits("192.0.2.7", 5061) and not one.admits("192.0.2.8", 5060)
    assert six.admits("2001:db8::9", 5060) and not six.admits("192.0.2.7", 5060)
    assert Peer.parse("2001:db8::/32").admits("2001:db8::9", 9)


def test_a_peer_may_say_how_its_media_is_encrypted():
    said = [Peer.parse(text) for text in ("192.0.2.7", "192.0.2.7:5060 downgrade", "[2001:db8::/32]:5061  srtp")]
    assert [(peer.port, peer.downgrade, peer.srtp) for peer in said] == [
        (None, False, False), (5060, True, False), (5061, False, True),
    ]  # fmt: skip


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[site]\nnmae = 'x'\n", "site.nmae: unknown key"),
        ("[sites]\n", "sites: unknown key"),
        ("recordings = 'x'\n", "recordings: unknown key"),
    ],
)
def test_an_unknown_key_is_refused_by_its_place(text, said, tmp_path):
    assert refusal(text, tmp_path) == said


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        (
            "sip.agent_side",
            {"listen": ["tls:127.0.0.1:5061"], "peers": ["127.0.0.0/8"]},
            ("sip.agent_side", "tls_cert"),
        ),
        ("ng", {"listen": ["tls:127.0.0.1:2223"]}, ("ng.listen", "udp or tcp")),
        ("ng", {"listen": ["udp:198.51.100.2:2223"]}, ("ng.listen", "loopback")),
        ("ng", {"listen": ["udp:0.0.0.0:2223"]}, ("ng.listen", "loopback")),
        ("ng", {"listen": ["2223"]}, ("ng.listen", "2223")),
        ("ng", {"caller_interfaces": ["ext"], "agent_interfaces": ["ext"]}, ("ng", "ext")),
        ("api", {"oidc_issuer": "https://id.example"}, ("api.oidc_issuer", "not built")),
        ("api", {"listen": "\n"}, ("api.listen", "`?`")),
        ("siprec", {"listen": ["tcp:127.0.0.1:5090"]}, ("siprec.listen", "not built")),
        ("media", {"datapath": "kernel"}, ("media.datapath", "not built", "userspace")),
        ("storage", {"recordings": "s3://bucket/x"}, ("storage.recordings", "file:{data_dir}")),
        ("sip.caller_side", {**PUBLIC, "media_address": "127.0.0.1"}, ("sip.caller_side.media_address", "loopback")),
        ("sip.agent_side", {**PUBLIC, "media_address": "127.0.0.1"}, ("sip.agent_side.media_address", "loopback")),
        (
            "sip.agent_side",
            {"listen": ["tcp:127.0.0.1:0", "udp:0.0.0.0:5060"], "peers": ["10.0.0.0/8"]},
            ("sip.agent_side.media_address", "loopback"),
        ),
        ("sip.caller_side", {"listen": ["udp:127.0.0.1:5060"]}, ("sip.caller_side.peers", "networks")),
        ("api", {"listen": "0.0.0.0:8080"}, ("api.listen", "plain HTTP", "behind_proxy")),
        ("api", {"listen": "[::]:8080"}, ("api.listen", "plain HTTP")),
        ("api", {"tls_cert": "cert.pem"}, ("tls_cert", "tls_key", "together")),
        ("api", {"tls_key": "key.pem"}, ("tls_cert", "tls_key", "together")),
        ("api", {"listen": "localhost:8080"}, ("api.listen", "ADDRESS:PORT")),
        ("api", {"listen": "127.0.0.1"}, ("api.listen", "ADDRESS:PORT")),
        ("api", {"listen": "127.0.0.1:http"}, ("api.listen", "ADDRESS:PORT")),
        ("api", {"listen": "127.0.0.1:99999"}, ("api.listen", "ADDRESS:PORT")),
        ("sip.caller_side", {**PUBLIC, "media_address": "0.0.0.0"}, ("sip.caller_side.media_address", "send media")),
        ("sip.agent_side", {**PUBLIC, "media_address": "ff02::1"}, ("sip.agent_side.media_address", "send media")),
        (
            "sip.caller_side",
            {**PUBLIC, "listen": ["tcp:192.0.2.1:5060", "tls:192.0.2.1:5060"], "tls_cert": "a", "tls_key": "b"},
            ("listen", "tls:192.0.2.1:5060", "twice"),
        ),
        ("media", {"ports": [30000, 30005], "workers": 4}, ("media.ports", "3 pairs", "4 workers")),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(name, values, words, tmp_path):
    said = refusal(table(name, values), tmp_path)
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("caller", "agent"),
    [
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:5060", "10.1.2.3:5060"),
        ("10.0.0.0/8", "10.1.2.3:5060"),
        ("2001:db8::/32", "[2001:db8:1::/48]:5060"),
        ("0.0.0.0/0", "192.0.2.1"),
    ],
)
def test_peers_of_the_two_sides_must_not_overlap(caller, agent, tmp_path):
    said = refusal(
        table("sip.caller_side", {"peers": [caller]}) + table("sip.agent_side", {"peers": [agent]}), tmp_path
    )
    assert "overlap" in said and "either side" in said


@pytest.mark.parametrize(("caller", "agent"), [("10.1.2.3:5060", "10.1.2.3:5061"), ("10.0.0.0/9", "10.128.0.0/9")])
def test_peers_that_can_be_told_apart_are_taken(caller, agent, tmp_path):
    loaded(table("sip.caller_side", {"peers": [caller]}) + table("sip.agent_side", {"peers": [agent]}), tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"listen": "127.0.0.1:8080"},
        {"listen": "[::1]:8080"},
        {"listen": "0.0.0.0:8443", "tls_cert": "c.pem", "tls_key": "k.pem"},
        {"listen": "0.0.0.0:8080", "behind_proxy": True},
    ],
)
def test_the_api_may_listen(values, tmp_path):
    loaded(table("api", values), tmp_path)


@pytest.mark.parametrize(
    ("name", "values", "place"),
    [
        ("site", {"name": "Hamburg Nord"}, "site.name"),
        ("sip.caller_side", {"listen": ["sctp:192.0.2.1:5060"]}, "sip.caller_side.listen"),
        ("sip.caller_side", {"listen": ["udp:gateway.example:5060"]}, "sip.caller_side.listen"),
        ("sip.caller_side", {"listen": ["udp:192.0.2.1:65536"]}, "sip.caller_side.listen"),
        ("sip.caller_side", {"listen": ["udp:192.0.2.1"]}, "sip.caller_side.listen"),
        ("sip.caller_side", {"peers": ["192.0.2.1/24"]}, "sip.caller_side.peers"),
        ("sip.caller_side", {"peers": ["192.0.2.1:0"]}, "sip.caller_side.peers"),
        ("sip.caller_side", {"peers": [""]}, "sip.caller_side.peers"),
        ("sip.caller_side", {"peers": ["192.0.2.1 plain"]}, "sip.caller_side.peers"),
        ("sip.caller_side", {"peers": ["192.0.2.1 srtp downgrade"]}, "sip.caller_side.peers"),
        ("sip.caller_side", {"peers": ["trunk.example"]}, "sip.caller_side.peers"),
        ("sip.caller_side", {"media_address": "gateway.example"}, "sip.caller_side.media_address"),
        ("sip.identity", {"extension": ["header:X-Extension"]}, "sip.identity.extension"),
        ("sip.identity", {"extension": ["from"]}, "sip.identity.extension"),
        ("sip.identity", {"placement": "middle"}, "sip.identity.placement"),
        ("media", {"ports": [1, 2000]}, "media.ports"),
        ("media", {"ports": [40000, 30000]}, "media.ports"),
        ("media", {"ports": [30000, 65536]}, "media.ports"),
        ("media", {"workers": -1}, "media.workers"),
        ("media", {"datapath": "dpdk"}, "media.datapath"),
        ("log", {"publish_s": 0}, "log.publish_s"),
    ],
)
def test_a_bad_value_is_refused_by_its_place(name, values, place, tmp_path):
    assert refusal(table(name, values), tmp_path).startswith(place)


@pytest.mark.parametrize("content", [b"[site\n", b"\xff\xfe", b"[site]\nname = 'a'\nname = 'b'\n", b"x" * 300])
def test_what_isn_t_toml_is_the_declared_error(content, tmp_path):
    path = tmp_path / "fairtap.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"fairtap\.toml"):
        load_config(path, {})


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="fairtap init"):
        load_config(tmp_path / "none.toml", {})
    with pytest.raises(ConfigError):
        load_config(tmp_path, {})


# --- environment -----------------------------------------------------------------------------------------------------


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every key that holds a value."""
    found = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += leaves(inner, (*path, name))
        else:
            found.append((*path, name))
    return found


@pytest.mark.parametrize("path", leaves(Config), ids=".".join)
def test_every_key_can_come_from_the_environment(path):
    """A value of a kind that no key takes is refused by the key's own place: it was read."""
    name = "FAIRTAP_" + "__".join(path).upper()
    with pytest.raises(ConfigError) as caught:
        load_config(None, {name: "[{}]"})
    assert str(caught.value).startswith(".".join(path))


def test_the_environment_overrides_the_file(tmp_path):
    text = "[site]\nname = 'berlin'\n" + table("sip.caller_side", PUBLIC)
    environment = {
        "FAIRTAP_SITE__NAME": "hamburg",
        "FAIRTAP_MEDIA__PORTS": "[20000, 20099]",
        "FAIRTAP_API__BEHIND_PROXY": "true",
        "FAIRTAP_SIP__CALLER_SIDE__MEDIA_ADDRESS": "192.0.2.9",
        "HOME": "/root",
        "FAIRTAP_VECTORS": "/somewhere",
    }
    config = loaded(text, tmp_path, environment)
    assert config.site.name == "hamburg"
    assert config.media.ports == (20000, 20099)
    assert config.api.behind_proxy is True
    assert config.sip.caller_side.media_address == "192.0.2.9"
    assert config.sip.caller_side.listen == PUBLIC["listen"]


def test_an_unknown_key_is_refused_from_the_environment_too():
    with pytest.raises(ConfigError, match=r"site\.nmae: unknown key"):
        load_config(None, {"FAIRTAP_SITE__NMAE": "x"})


def test_a_refused_value_is_refused_from_the_environment_too():
    with pytest.raises(ConfigError, match="not built"):
        load_config(None, {"FAIRTAP_SIPREC__LISTEN": '["tcp:127.0.0.1:5090"]'})


@pytest.mark.parametrize(
    "environment",
    [
        {"FAIRTAP_DRAIN_S__MOST": "5"},
        {"FAIRTAP_SITE__NAME__FIRST": "x"},
        {"FAIRTAP_SITE__": "x"},
        {"FAIRTAP___": "x"},
    ],
)
def test_an_environment_that_fits_no_section_is_the_declared_error(environment, tmp_path):
    refusal("drain_s = 5\n[site]\nname = 'x'\n", tmp_path, environment)


def test_a_secret_can_lie_in_a_file(tmp_path):
    secret = tmp_path / "database"
    secret.write_text("postgresql+asyncpg://fairtap:pw@db/fairtap\n")
    config = load_config(None, {"FAIRTAP_STORAGE__DATABASE_FILE": str(secret)})
    assert config.database_url == "postgresql+asyncpg://fairtap:pw@db/fairtap"


def test_a_secret_file_that_isn_t_there_is_the_declared_error(tmp_path):
    with pytest.raises(ConfigError, match="FAIRTAP_STORAGE__DATABASE_FILE"):
        load_config(None, {"FAIRTAP_STORAGE__DATABASE_FILE": str(tmp_path / "none")})


def test_only_secrets_come_from_files(tmp_path):
    path = tmp_path / "name"
    path.write_text("hamburg")
    with pytest.raises(ConfigError, match=r"site\.name_file: unknown key"):
        load_config(None, {"FAIRTAP_SITE__NAME_FILE": str(path)})


@given(
    st.dictionaries(
        st.sampled_from(["FAIRTAP_" + "__".join(path).upper() for path in leaves(Config)]),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
        max_size=3,
    )
)
def test_any_environment_reads_or_is_the_declared_error(environment):
    try:
        load_config(None, environment)
    except ConfigError as error:
        assert "\n" not in str(error)


# --- nothing that the agreement states -------------------------------------------------------------------------------


HOMONYMS = {
    "name": "the site's own name here, a party's there",
    "queue": "where a queue is read here, which queue there",
}
"""Words that both documents use, for different things."""


def agreement_names() -> set[str]:
    """Every field of the agreement: as the example spells it and as the schema does."""
    found: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            found.update(str(key) for key in node)
        for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            walk(inner)

    walk(YAML(typ="safe", pure=True).load((ROOT / "deploy" / "agreement.example.yaml").read_text()))
    for value in vars(schema).values():
        if isinstance(value, type) and dataclasses.is_dataclass(value):
            found.update(field.name for field in dataclasses.fields(value))
    return found


def test_no_key_stands_for_anything_that_the_agreement_states():
    names = agreement_names()
    assert {"percent", "ack_max_age_ms", "retention", "rates", "gate", "on_refusal"} <= names
    keys = {path[-1] for path in leaves(Config)}
    assert keys & names == set(HOMONYMS)


@pytest.mark.parametrize("section", sorted({path[:-1] for path in leaves(Config)}), ids=".".join)
def test_whatever_the_agreement_states_is_refused_in_every_section(section, tmp_path):
    model: Any = Config
    for part in section:
        model = model.model_fields[part].annotation
    for name in sorted(agreement_names() - set(model.model_fields)):
        text = f'{name} = "yes"\n' if not section else table(".".join(section), {name: "yes"})
        assert refusal(text, tmp_path) == ".".join((*section, name)) + ": unknown key"


# --- languages -------------------------------------------------------------------------------------------------------


def test_the_language_goes_by_queue_then_by_the_first_pattern_that_the_number_is_in(tmp_path):
    text = """
[announcements]
by_queue = {"service-en" = "en"}
by_number = {"+47*" = "nb", "+4*" = "de"}
"""
    spoken = loaded(text, tmp_path).announcements
    assert [spoken.language("service-en", number) for number in ("+4722225555", None)] == ["en", "en"]
    assert [spoken.language("sales", number) for number in ("+47 22 22", "+49401", "+1555", None)] == [
        "nb", "de", None, None,
    ]  # fmt: skip
    assert loaded(f'{text}otherwise = "en"', tmp_path).announcements.language(None, "+1555") == "en"


@pytest.mark.parametrize(
    "line", ['by_queue = {a = "fr"}', 'otherwise = "no"', 'by_number = {"12-3" = "de"}', 'by_number = {"" = "de"}']
)
def test_a_language_without_notices_and_no_pattern_are_refused(line, tmp_path):
    assert refusal(f"[announcements]\n{line}\n", tmp_path).startswith("announcements.")


# --- numbers of the house --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("1xx", ["100", "199", "1 4-2"], ["10", "1000", "200", "alma", ""]),
        ("200-299", ["200", "250", "299"], ["199", "300", "0250", "25"]),
        ("010-020", ["010", "015"], ["10", "15"]),
        ("+49401234*", ["+49401234", "004940123456"[2:], "+49 40 1234-77;x=1"], ["+4940123", "0401234"]),
        ("112", ["112", "+112"], ["1120"]),
    ],
)
def test_the_houses_own_numbers(entry, inside, outside):
    numbers = InternalNumbers.parse(entry)
    assert [number for number in inside if number not in numbers] == []
    assert [number for number in outside if number in numbers] == []


@pytest.mark.parametrize("entry", ["", "*", "1*x", "alma", "299-200", "20-299", "1x-19", "1" * 17, "+", "٣xx"])
def test_what_names_no_numbers_is_refused(entry, tmp_path):
    with pytest.raises(ValueError, match="`"):
        InternalNumbers.parse(entry)
    assert refusal(table("sip.identity", {"internal": [entry]}), tmp_path).startswith("sip.identity.internal")
