"""Runs the page in a real Chromium, and notes what a page of ours must never do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MILLISECONDS: Final = 60_000


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Start Chromium, or skip the test where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no Chromium was found (looked for {', '.join(BROWSERS)}): apt-get install chromium")
    # Chromium refuses to run as root in its own sandbox.
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *alone])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened_page(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open a page, and fail in the end if it has logged an error or asked for anything of anyone else.

    Parameters
    ----------
    browser
        Chromium.
    url
        A service, or a file.
    options
        Of the browser's context: `color_scheme`, `viewport`.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(MILLISECONDS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        # That a request failed is what some tests want; the page says so itself.
        lambda message: (
            complaints.append(message.text)
            if message.type in ("error", "warning") and "Failed to load resource" not in message.text
            else None
        ),
    )
    elsewhere: list[str] = []
    own = urlsplit(url).netloc

    def note(request: Any) -> None:
        asked = urlsplit(request.url)
        if asked.scheme == "file":
            foreign = request.url.partition("#")[0] != url
        else:
            foreign = asked.scheme not in ("blob", "data") and asked.netloc != own
        if foreign:
            elsewhere.append(request.url)

    page.on("request", note)
    try:
        page.goto(url)
        yield page
        assert not complaints
        assert not elsewhere
    finally:
        context.close()
