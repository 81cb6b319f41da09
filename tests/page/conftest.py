"""Chromium, a service that runs, and its page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import opened_page, running_browser
from tests.service_process import RunningService, running_service


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture(scope="package")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("service"), encoder="debug", max_items=500) as running:
        yield running


@pytest.fixture
def page(browser: Browser, service: RunningService) -> Iterator[Page]:
    with opened_page(browser, service.url) as opened:
        opened.wait_for_selector("#trace-result")
        yield opened
