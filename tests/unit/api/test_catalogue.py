"""The words of the pages: the same keys and places to fill in each language, and every key that a page asks for."""

import json
import re
from pathlib import Path

import pytest

from api.catalogue import LANGUAGES, catalogue, choose
from api.site import GONE
from gateway.events import LightState
from policy.terms import Lane, Purpose
from storage.recordings import State

WEB = Path(__file__).parents[3] / "api" / "web"


def test_every_language_has_the_same_keys_and_the_same_places_to_fill() -> None:
    english = catalogue("en")
    for language in LANGUAGES:
        texts = catalogue(language)
        assert sorted(texts) == sorted(english)
        for key, text in texts.items():
            assert text.strip(), key
            assert sorted(re.findall(r"\{(\w+)\}", text)) == sorted(re.findall(r"\{(\w+)\}", english[key])), key


def test_no_key_is_written_twice() -> None:
    for language in LANGUAGES:
        pairs = json.loads((WEB / "locales" / f"{language}.json").read_text("utf-8"), object_pairs_hook=list)
        assert len({key for key, _ in pairs}) == len(pairs)


def test_every_key_that_templates_and_modules_name_exists() -> None:
    asked = set()
    for path in WEB.glob("templates/*.html"):
        asked |= set(re.findall(r"""t\[["']([a-z_.]+)["']\]""", path.read_text("utf-8")))
    for path in WEB.glob("src/**/*.js"):
        asked |= set(re.findall(r"""word\("([a-z_.]+)["]""", path.read_text("utf-8")))
        asked |= set(re.findall(r""""(error\.[a-z_]+)"[,;}]""", path.read_text("utf-8")))
    assert len(asked) > 60
    assert asked - set(catalogue("en")) == set()


def test_every_state_lane_and_purpose_has_its_words() -> None:
    keys = {f"light.{state}" for state in LightState} | {f"lane.{lane}" for lane in Lane}
    keys |= {f"purpose.{purpose}" for purpose in Purpose}
    keys |= {f"state.{state}" for state in State if state not in GONE}
    assert keys - set(catalogue("en")) == set()
    shapes = (WEB / "static" / "icons" / "shapes.svg").read_text("utf-8")
    for state in LightState:
        assert f'id="{state}"' in shapes and (WEB / "static" / "icons" / f"{state}.svg").is_file()


@pytest.mark.parametrize(
    ("wanted", "accept", "language"),
    [
        (None, "", "en"),
        (None, "de-AT,de;q=0.9,en;q=0.5", "de"),
        (None, "fr, no;q=0.8, de;q=0.9", "de"),
        (None, "no", "nb"),
        ("nb", "de", "nb"),
        ("xx", "de", "de"),
        (None, "de;q=0, en;q=nan;x, *", "en"),
        (None, "de;q=x", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_browsers_best(
    wanted: str | None, accept: str, language: str
) -> None:
    assert choose(wanted, accept) == language
