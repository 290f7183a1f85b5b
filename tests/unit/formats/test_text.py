"""Numbers, sizes, times and lists in words, and what is shown of text of others."""

import pytest

from k8sbootstrap.formats.text import (
    clock,
    count,
    duration,
    megabytes,
    megabytes_of,
    printable,
    shortened,
    some,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("proxy http://robot:hunter2@proxy:3128 is down", "proxy http://***@proxy:3128 is down"),
        ("'https://a:b@c@host/x', https://host/a@b", "'https://***@host/x', https://host/a@b"),
        ("user@host, docker://image@sha256:0", "user@host, docker://***@sha256:0"),
    ],
)
def test_logins_in_urls_are_not_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (59.96, "1 min 00 s"),
        (125.2, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7384, "2 h 03 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(26.4, "26 s"), (59.6, "1 min 00 s"), (139, "2 min 19 s")])
def test_durations_in_whole_seconds(seconds: float, words: str) -> None:
    assert duration(seconds, 0) == words


def test_sizes() -> None:
    assert (megabytes(1_250_000), megabytes(1_600_000, 0)) == ("1.2 MB", "2 MB")
    assert megabytes_of(120_400_000, 433_000_000) == "120 of 433 MB"


def test_clock() -> None:
    assert [clock(seconds) for seconds in (-3, 0, 65.9, 3600)] == ["0:00", "0:00", "1:05", "60:00"]


def test_names() -> None:
    assert some(["a", "b", "c"], 3) == "a, b, c"
    assert some(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert (count(1, "host"), count(0, "host")) == ("1 host", "0 hosts")
    assert (shortened("abcd", 4), shortened("abcde", 4)) == ("abcd", "abc…")


def test_what_a_page_can_not_show_is_replaced() -> None:
    assert printable("tab\t\nnew line é …") == "tab\t\nnew line é …"
    assert printable("\x1b[31m\x00\r\ud800\x85") == "�[31m����"
    assert printable("access \u202e level\u2066") == "access � level�"
