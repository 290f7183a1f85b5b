"""The page itself: what is in it cannot get out of it, and it needs nothing from elsewhere."""

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from k8sbootstrap.report.page import render
from tests.report_runs import PREFLIGHT, SUMMARY, large_run, lines

EVIL = "<script>alert('&amp;')</script>\"' onload=x <b>{{ 7 * 7 }}</b>"
VOID = {"meta", "link"}
"""Elements without an end."""


class Parsed(HTMLParser):
    """Elements, attributes and text of a page; complains about ends that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(params=["failed", "cut", "preflight", "empty", "large", "evil"])
def text(request: pytest.FixtureRequest, read) -> str:
    how = {
        "failed": {"events": "failed", "summary": SUMMARY, "verify": True, "inventory": True},
        "cut": {"events": "cut", "inventory": True},
        "preflight": {"events": "preflight", "summary": PREFLIGHT},
        "empty": {"events": ""},
        "large": {"events": large_run(60), "summary": SUMMARY | {"outcome": "ok", "error": "", "hint": ""}},
        "evil": {
            "events": evil_events(),
            "summary": SUMMARY | {"command": EVIL, "error": EVIL, "hint": EVIL},
        },
    }
    return render(read(**how[request.param]))


def evil_events() -> str:
    task = {"phase": EVIL, "task": EVIL, "role": EVIL, "action": EVIL}
    diff = [{"before": EVIL, "after": "x\x00\x1b", "after_header": EVIL}, {"prepared": EVIL}]
    failure = {"msg": EVIL, "cmd": EVIL, "rc": 1, "stdout": EVIL, "stderr": EVIL}
    change = {
        "text": EVIL,
        "kind": "unit",
        "action": "restart",
        "name": EVIL,
        "causes": ["drift"],
        "why": [EVIL],
    }
    said = {"changes": [EVIL, change], "warnings": [EVIL], "diff": diff, "seconds": 1.0}
    return lines(
        {"kind": "run_started", "time": 1, "command": EVIL, "program": EVIL},
        {"kind": "step_started", "time": 1, "step": EVIL, "title": EVIL},
        {"kind": "step_note", "time": 1, "step": EVIL, "title": EVIL, "text": EVIL},
        {"kind": "step_finished", "time": 2, "step": EVIL, "title": EVIL, "outcome": "ok"},
        {"kind": "play_started", "time": 3, "phase": EVIL, "play": EVIL, "hosts": [EVIL, "other"]},
        {"kind": "task_started", "time": 3, **task},
        {
            "kind": "task_result",
            "time": 4,
            **task,
            **said,
            "host": EVIL,
            "status": "failed",
            "failure": failure,
        },
        {"kind": "task_result", "time": 4, **task, **said, "host": "other", "status": "changed"},
    )


def test_it_is_whole_and_needs_nothing_from_elsewhere(text: str) -> None:
    page = Parsed(text)
    assert {tag for tag, _ in page.elements} & {"script", "img", "iframe", "object", "embed", "form"} == set()
    assert [name for _, given in page.elements for name in given if name.startswith("on")] == []
    assert page.attributes("src") == []
    assert all(
        target.startswith("#") for tag, given in page.elements if tag == "a" for target in [given["href"]]
    )
    assert [given["href"] for tag, given in page.elements if tag == "link"] == ["data:,"]
    assert "url(" not in text.split("</style>", maxsplit=1)[0]
    assert "@import" not in text


def test_it_forbids_itself_everything_else(text: str) -> None:
    (policy,) = [
        given["content"]
        for tag, given in Parsed(text).elements
        if given.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_links_lead_somewhere_and_names_are_unique(text: str) -> None:
    page = Parsed(text)
    names = Counter(page.attributes("id"))
    assert [name for name, times in names.items() if times > 1] == []
    assert {target[1:] for tag, given in page.elements if tag == "a" for target in [given["href"]]} <= set(
        names
    )
    assert set(page.attributes("aria-labelledby")) <= set(names)


def test_pictures_have_a_name_or_are_decoration(text: str) -> None:
    for tag, given in Parsed(text).elements:
        if tag == "svg":
            assert given.get("aria-label") or given.get("aria-hidden") == "true"


def test_what_hosts_say_is_text(read) -> None:
    text = render(read(evil_events(), summary=SUMMARY | {"command": EVIL}))
    assert "<script" not in text
    assert "<b>{{" not in text
    shown = "".join(Parsed(text).text)
    assert shown.count(EVIL) > 10
    assert "49" not in re.findall(r"<b>\d+</b>", text)
    assert "x��" in shown
    text.encode()


def test_contents_of_secret_files_are_not_in_it_but_that_they_changed_is(read) -> None:
    shown = "".join(Parsed(render(read("failed", summary=SUMMARY))).text)
    assert "/etc/etcd/pki/server.key: added (contents not shown)" in shown


def _luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_bars_stand_out_from_what_is_behind_them(read, scheme: str) -> None:
    """The thresholds of WCAG 2.1 AA: 4.5 for text, 3 for graphics."""
    light, dark = re.findall(r":root \{(.*?)\}", render(read("")), re.DOTALL)[:2]
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light if scheme == "light" else light + dark))
    texts = [(ink, back) for ink in ("text", "soft", "link", "failed", "good") for back in ("page", "card")]
    texts += [("soft", "band"), ("text", "band"), ("ignored", "page")]
    texts += [("added", "added-back"), ("removed", "removed-back"), ("added", "page"), ("removed", "page")]
    bars = [
        (bar, back) for bar in ("changed", "step", "failed", "ignored") for back in ("page", "band", "slow")
    ]
    bars += [("ok", "page"), ("ok", "band"), ("slow-edge", "page"), ("slow-edge", "band")]
    low = {pair: contrast for pair in texts if (contrast := _contrast(*map(colors.get, pair))) < 4.5}
    low |= {pair: contrast for pair in bars if (contrast := _contrast(*map(colors.get, pair))) < 3}
    assert low == {}
