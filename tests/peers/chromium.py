"""A page in a real browser, without any network of its own; what it complains about fails the test."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
BUILD = Path(__file__).parents[2] / "api" / "web" / "static" / "build"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
SMALL_TARGETS = """() => [...document.querySelectorAll("button, nav a, .button, input, select, summary, label.check")]
    .filter((one) => one.offsetParent && one.type !== "checkbox")
    .map((one) => [one.outerHTML.slice(0, 60), one.getBoundingClientRect()])
    .filter(([, box]) => box.height < 44 || box.width < 44).map(([html]) => html)"""
"""What on a page is too small to be hit: WCAG 2.5.5."""


def needs(module: str) -> list[pytest.MarkDecorator]:
    """What a test of a page has to be marked with."""
    return [
        pytest.mark.skipif(CHROMIUM is None, reason="chromium isn't installed"),
        pytest.mark.skipif(not (BUILD / module).exists(), reason="the pages aren't bundled: `npm run build`"),
        pytest.mark.timeout(180),
    ]


@contextlib.asynccontextmanager
async def browser_page(locale: str = "en-GB", width: int = 1100, height: int = 900) -> AsyncIterator[Any]:
    """One page of a fresh browser."""
    playwright_api = pytest.importorskip("playwright.async_api", reason="playwright isn't installed")
    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = await browser.new_context(locale=locale, viewport={"width": width, "height": height})
        page = await context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
        yield page
        await browser.close()
        assert faults == []


async def picture(page: Any, name: str) -> None:
    """A screenshot into the folder that FAIRTAP_SCREENSHOTS names, else nowhere."""
    if folder := os.environ.get("FAIRTAP_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
