"""A real browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NO_JAVASCRIPT = {"profile.managed_default_content_settings.javascript": 2}
With = Literal["javascript", "no-javascript"]
Browsers = Callable[[With], Chrome]


@pytest.fixture(scope="session")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    """Headless Chromium with or without JavaScript; started when it is asked for, and kept."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromium-driver are not installed")
    started: dict[With, Chrome] = {}

    def start(kind: With) -> Chrome:
        if kind not in started:
            options = ChromeOptions()
            options.binary_location = chromium
            for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
                options.add_argument(flag)
            options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
            if kind == "no-javascript":
                options.add_experimental_option("prefs", NO_JAVASCRIPT)
            started[kind] = Chrome(options, Service(driver))
        return started[kind]

    yield start
    for browser in started.values():
        browser.quit()


@pytest.fixture(params=["javascript", "no-javascript"])
def browser(request: pytest.FixtureRequest, browsers: Browsers) -> Chrome:
    """Both, one after the other."""
    return browsers(request.param)


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], str]:
    """Writes a page to a file and says its address."""

    def _place(text: str) -> str:
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        return path.as_uri()

    return _place
