import pytest

from k8sbootstrap.formats.text import printable
from k8sbootstrap.report.words import clock, count, duration, shortened, some


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
