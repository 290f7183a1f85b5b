"""The report as a browser shows it: wide or narrow, light, dark or on paper, with or without JavaScript."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from k8sbootstrap.report.page import render
from k8sbootstrap.report.recorded import read_run
from k8sbootstrap.state import State
from tests.report_runs import PREFLIGHT, SUMMARY, large_run, make_run

RUNS: dict[str, dict[str, Any]] = {
    "failed": {"events": "failed", "summary": SUMMARY, "verify": True, "inventory": True},
    "cut": {"events": "cut", "inventory": True},
    "preflight": {"events": "preflight", "summary": PREFLIGHT},
    "large": {"events": large_run(200), "summary": SUMMARY | {"outcome": "ok", "error": "", "hint": ""}},
}
PLACES = """
return [...document.querySelectorAll(arguments[0])].map(element => {
  const place = element.getBoundingClientRect();
  return {left: place.left, right: place.right, top: place.top, width: place.width, height: place.height};
})
"""
STYLE = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"


@pytest.fixture
def text(tmp_path: Path) -> str:
    """The page of a run that failed: it has every section."""
    return page("failed", tmp_path)


def page(run: str, folder: Path) -> str:
    return render(read_run(make_run(State(folder / "state"), **RUNS[run]), "demo"))


def show(browser: Chrome, address: str, width: int = 1400, **media: str) -> None:
    """Open a page in a window of that width, in light colours on a screen unless ``media`` says otherwise."""
    device = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    scheme = {"name": "prefers-color-scheme", "value": media.get("scheme", "light")}
    chosen = {"media": media.get("media", ""), "features": [scheme]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", chosen)
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # what came before
    browser.get(address)


def requests(browser: Chrome) -> list[str]:
    """Addresses that the page asked for since it was opened."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def picture(browser: Chrome) -> bytes:
    """The whole page."""
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    return base64.b64decode(taken["data"])


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_loaded_nothing_complains_and_all_is_on_the_page(
    browser: Chrome, place, tmp_path: Path, run: str, width: int
) -> None:
    address = place(page(run, tmp_path))
    show(browser, address, width)
    assert [url for url in requests(browser) if url != "data:,"] == [address]
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    bars = [
        bar for bar in browser.execute_script(PLACES, ".bar") if bar["height"] > 0
    ]  # others are folded away
    rows = len(browser.find_elements(By.CSS_SELECTOR, ".row"))
    assert len(bars) >= min(rows, 24)
    for bar in bars:
        assert bar["width"] > 0.3
        assert bar["height"] > 4
        assert bar["left"] >= 0
        assert bar["right"] <= width


def test_what_should_not_be_there_would_be_noticed(browsers, place, text: str) -> None:
    """The page's own policy keeps scripts and pictures out, and this file's way of looking sees them."""
    evil = '<script>document.title = "ran"</script><img src="http://127.0.0.1:9/x.png"></body>'
    browser = browsers("javascript")
    show(browser, place(text.replace("</body>", evil)))
    assert browser.title != "ran"
    assert len([entry for entry in browser.get_log("browser") if "Security" in entry["message"]]) == 2
    unguarded = text.replace("Content-Security-Policy", "X").replace("</body>", evil)
    show(browser, place(unguarded))
    assert browser.title == "ran"
    assert "http://127.0.0.1:9/x.png" in requests(browser)


@pytest.mark.parametrize("width", [400, 1400])
def test_javascript_makes_no_difference(browsers, place, text: str, width: int) -> None:
    pictures = {}
    for kind, title in (("javascript", "ran"), ("no-javascript", "")):
        browser = browsers(kind)
        show(browser, place("<script>document.title = 'ran'</script>"))
        assert browser.title == title
        show(browser, place(text), width)
        pictures[kind] = picture(browser)
    assert pictures["javascript"] == pictures["no-javascript"]


def test_everything_unfolds(browser: Chrome, place, text: str) -> None:
    show(browser, place(text))
    folded = [
        fold for fold in browser.find_elements(By.TAG_NAME, "details") if not fold.get_attribute("open")
    ]
    assert len(folded) > 10
    for fold in folded:  # outer ones come first
        before = fold.size["height"]
        fold.find_element(By.TAG_NAME, "summary").click()
        assert fold.get_attribute("open")
        assert fold.size["height"] > before
    diff = browser.find_element(By.CSS_SELECTOR, ".diff .added")
    assert diff.is_displayed()
    assert "<script>" in browser.find_element(By.CSS_SELECTOR, "#changes ~ details").text
    assert browser.execute_script(STYLE, ".diff .added", "backgroundColor") != browser.execute_script(
        STYLE, ".diff .removed", "backgroundColor"
    )


def test_a_link_to_a_diff_that_is_folded_away_shows_it(browser: Chrome, place, text: str) -> None:
    show(browser, place(text))
    for fold in browser.find_elements(By.CSS_SELECTOR, "details.host"):
        if fold.text.startswith("master2"):
            fold.find_element(By.TAG_NAME, "summary").click()
            link = fold.find_element(By.LINK_TEXT, "as on master1")
            link.click()
    target = browser.find_element(By.CSS_SELECTOR, browser.current_url[browser.current_url.index("#") :])
    assert target.is_displayed()


def test_the_topology_suits_the_width(browser: Chrome, place, text: str) -> None:
    for width, shown, hidden in ((1400, "large", "narrow"), (400, "narrow", "large")):
        show(browser, place(text), width)
        (drawn,) = browser.execute_script(PLACES, f".topology.{shown}")
        assert 0 < drawn["width"] <= width
        assert browser.execute_script(PLACES, f".topology.{hidden}")[0]["width"] == 0
        for box in browser.execute_script(PLACES, f".topology.{shown} .box"):
            assert box["width"] > 150  # at its full size: texts stay readable
            assert drawn["left"] <= box["left"] < box["right"] <= drawn["right"]


def test_light_and_dark(browser: Chrome, place, text: str) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        show(browser, place(text), scheme=scheme)
        seen[scheme] = [browser.execute_script(STYLE, "body", name) for name in ("backgroundColor", "color")]
    assert seen["light"] == ["rgb(255, 255, 255)", "rgb(28, 35, 48)"]
    assert seen["dark"] == ["rgb(20, 24, 31)", "rgb(228, 232, 238)"]


def test_on_paper_the_changes_are_there_without_unfolding(browser: Chrome, place, text: str) -> None:
    show(browser, place(text), scheme="dark", media="print")
    assert browser.execute_script(STYLE, "body", "backgroundColor") == "rgb(255, 255, 255)"
    changes = browser.execute_script(PLACES, "details.host .task li")
    assert len(changes) > 20
    assert all(change["height"] > 0 for change in changes)
    assert browser.execute_script(STYLE, "nav", "display") == "none"
