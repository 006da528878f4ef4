"""What `deploy/` and the compose file say is what the configuration takes and the project holds."""

import configparser
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from gateway.config import Config, load_config

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "fairtap.example.toml"


def compose() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
    return read


def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names keep their case
    parser.read(ROOT / "deploy" / "fairtap.service")
    return parser["Service"]


def compose_configuration() -> Config:
    return load_config(None, compose()["services"]["fairtap"]["environment"])


def test_example_is_taken_and_its_media_settings_are_the_defaults() -> None:
    config = load_config(EXAMPLE, {})
    assert config.sip.identity.placement == "phones"
    assert config.media == Config().media
    assert config.storage == Config().storage


def test_unit_waits_longer_than_the_drain() -> None:
    service = unit()
    assert int(service["TimeoutStopSec"]) > load_config(EXAMPLE, {}).drain_s
    assert service["KillMode"] == "mixed"


def test_unit_keeps_the_data_where_the_example_has_it() -> None:
    assert load_config(EXAMPLE, {}).site.data_dir == Path("/var/lib") / unit()["StateDirectory"]


def test_compose_environment_is_taken() -> None:
    config = compose_configuration()
    assert config.sip.caller_side.listeners and config.sip.agent_side.listeners
    assert config.api.behind_proxy


def test_compose_publishes_the_api_on_loopback_only() -> None:
    assert all(port.startswith("127.0.0.1:") for port in compose()["services"]["fairtap"]["ports"])


def test_compose_sends_calls_where_kamailio_listens() -> None:
    services = compose()["services"]
    address = services["kamailio"]["networks"]["voice"]["ipv4_address"]
    kamailio = (ROOT / "deploy" / "compose" / "kamailio.cfg").read_text()
    config = compose_configuration()
    assert config.sip.agent_side.next_hops == [f"{address}:5060"]
    assert f"listen=udp:{address}:5060" in kamailio
    assert f'FAIRTAP "{services["fairtap"]["networks"]["voice"]["ipv4_address"]}"' in kamailio


def test_image_copies_what_the_ignore_file_lets_through() -> None:
    docker = (ROOT / "deploy" / "Dockerfile").read_text()
    allowed = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", docker, re.MULTILINE):
        for source in sources.split():
            assert any(f"!{source}" == line or f"!{source}".startswith(f"{line}/") for line in allowed), source
            assert (ROOT / source).exists(), source
